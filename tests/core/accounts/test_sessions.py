"""Sessions: PostgreSQL is the truth, Redis may come and go."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from core import database
from core.accounts import answers, sessions, tokens
from core.accounts.answers import Answer
from core.accounts.authentication import authenticate
from core.errors import ForbiddenError, NotSignedInError
from core.runtime import Runtime
from core.security import Credential
from tests.factories import Member
from tests.outages import without_redis


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def change_session(token: str, assignment: str) -> None:
    """Let time pass for one session."""
    await database.execute(f"UPDATE user_sessions SET {assignment} WHERE token_hash = $1", digest(token))


async def forget(runtime: Runtime, token: str) -> None:
    await runtime.redis.delete(f"recado:session:{digest(token).hex()}")


async def test_token_is_opaque_and_only_its_hash_is_stored(user: Member) -> None:
    assert user.token.startswith("rcd_")
    assert len(user.token) == tokens.TOKEN_LENGTH
    row = await database.fetch_row("SELECT * FROM user_sessions WHERE user_id = $1", user.id)
    assert row is not None
    assert row["token_hash"] == digest(user.token)
    assert user.token not in str(dict(row))


async def test_user_of_a_token(user: Member) -> None:
    found = await authenticate(Credential(user.token))
    assert (found.id, found.email, found.profile, found.plan_id) == (user.id, user.email, "user", user.row.plan_id)


@pytest.mark.parametrize("token", ["", "x", "rcd_", "rcd_" + "a" * 43, "é" * 47, "rcd_" + "é" * 43])
@pytest.mark.usefixtures("runtime")
async def test_unknown_token(token: str) -> None:
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(token))


async def test_expired(user: Member) -> None:
    await change_session(user.token, "expires_at = now() - interval '1 second'")
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(user.token))


async def test_deleted_user(user: Member) -> None:
    await database.execute("UPDATE users SET deleted_at = now() WHERE id = $1", user.id)
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(user.token))


@pytest.mark.parametrize("status", ["inactive", "canceled"])
async def test_suspended_user(user: Member, status: str) -> None:
    await database.execute("UPDATE users SET status = $2 WHERE id = $1", user.id, status)
    with pytest.raises(ForbiddenError) as caught:
        await authenticate(Credential(user.token))
    assert caught.value.code == "account_suspended"


async def test_use_slides_the_end(user: Member, runtime: Runtime) -> None:
    await change_session(
        user.token, "last_used_at = now() - interval '61 seconds', expires_at = now() + interval '1 hour'"
    )
    await authenticate(Credential(user.token))
    row = await database.fetch_row(
        "SELECT now() AS now, last_used_at, expires_at FROM user_sessions WHERE user_id = $1", user.id
    )
    assert row is not None
    assert row["now"] - row["last_used_at"] < timedelta(seconds=5)
    assert row["expires_at"] - row["last_used_at"] == timedelta(days=7)
    assert await runtime.redis.exists(f"recado:session:{digest(user.token).hex()}") == 1


async def test_use_is_written_at_most_once_a_minute(user: Member) -> None:
    await change_session(user.token, "last_used_at = now() - interval '59 seconds'")
    before = await database.fetch_row("SELECT last_used_at, expires_at FROM user_sessions WHERE user_id = $1", user.id)
    await authenticate(Credential(user.token))
    after = await database.fetch_row("SELECT last_used_at, expires_at FROM user_sessions WHERE user_id = $1", user.id)
    assert after == before


async def test_answer_is_cached_and_no_longer_than_the_session_lasts(user: Member, runtime: Runtime) -> None:
    await change_session(user.token, "expires_at = now() + interval '2 seconds'")
    await authenticate(Credential(user.token))
    remaining = await runtime.redis.pttl(f"recado:session:{digest(user.token).hex()}")
    assert 0 < remaining <= 2000


async def test_second_look_comes_from_the_cache(user: Member) -> None:
    first = await authenticate(Credential(user.token))
    await database.execute("UPDATE users SET name = 'behind its back' WHERE id = $1", user.id)
    assert await authenticate(Credential(user.token)) == first


async def test_flush_signs_nobody_out(user: Member, runtime: Runtime) -> None:
    await authenticate(Credential(user.token))
    await forget(runtime, user.token)
    assert (await authenticate(Credential(user.token))).id == user.id


async def test_flush_signs_nobody_in(user: Member, runtime: Runtime) -> None:
    found = await authenticate(Credential(user.token))
    await sessions.revoke(user.id, found.session_id)
    await forget(runtime, user.token)
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(user.token))


async def test_outage_signs_nobody_out_or_in(user: Member, other_user: Member, runtime: Runtime) -> None:
    async with without_redis(runtime):
        found = await authenticate(Credential(user.token))
        await sessions.revoke_all(other_user.id)
        with pytest.raises(NotSignedInError):
            await authenticate(Credential(other_user.token))
    assert found.id == user.id


async def test_damaged_cache_is_passed_over(user: Member, runtime: Runtime) -> None:
    await runtime.redis.set(f"recado:session:{digest(user.token).hex()}", b"\xc1 not ours", ex=60)
    assert (await authenticate(Credential(user.token))).id == user.id


async def test_revocation_holds_at_once(user: Member) -> None:
    found = await authenticate(Credential(user.token))
    assert await sessions.revoke(user.id, found.session_id)
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(user.token))


async def test_revocation_beats_an_answer_read_before_it(user: Member) -> None:
    """A request that read the session just before the revocation must not put it back into the cache."""
    found = await authenticate(Credential(user.token))
    await sessions.revoke(user.id, found.session_id)
    await answers.remember(digest(user.token), Answer(found, "active"), 10)
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(user.token))


async def test_rolled_back_revocation_ends_nothing(user: Member) -> None:
    found = await authenticate(Credential(user.token))

    async def revoke_in_vain() -> None:
        async with database.unit_of_work():
            await sessions.revoke(user.id, found.session_id)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await revoke_in_vain()
    assert (await authenticate(Credential(user.token))).id == user.id


async def test_session_of_another_cannot_be_revoked(user: Member, other_user: Member) -> None:
    found = await authenticate(Credential(other_user.token))
    assert not await sessions.revoke(user.id, found.session_id)
    assert (await authenticate(Credential(other_user.token))).id == other_user.id


async def test_revoke_others_keeps_one(user: Member) -> None:
    second = await sessions.open_session(user.id, address="", user_agent="phone")
    found = await authenticate(Credential(user.token))
    await sessions.revoke_others(user.id, found.session_id)
    assert (await authenticate(Credential(user.token))).id == user.id
    with pytest.raises(NotSignedInError):
        await authenticate(Credential(second))


async def test_changed_user_is_read_again(user: Member) -> None:
    await authenticate(Credential(user.token))
    async with database.unit_of_work():
        await database.execute("UPDATE users SET name = 'Renamed' WHERE id = $1", user.id)
        await sessions.forget_user(user.id)
    assert (await authenticate(Credential(user.token))).name == "Renamed"


async def test_devices(user: Member) -> None:
    await sessions.open_session(user.id, address="203.0.113.7", user_agent="phone\0" + "x" * 300)
    current = await authenticate(Credential(user.token))
    found = await sessions.list_devices(current)
    assert [(device.user_agent[:6], device.address, device.current) for device in found] == [
        ("phonex", "203.0.113.7", False),
        ("tests", "127.0.0.1", True),
    ]
    assert len(found[0].user_agent) == 255
    assert datetime.now(UTC) + timedelta(days=6) < found[0].expires_at


async def test_parallel_use_of_one_token(user: Member) -> None:
    await change_session(user.token, "last_used_at = NULL")
    found = await asyncio.gather(*(authenticate(Credential(user.token)) for _ in range(8)))
    assert {one.id for one in found} == {user.id}
