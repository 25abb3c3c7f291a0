"""An erased contact is nowhere in the database, and is never written to again."""

import secrets
from datetime import UTC, datetime

import httpx
import msgspec
import pytest

from core import database
from core.contacts.suppressions import is_suppressed
from core.errors import NotFoundError
from core.privacy.people import erase_contact
from tests.core.campaigns.making import (
    SENT,
    Made,
    counters,
    insert,
    leased,
    make_campaign,
    running,
    settle_rows,
    start,
    states,
)
from tests.core.contacts.making import run_import, show
from tests.core.privacy.searching import places_of
from tests.factories import Member


class Person(msgspec.Struct):
    """Somebody with texts that stand nowhere else."""

    contact_id: int
    number: str
    lid: str
    name: str
    city: str

    @property
    def planted(self) -> list[str]:
        return [self.number, self.lid.partition("@")[0], self.name, self.city]


async def _plant(user: Member, made: Made) -> Person:
    """Give a contact of a campaign a name and an address of its own, wherever the platform writes such things down."""
    mark = secrets.token_hex(6)
    lid = f"{secrets.randbelow(10**15)}9@lid"
    # No other test writes numbers of this area, so whatever is found was left by the erasure.
    number = f"55989{80000000 + secrets.randbelow(10**7)}"
    person = Person(made.contact_ids[0], number, lid, f"N{mark}", f"C{mark}")
    await database.execute(
        "UPDATE contacts SET name = $2, variables = $3, number = $4 WHERE id = $1",
        person.contact_id,
        person.name,
        database.encode_json({"cidade": person.city}),
        person.number,
    )
    number_id = made.number_ids[0]
    await insert(
        "contact_addresses",
        contact_id=person.contact_id,
        provider="test",
        number=person.number,
        address=person.lid,
        checked_at=datetime.now(UTC),
    )
    await insert(
        "number_identities", number_id=number_id, address=person.lid, phone=person.number, updated_at=datetime.now(UTC)
    )
    await insert(
        "number_checks",
        provider="test",
        number=person.number,
        found=True,
        address=person.lid,
        checked_at=datetime.now(UTC),
    )
    await insert("block_contacts", user_id=user.id, number=person.number, reason="asked")
    await insert(
        "conversations",
        user_id=user.id,
        contact_id=person.contact_id,
        number_id=number_id,
        last_inbound_at=datetime.now(UTC),
    )
    await insert(
        "webhook_events",
        plugin="test",
        number_id=number_id,
        dedupe_key=f"true_{person.number}@c.us_3EB0{mark}",
        kind="message_in",
        event=database.encode_json({"text": f"sou {person.name}", "phone": person.number}),
        received_at=datetime.now(UTC),
        due_at=datetime.now(UTC),
    )
    payload = {"number_id": number_id, "payload": {"from": person.lid}}
    await insert("webhooks_log", type="test", payload=database.encode_json(payload))
    job = {"address": person.lid, "text": "ok"}
    await insert("jobs", user_id=user.id, kind="test", status="failed", params=database.encode_json(job))
    measured = {"messages": [{"most_frequent_text": f"Oi {person.name}"}]}
    await insert(
        "jobs", user_id=user.id, kind="campaigns.entropy", status="done", result=database.encode_json(measured)
    )
    upload = await insert("imports", user_id=user.id, filename="a.csv", path="imports/a")
    await insert(
        "import_errors",
        import_id=upload,
        line=2,
        reason="taken",
        row=database.encode_json([person.name, f"+{person.number[:2]} {person.number[2:4]} {person.number[4:]}"]),
    )
    changes = {"name": [person.name, "x"], "number": [None, person.number]}
    await insert(
        "logs",
        user_id=user.id,
        account_id=user.id,
        action="contact.updated",
        entity="contact",
        entity_id=person.contact_id,
        changes=database.encode_json(changes),
    )
    await database.execute(
        "UPDATE message_by_contacts SET address = $2, provider_address = $3, variables = $4 WHERE contact_id = $1",
        person.contact_id,
        person.number,
        person.lid,
        database.encode_json({"nome": person.name, "cidade": person.city}),
    )
    await database.execute(
        "UPDATE message_attempts SET provider_id = $2 WHERE recipient_id IN"
        " (SELECT id FROM message_by_contacts WHERE contact_id = $1)",
        person.contact_id,
        f"true_{person.number}@c.us_{mark}",
    )
    return person


