from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.pagination import RowPlace, write_cursor
from tests.core.campaigns.making import (
    Made,
    give_plan,
    insert,
    make_campaign,
    recipients,
    running,
    start,
)
from tests.core.contacts.making import add, add_contact, phone, run_import
from tests.factories import Member

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def _write(recipient_id: int, **columns: Any) -> None:
    places = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await database.execute(f"UPDATE message_by_contacts SET {places} WHERE id = $1", recipient_id, *columns.values())


async def _read(tenant: httpx.AsyncClient, contact_id: int, **query: Any) -> list[dict[str, Any]]:
    answer = await tenant.get(f"/api/contacts/{contact_id}/timeline", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


@pytest.fixture
async def made(user: Member) -> Made:
    """A campaign of two messages to one contact, who was made at noon."""
    made = await running(user, contacts=1, messages=("a", "b"))
    await database.execute("UPDATE contacts SET created_at = $2 WHERE id = $1", made.contact_ids[0], NOON)
    return made


class TestEntries:
    async def test_a_message_with_all_that_became_of_it(self, tenant: httpx.AsyncClient, made: Made) -> None:
        first = (await recipients(made.id))[0]["id"]
        times = {
            name: NOON + place * MINUTE for place, name in enumerate(("accepted", "delivered", "read", "replied"), 1)
        }
        columns = {f"{name}_at": at for name, at in times.items()}
        await _write(first, state="sent", number_id=made.number_ids[0], sent_at=NOON + MINUTE, **columns)
        found = await _read(tenant, made.contact_ids[0])
        assert [(entry["kind"], entry["at"]) for entry in found] == [
            ("replied", "2026-03-02T12:04:00Z"),
            ("readed", "2026-03-02T12:03:00Z"),
            ("delivered", "2026-03-02T12:02:00Z"),
            ("sent", "2026-03-02T12:01:00Z"),
            ("created", "2026-03-02T12:00:00Z"),
        ]
        assert found[3] == {
            "at": "2026-03-02T12:01:00Z",
            "kind": "sent",
            "reason": "",
            "source": "",
            "number_id": made.number_ids[0],
            "campaign_id": made.id,
            "campaign_name": "Test",
            "message_id": made.message_ids[0],
            "position": 1,
            "recipient_id": first,
        }

    @pytest.mark.parametrize("state", ["failed", "skipped", "unknown"])
    async def test_one_that_was_not_sent_says_why(self, tenant: httpx.AsyncClient, made: Made, state: str) -> None:
        await _write((await recipients(made.id))[0]["id"], state=state, reason="busy", updated_at=NOON + MINUTE)
        entry = (await _read(tenant, made.contact_ids[0]))[0]
        assert (entry["kind"], entry["reason"], entry["at"]) == (state, "busy", "2026-03-02T12:01:00Z")

    async def test_what_waits_has_not_happened(self, tenant: httpx.AsyncClient, made: Made) -> None:
        assert [entry["kind"] for entry in await _read(tenant, made.contact_ids[0])] == ["created"]

    async def test_opt_out_block_and_what_the_person_wrote(
        self, tenant: httpx.AsyncClient, user: Member, made: Made
    ) -> None:
        contact_id = made.contact_ids[0]
        await insert(
            "conversations",
            user_id=user.id,
            contact_id=contact_id,
            number_id=made.number_ids[0],
            last_inbound_at=NOON + MINUTE,
        )
        await database.execute("UPDATE contacts SET blocked_at = $2 WHERE id = $1", contact_id, NOON + 2 * MINUTE)
        await insert(
            "block_contacts", user_id=user.id, number=made.phones[0], reason="asked", created_at=NOON + 3 * MINUTE
        )
        found = await _read(tenant, contact_id)
        assert [(entry["kind"], entry["reason"], entry["number_id"]) for entry in found] == [
            ("blocked", "asked", None),
            ("opted_out", "", None),
            ("wrote", "", made.number_ids[0]),
            ("created", "", None),
        ]

    async def test_of_all_campaigns_deleted_ones_too(self, tenant: httpx.AsyncClient, user: Member, made: Made) -> None:
        other = await make_campaign(user, contacts=0)
        await database.execute("UPDATE campaigns SET public_id = $2 WHERE id = $1", other.id, made.public_id)
        await start(other)
        for place, campaign in enumerate((made, other), 1):
            await _write((await recipients(campaign.id))[0]["id"], state="sent", accepted_at=NOON + place * MINUTE)
        await database.execute("UPDATE campaigns SET deleted_at = now() WHERE id = $1", made.id)
        assert [entry["campaign_id"] for entry in await _read(tenant, made.contact_ids[0])] == [other.id, made.id, None]

    async def test_blocks_with_their_reason_and_where_the_contact_came_from(self, tenant: httpx.AsyncClient) -> None:
        contact = await add_contact(tenant)
        for reason in ("asked by phone", "moved"):
            await tenant.post(f"/api/contacts/{contact['id']}/block", json={"reason": reason})
        await tenant.post(f"/api/contacts/{contact['id']}/unblock")
        await add(tenant, "block-contacts", number=f"+{contact['number']}", reason="listed")
        await tenant.post("/api/block-contacts/remove", json={"number": f"+{contact['number']}"})
        found = [(entry["kind"], entry["reason"], entry["source"]) for entry in await _read(tenant, contact["id"])]
        assert found == [
            ("unblocked", "", "hand"),
            ("blocked", "listed", "hand"),
            ("unblocked", "", "hand"),
            ("blocked", "moved", "hand"),
            ("blocked", "asked by phone", "hand"),
            ("created", "", "manual"),
        ]

    async def test_the_imports_that_made_and_changed_the_contact(self, tenant: httpx.AsyncClient, user: Member) -> None:
        await give_plan(user.id)
        number = phone()
        for city in ("Campinas", "Santos"):
            await run_import(tenant, f"telefone,nome,cidade {city}\n{number},Ana,{city}\n")
        (contact,) = (await tenant.get("/api/contacts", params={"search": "Ana"})).json()["data"]
        found = [(entry["kind"], entry["reason"], entry["source"]) for entry in await _read(tenant, contact["id"])]
        assert found == [("imported", "contacts.csv", "import"), ("created", "contacts.csv", "import")]
        assert contact["source"] == "import"


class TestScroll:
    async def test_gives_each_entry_once_though_they_share_a_moment(
        self, tenant: httpx.AsyncClient, made: Made
    ) -> None:
        for row in await recipients(made.id):
            times = dict.fromkeys(("accepted_at", "delivered_at", "read_at"), NOON)
            await _write(row["id"], state="sent", **times)
        whole = await _read(tenant, made.contact_ids[0])
        assert len(whole) == 7
        parts: list[dict[str, Any]] = []
        link: str | None = f"/api/contacts/{made.contact_ids[0]}/timeline?per_page=2"
        while link is not None:
            answer = (await tenant.get(link)).json()
            parts += answer["data"]
            assert (answer["links"]["next"] is None) == (answer["meta"]["next_cursor"] is None)
            link = answer["links"]["next"]
        assert parts == whole

    @pytest.mark.parametrize("cursor", ["x", "####", write_cursor(RowPlace(5)), "W10", "ü"])
    async def test_what_is_no_cursor_is_named(self, tenant: httpx.AsyncClient, made: Made, cursor: str) -> None:
        answer = await tenant.get(f"/api/contacts/{made.contact_ids[0]}/timeline", params={"cursor": cursor})
        assert (answer.status_code, [*answer.json()["errors"]]) == (422, ["cursor"])


class TestWhose:
    async def test_another_tenants_and_a_deleted_contact_are_not_found(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, made: Made
    ) -> None:
        path = f"/api/contacts/{made.contact_ids[0]}/timeline"
        assert (await stranger.get(path)).status_code == 404
        await database.execute("UPDATE contacts SET deleted_at = now() WHERE id = $1", made.contact_ids[0])
        assert (await tenant.get(path)).status_code == 404
