"""Merging contacts that are one person: what the one that stays has, and that no message reaches the person twice."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from core import database
from core.contacts.suppressions import find_person, suppress
from core.privacy.people import erase_contact
from tests.core.campaigns.making import Made, claim_all, insert, now, recipients, running
from tests.core.campaigns.sink import NAME
from tests.core.contacts.making import add, add_contact, phone, show
from tests.factories import Member

LID = "181230000000041@lid"


async def _merge(client: httpx.AsyncClient, contact_id: int, *others: int, **wishes: Any) -> httpx.Response:
    return await client.post(f"/api/contacts/{contact_id}/merge", json={"others": others, **wishes})


async def _merged(client: httpx.AsyncClient, contact_id: int, *others: int, **wishes: Any) -> dict[str, Any]:
    answer = await _merge(client, contact_id, *others, **wishes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


async def _rows(made: Made) -> list[tuple[int, int, str, str]]:
    """Contact, position, state and reason of a campaign's rows."""
    return [(row["contact_id"], row["position"], row["state"], row["reason"]) for row in await recipients(made.id)]


async def _timeline(client: httpx.AsyncClient, contact_id: int) -> list[tuple[str, str]]:
    return [(one["kind"], one["reason"]) for one in await show(client, f"contacts/{contact_id}/timeline")]


class TestFields:
    @pytest.mark.parametrize(
        ("prefer", "name", "city"), [("contact", "Ana", "Ibitinga"), ("others", "Ana Maria", "Itápolis")]
    )
    async def test_the_contact_gets_what_the_others_have(
        self, tenant: httpx.AsyncClient, prefer: str, name: str, city: str
    ) -> None:
        one, two = [(await add(tenant, "labels", name=label))["id"] for label in ("um", "dois")]
        public = await add(tenant, "publics", name="Todos")
        kept = await add_contact(tenant, name="Ana", labels=[one], variables={"cidade": "Ibitinga"})
        other = await add_contact(
            tenant,
            name="Ana Maria",
            labels=[two, one],
            variables={"cidade": "Itápolis", "time": "XV"},
            addresses={NAME: LID},
        )
        await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [other["id"]]})
        merged = await _merged(tenant, kept["id"], other["id"], prefer=prefer)

        assert (merged["id"], merged["number"], merged["name"]) == (kept["id"], kept["number"], name)
        assert (merged["variables"], merged["labels"]) == ({"cidade": city, "time": "XV"}, [one, two])
        assert merged["addresses"] == {NAME: LID}
        assert (await tenant.get(f"/api/contacts/{other['id']}")).status_code == 404
        members = await show(tenant, f"contacts?public_id={public['id']}")
        assert [member["id"] for member in members] == [kept["id"]]

    async def test_one_without_a_number_gets_the_others(self, tenant: httpx.AsyncClient) -> None:
        kept = await add_contact(tenant, number=None, addresses={NAME: LID})
        first, second = await add_contact(tenant), await add_contact(tenant)
        merged = await _merged(tenant, kept["id"], first["id"], second["id"])

        assert (merged["number"], merged["addresses"]) == (first["number"], {NAME: LID})

    async def test_the_line_of_the_log_tells_what_was(self, tenant: httpx.AsyncClient, user: Member) -> None:
        kept, other = await add_contact(tenant, name=""), await add_contact(tenant, name="Bia")
        await _merged(tenant, kept["id"], other["id"])
        line = await database.fetch_row(
            "SELECT data::text, changes::text FROM logs WHERE user_id = $1 AND action = 'contact.merged'", user.id
        )

        assert line is not None
        assert (line["data"], line["changes"]) == (f'{{"others": [{other["id"]}]}}', '{"name": ["", "Bia"]}')


class TestStayingOut:
    async def test_an_opt_out_of_one_is_of_all(self, tenant: httpx.AsyncClient, user: Member) -> None:
        kept, other = await add_contact(tenant), await add_contact(tenant)
        await suppress(user.id, await find_person(user.id, (other["number"],)))
        merged = await _merged(tenant, kept["id"], other["id"])
        again = await add_contact(tenant, number=f"+{other['number']}")

        assert (merged["blocked"], again["blocked"]) == (True, True)

    async def test_a_block_of_one_is_of_all(self, tenant: httpx.AsyncClient) -> None:
        kept, other = await add_contact(tenant), await add_contact(tenant)
        await tenant.post(f"/api/contacts/{other['id']}/block", json={"reason": "asked"})
        merged = await _merged(tenant, kept["id"], other["id"])

        assert merged["blocked"] is True
        assert {entry["number"]: entry["reason"] for entry in await show(tenant, "block-contacts")} == {
            kept["number"]: "asked",
            other["number"]: "asked",
        }


