"""Keys are forgotten after a day."""

import pytest

from core import database
from core.idempotency import services
from core.idempotency.schemas import Answer, Keyed
from tests.factories import Member


def request(member: Member, key: str) -> Keyed:
    return Keyed(
        user_id=member.id, key=key, method="POST", path="/api/x", fingerprint=b"1", atomic=True, holder=f"holder {key}"
    )


async def test_clean_up_takes_what_is_older_than_a_day(user: Member) -> None:
    for key, hours in (("old", 25), ("new", 23)):
        assert await services.claim(request(user, key)) is None
        await services.keep(request(user, key), Answer(status=201, headers={}, body=b"{}"))
        await database.execute(
            "UPDATE idempotency_keys SET created_at = now() - make_interval(hours => $3)"
            " WHERE user_id = $1 AND key = $2",
            user.id,
            key,
            hours,
        )
    await services.clean_up()
    rows = await database.fetch("SELECT key FROM idempotency_keys WHERE user_id = $1", user.id)
    assert [row["key"] for row in rows] == ["new"]


async def test_a_released_key_is_free(user: Member) -> None:
    assert await services.claim(request(user, "a")) is None
    await services.release(request(user, "a"))
    assert await services.claim(request(user, "a")) is None


@pytest.mark.parametrize("body", [b"", b"\x00\xff"])
async def test_an_answer_is_kept_byte_for_byte(user: Member, body: bytes) -> None:
    answer = Answer(status=201, headers={"content-type": "text/plain"}, body=body)
    await services.claim(request(user, "a"))
    await services.keep(request(user, "a"), answer)
    assert await services.claim(request(user, "a")) == answer
