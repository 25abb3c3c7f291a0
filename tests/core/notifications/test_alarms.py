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
from tests.factories import Member, random_email


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


async def test_one_of_another_version_is_listed_all_the_same(admin: httpx.AsyncClient) -> None:
    await raise_alarm("server_down", "server", _id(), name="a", reason="b")
    await database.execute("UPDATE alarms SET kind = 'moon_down'")
    answer = await admin.get("/api/admin/alarms")
    assert (answer.status_code, answer.json()["data"][0]["text"]) == (200, "moon down")


async def test_a_moment_is_shown_in_the_zone_of_who_reads(admin: httpx.AsyncClient) -> None:
    assert (await admin.patch("/api/auth/me", json={"timezone": "Asia/Tokyo"})).status_code == 200
    await raise_alarm("notifier_limited", "notifier", _id(), name="a", reason="b", until="2027-01-02T03:04+00:00")
    (alarm,) = (await admin.get("/api/admin/alarms")).json()["data"]
    assert alarm["text"].endswith("goes out from January 2, 2027, 12:04\u00a0PM (GMT+09:00).")


class TestByHand:
    async def test_it_ends_once_and_says_who_did_it(self, admin: httpx.AsyncClient, administrator: Member) -> None:
        payment = _id()
        await raise_alarm("payment_disputed", "payment", payment, gateway="stripe")
        (alarm,) = (await admin.get("/api/admin/alarms?standing=true")).json()["data"]
        ended = [await admin.post(f"/api/admin/alarms/{alarm['id']}/clear") for _ in range(2)]
        assert [answer.status_code for answer in ended] == [200, 200]
        first, second = (answer.json()["data"] for answer in ended)
        assert first == second == {**alarm, "cleared_at": first["cleared_at"]}
        assert first["cleared_at"] is not None
        assert (await admin.get("/api/admin/alarms?standing=true")).json()["meta"]["total"] == 0
        rows = await database.fetch(
            "SELECT user_id, data FROM logs WHERE action = 'alarm.cleared' AND entity_id = $1", alarm["id"]
        )
        assert [(row["user_id"], msgspec.json.decode(row["data"])) for row in rows] == [
            (administrator.id, {"kind": "payment_disputed", "subject_type": "payment", "subject_id": payment})
        ]

    async def test_its_cause_raises_it_anew(self, admin: httpx.AsyncClient) -> None:
        server = _id()
        await raise_alarm("server_down", "server", server, name="a", reason="b")
        (alarm,) = (await admin.get("/api/admin/alarms")).json()["data"]
        await admin.post(f"/api/admin/alarms/{alarm['id']}/clear")
        assert await raise_alarm("server_down", "server", server, name="a", reason="b") is True

    async def test_one_that_is_not_there(self, admin: httpx.AsyncClient) -> None:
        answer = await admin.post(f"/api/admin/alarms/{2**60}/clear")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    async def test_users_end_none(self, admin: httpx.AsyncClient, api: ClientOf, user: Member) -> None:
        await raise_alarm("payment_disputed", "payment", _id(), gateway="stripe")
        (alarm,) = (await admin.get("/api/admin/alarms")).json()["data"]
        async with api(user) as client:
            assert (await client.post(f"/api/admin/alarms/{alarm['id']}/clear")).status_code == 403
        assert (await admin.get("/api/admin/alarms?standing=true")).json()["meta"]["total"] == 1


async def test_another_address_ends_that_mail_is_refused(admin: httpx.AsyncClient, user: Member) -> None:
    await raise_alarm("email_refused", "user", user.id, name=str(user.id), reason="550")
    await admin.patch(f"/api/admin/users/{user.id}", json={"name": "Ana", "email": user.email})
    assert (await admin.get("/api/admin/alarms?standing=true")).json()["meta"]["total"] == 1
    assert (await admin.patch(f"/api/admin/users/{user.id}", json={"email": random_email()})).status_code == 200
    assert (await admin.get("/api/admin/alarms?standing=true")).json()["meta"]["total"] == 0


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