class TestCampaigns:
    async def test_of_two_that_wait_one_is_sent(self, tenant: httpx.AsyncClient, user: Member) -> None:
        made = await running(user, contacts=2)
        kept, other = made.contact_ids
        await _merged(tenant, kept, other)

        assert await _rows(made) == [(kept, 1, "pending", ""), (other, 1, "skipped", "contact_merged")]

    @pytest.mark.parametrize("state", ["accepted", "sent", "unknown"])
    async def test_what_went_out_to_one_is_not_sent_to_the_other(
        self, tenant: httpx.AsyncClient, user: Member, state: str
    ) -> None:
        made = await running(user, contacts=2)
        kept, other = made.contact_ids
        await database.execute(
            "UPDATE message_by_contacts SET state = $2, due_at = NULL, accepted_at = now() WHERE contact_id = $1",
            other,
            state,
        )
        await _merged(tenant, kept, other)
        claimed = await claim_all(made, await now())

        assert await _rows(made) == [(kept, 1, "skipped", "contact_merged"), (other, 1, state, "")]
        assert claimed.claimed == []
        assert "sent" in [kind for kind, _ in await _timeline(tenant, kept)]

    async def test_in_a_campaign_of_the_other_alone_the_contact_takes_its_place(
        self, tenant: httpx.AsyncClient, user: Member
    ) -> None:
        made = await running(user, contacts=1, messages=("a", "b"))
        kept = await add_contact(tenant)
        await _merged(tenant, kept["id"], made.contact_ids[0])
        claimed = await claim_all(made, await now())

        assert [one.contact_id for one in claimed.claimed] == [kept["id"]]
        assert [row[:2] for row in await _rows(made)] == [(kept["id"], 1), (kept["id"], 2)]

    async def test_one_that_is_being_sent_to_is_not_merged(self, tenant: httpx.AsyncClient, user: Member) -> None:
        made = await running(user, contacts=1)
        kept = await add_contact(tenant)
        await claim_all(made, await now())
        answer = await _merge(tenant, kept["id"], made.contact_ids[0])

        assert (answer.status_code, answer.json()["code"]) == (409, "contact_busy")
        assert (await tenant.get(f"/api/contacts/{made.contact_ids[0]}")).status_code == 200

    async def test_rows_that_somebody_holds_are_not_waited_for(
        self, tenant: httpx.AsyncClient, user: Member, config: Any
    ) -> None:
        made = await running(user, contacts=2)
        claiming = await asyncpg.connect(config.database.url.reveal())
        try:
            async with claiming.transaction():
                await claiming.execute("SELECT FROM message_by_contacts WHERE campaign_id = $1 FOR UPDATE", made.id)
                answer = await _merge(tenant, *made.contact_ids)
        finally:
            await claiming.close()

        assert (answer.status_code, answer.json()["code"]) == (409, "contact_busy")

    @pytest.mark.parametrize("attempt", range(5))
    async def test_a_claim_at_the_same_time_never_sends_to_both(
        self, tenant: httpx.AsyncClient, user: Member, attempt: int
    ) -> None:
        del attempt
        made = await running(user, contacts=6)
        kept, *others = made.contact_ids
        moment = await now()
        answer, _ = await asyncio.gather(_merge(tenant, kept, *others), claim_all(made, moment))
        await claim_all(made, moment + timedelta(minutes=2))
        states = [(row[0] == kept, row[2], row[3]) for row in await _rows(made)]

        # Refused once another was claimed; else the contact alone is, by one of the two claims.
        if answer.status_code == 200:
            assert states == [(True, "leased", ""), *[(False, "skipped", "contact_merged")] * 5]
        else:
            assert answer.json()["code"] == "contact_busy"

    async def test_a_campaign_that_is_being_written_down_is_waited_for(
        self, tenant: httpx.AsyncClient, user: Member
    ) -> None:
        made = await running(user, contacts=2)
        await database.execute("UPDATE campaigns SET frozen_at = NULL WHERE id = $1", made.id)
        answer = await _merge(tenant, *made.contact_ids)

        assert (answer.status_code, answer.json()["code"]) == (409, "campaign_freezing")

    async def test_the_unanswered_messages_to_the_other_count(self, tenant: httpx.AsyncClient, user: Member) -> None:
        kept, other = await add_contact(tenant), await add_contact(tenant)
        moment = await now()
        await database.execute(
            "INSERT INTO contact_activity (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id,"
            " last_at) VALUES ($1, $2, 3, $3, 2, 2, 7, $3)",
            other["id"],
            user.id,
            moment,
        )
        await _merged(tenant, kept["id"], other["id"])
        row = await database.fetch_row(
            "SELECT day_used, unanswered, campaign_id, last_at FROM contact_activity WHERE contact_id = $1", kept["id"]
        )

        assert row is not None
        assert tuple(row) == (2, 2, 7, moment)