async def test_nothing_of_an_erased_contact_is_left(user: Member, tenant: httpx.AsyncClient) -> None:
    made, rows, moment = await leased(user)
    await settle_rows(rows, moment, **SENT)
    person = await _plant(user, made)
    counted = await counters(made.id)
    assert len(await places_of(person.planted)) >= 15
    answer = await tenant.delete(f"/api/contacts/{person.contact_id}/personal-data")
    assert answer.status_code == 204, answer.text
    assert await places_of(person.planted) == set()
    assert await counters(made.id) == counted
    assert await states(made.id) == ["sent", "sent", "sent"]
    assert (await tenant.get(f"/api/contacts/{person.contact_id}")).status_code == 404


async def test_an_erased_person_is_blocked_when_imported_again(user: Member, tenant: httpx.AsyncClient) -> None:
    made = await make_campaign(user)
    person = await _plant(user, made)
    await erase_contact(user.id, person.contact_id)
    done = await run_import(tenant, f"Nome;Celular\nSol;+{person.number}\n", public_name="Again")
    members = (await tenant.get(f"/api/publics/{done['public_id']}/contacts")).json()["data"]
    assert [(member["number"], member["blocked"]) for member in members] == [(person.number, True)]
    assert await is_suppressed(user.id, (person.lid,))


async def test_what_was_not_sent_yet_is_skipped(user: Member) -> None:
    made = await running(user)
    await erase_contact(user.id, made.contact_ids[1])
    assert await states(made.id) == ["pending", "skipped:contact_deleted", "pending"]
    assert await counters(made.id) == {"skipped": 1}


async def test_a_message_on_its_way_is_waited_for(user: Member, tenant: httpx.AsyncClient) -> None:
    made, _, _ = await leased(user)
    answer = await tenant.delete(f"/api/contacts/{made.contact_ids[0]}/personal-data")
    assert (answer.status_code, answer.json()["code"]) == (409, "contact_busy")
    assert (await show(tenant, f"contacts/{made.contact_ids[0]}"))["number"] == made.phones[0]


async def test_an_earlier_contact_of_the_same_person_is_erased_too(user: Member, tenant: httpx.AsyncClient) -> None:
    made = await make_campaign(user)
    person = await _plant(user, made)
    await tenant.delete(f"/api/contacts/{person.contact_id}")
    again = (await tenant.post("/api/contacts", json={"number": f"+{person.number}", "name": person.name})).json()
    await erase_contact(user.id, again["data"]["id"])
    assert await places_of(person.planted) == set()


async def test_another_tenants_contact_with_the_number_stays(
    user: Member, other_user: Member, tenant: httpx.AsyncClient
) -> None:
    made = await start(await make_campaign(user))
    theirs = await insert("contacts", user_id=other_user.id, number=made.phones[0], name="Theirs")
    await insert("block_contacts", user_id=other_user.id, number=made.phones[0])
    await erase_contact(user.id, made.contact_ids[0])
    row = await database.fetch_row("SELECT number, name, blocked_at FROM contacts WHERE id = $1", theirs)
    assert row is not None
    assert tuple(row) == (made.phones[0], "Theirs", None)
    kept = await database.fetch_value("SELECT count(*) FROM block_contacts WHERE user_id = $1", other_user.id)
    assert kept == 1
    with pytest.raises(NotFoundError):
        await erase_contact(user.id, theirs)
    assert (await tenant.delete(f"/api/contacts/{theirs}/personal-data")).status_code == 404
