"""Alarms: one for as long as its cause lasts."""

import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from core import database
from core.crypto import decrypt
from core.events.catalogue import AlarmRaised
from core.notifications.alarms import clear_alarms, forget_alarms, raise_alarm
from core.notifications.outbox import SEAL
from tests.conftest import ClientOf
from tests.factories import Member


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(administrator) as opened:
        await database.execute("DELETE FROM alarms")
        yield opened


def _id() -> int:
    return secrets.randbelow(10**12)


async def test_one_that_stands_is_not_raised_again(admin: httpx.AsyncClient) -> None:
    server = _id()
    assert await raise_alarm("server_down", "server", server, name="a", reason="no answer") is True
    assert await raise_alarm("server_down", "server", server, name="a", reason="refused") is False
    (alarm,) = (await admin.get("/api/admin/alarms")).json()["data"]
    assert (alarm["kind"], alarm["subject_type"], alarm["subject_id"], alarm["noticed"]) == (
        "server_down",
        "server",
        server,
        2,
    )
    assert alarm["text"].startswith("The server a does not answer (refused):")


async def test_its_text_is_in_the_language_of_the_request(admin: httpx.AsyncClient) -> None:
    await raise_alarm("number_silent", "number", _id(), name="Loja", reason="")
    answer = await admin.get("/api/admin/alarms", headers={"Accept-Language": "pt-BR"})
    assert answer.json()["data"][0]["text"].startswith("O que o número Loja envia")


async def test_one_that_is_over_can_be_raised_anew(admin: httpx.AsyncClient) -> None:
    number = _id()
    await raise_alarm("number_failed", "number", number, name="a", reason="")
    await raise_alarm("number_failed", "number", _id(), name="b", reason="")
    assert await clear_alarms("number", [number], ["number_failed"]) == 1
    assert await raise_alarm("number_failed", "number", number, name="a", reason="") is True
    standing = (await admin.get("/api/admin/alarms?standing=true")).json()
    over = (await admin.get("/api/admin/alarms?standing=false")).json()
    assert (standing["meta"]["total"], over["meta"]["total"]) == (2, 1)
    assert over["data"][0]["cleared_at"] is not None


async def test_what_has_been_over_for_long_is_deleted(admin: httpx.AsyncClient) -> None:
    numbers = [_id(), _id()]
    for number in numbers:
        await raise_alarm("number_failed", "number", number, name="a", reason="")
        await clear_alarms("number", [number], ["number_failed"])
    await database.execute(
        "UPDATE alarms SET cleared_at = now() - interval '91 days' WHERE subject_id = $1", numbers[0]
    )
    await raise_alarm("number_failed", "number", _id(), name="a", reason="")
    assert await forget_alarms(datetime.now(UTC) - timedelta(days=90), 10) == 1
    assert (await admin.get("/api/admin/alarms")).json()["meta"]["total"] == 2


async def test_users_see_none(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        assert (await client.get("/api/admin/alarms")).status_code == 403


async def test_every_administrator_is_notified_of_a_new_one_in_their_language(
    admin: httpx.AsyncClient, administrator: Member, user: Member
) -> None:
    del admin  # which empties the alarms
    await database.execute("UPDATE users SET locale = 'pt-BR' WHERE id = $1", administrator.id)
    number = _id()
    for _ in range(2):
        await raise_alarm("number_silent", "number", number, name="Loja", reason="")
    rows = await database.fetch(
        "SELECT user_id, detail FROM notifications WHERE kind = 'alarm_raised' AND user_id = ANY($1::bigint[])",
        [administrator.id, user.id],
    )
    found = [
        (row["user_id"], msgspec.json.decode(decrypt(row["detail"], purpose=SEAL), type=AlarmRaised)) for row in rows
    ]
    ((told, event),) = [one for one in found if one[1].subject_id == number]
    assert (told, event.kind, event.text.startswith("O que o número Loja envia")) == (
        administrator.id,
        "number_silent",
        True,
    )