class TestAfterwards:
    async def test_the_timeline_tells_of_all_of_them(self, tenant: httpx.AsyncClient) -> None:
        kept, other = await add_contact(tenant), await add_contact(tenant)
        last = await add_contact(tenant)
        await tenant.post(f"/api/contacts/{other['id']}/block", json={"reason": "asked"})
        await tenant.post(f"/api/contacts/{other['id']}/unblock")
        await _merged(tenant, kept["id"], other["id"])
        await _merged(tenant, last["id"], kept["id"])

        assert await _timeline(tenant, last["id"]) == [
            ("merged", kept["number"]),
            ("merged", other["number"]),
            ("unblocked", ""),
            ("blocked", "asked"),
            ("created", ""),
        ]

    async def test_erasing_the_contact_erases_them_all(self, tenant: httpx.AsyncClient, user: Member) -> None:
        kept, other = await add_contact(tenant, name="Ana"), await add_contact(tenant, name="Bia")
        await _merged(tenant, kept["id"], other["id"])
        await erase_contact(user.id, kept["id"])
        left = await database.fetch("SELECT number, name FROM contacts WHERE user_id = $1", user.id)

        assert [tuple(row) for row in left] == [(None, ""), (None, "")]
        assert await database.fetch("SELECT FROM contact_events WHERE user_id = $1", user.id) == []


class TestAsking:
    async def test_a_contact_of_another_tenant_is_none(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        own, foreign = await add_contact(tenant), await add_contact(stranger)

        answer = await _merge(tenant, own["id"], foreign["id"])

        assert answer.status_code == 422
        assert answer.json()["errors"] == {"others": [f"There is no contact {foreign['id']}."]}
        assert (await _merge(tenant, foreign["id"], own["id"])).status_code == 404

    async def test_a_contact_is_not_merged_into_itself(self, tenant: httpx.AsyncClient) -> None:
        one = (await add_contact(tenant))["id"]
        answer = await _merge(tenant, one, one)

        assert (answer.status_code, answer.json()["errors"]) == (
            422,
            {"others": ["Name other contacts: this one stays."]},
        )

    async def test_a_group_is_no_person(self, tenant: httpx.AsyncClient) -> None:
        group = await add_contact(tenant, number=None, type=2, addresses={NAME: "120363000000000041@g.us"})
        answer = await _merge(tenant, (await add_contact(tenant))["id"], group["id"])

        assert (answer.status_code, answer.json()["code"]) == (409, "merge_mixed")


class TestDuplicates:
    async def test_are_told_by_what_services_answered_and_never_guessed(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        new = phone()
        old = f"{new[:4]}{new[5:]}"
        long, short = [await add_contact(tenant, number=f"+{number}") for number in (new, old)]
        await add_contact(stranger, number=f"+{new}")
        guessed = await show(tenant, "contacts/duplicates")
        moment = await now()
        await insert("number_checks", provider=NAME, number=new, found=True, address=f"{old}@c.us", checked_at=moment)
        (group,) = await show(tenant, "contacts/duplicates")

        assert guessed == []
        assert (group["address"], [one["id"] for one in group["contacts"]]) == (old, [long["id"], short["id"]])
        assert await show(stranger, "contacts/duplicates") == []

    async def test_one_address_of_two_contacts_makes_them_one_group(self, tenant: httpx.AsyncClient) -> None:
        made = [await add_contact(tenant) for _ in range(3)]
        moment = await now()
        for one in made[:2]:
            await insert(
                "contact_addresses",
                contact_id=one["id"],
                provider=NAME,
                number=one["number"],
                address=LID,
                checked_at=moment,
            )
        answer = (await tenant.get("/api/contacts/duplicates")).json()

        assert [one["id"] for one in answer["data"][0]["contacts"]] == [one["id"] for one in made[:2]]
        assert answer["meta"]["total"] == 1
