"""Who opted out stays out, whatever becomes of the contact."""

import httpx

from core import database
from core.contacts.suppressions import (
    KEY_SETTING,
    find_person,
    is_suppressed,
    lift,
    suppress,
    suppressed_forms,
)
from core.settings.services import get_setting
from tests.core.contacts.making import add_contact, phone, run_import, show
from tests.factories import Member

LID = "123456789012345@lid"


async def _opt_out(user: Member, *forms: str) -> bool:
    return await suppress(user.id, await find_person(user.id, forms))


async def _blocked(tenant: httpx.AsyncClient, contact_id: int) -> bool:
    return bool((await show(tenant, f"contacts/{contact_id}"))["blocked"])


async def test_the_contact_is_blocked(tenant: httpx.AsyncClient, user: Member) -> None:
    contact = await add_contact(tenant)
    assert await _opt_out(user, contact["number"])
    assert await _blocked(tenant, contact["id"])


async def test_a_second_time_is_nothing_new(user: Member) -> None:
    number = phone()
    assert await _opt_out(user, number)
    assert not await _opt_out(user, number)


async def test_another_tenants_contact_stays(stranger: httpx.AsyncClient, user: Member, other_user: Member) -> None:
    number = phone()
    theirs = await add_contact(stranger, number=f"+{number}")
    await _opt_out(user, number)
    assert not await _blocked(stranger, theirs["id"])
    assert not await is_suppressed(other_user.id, (number,))


async def test_neither_number_nor_plain_hash_is_stored(user: Member) -> None:
    number = phone()
    await _opt_out(user, number)
    digests = await database.fetch("SELECT digest FROM suppressions WHERE user_id = $1", user.id)
    # With and without the ninth digit.
    assert [len(row["digest"]) for row in digests] == [32, 32]
    key = await get_setting(KEY_SETTING)
    assert key is not None
    assert key.startswith("v1.")


async def test_who_is_erased_and_made_again_is_blocked(tenant: httpx.AsyncClient, user: Member) -> None:
    contact = await add_contact(tenant)
    await _opt_out(user, contact["number"])
    await database.execute("DELETE FROM contacts WHERE id = $1", contact["id"])
    again = await add_contact(tenant, number=f"+{contact['number']}")
    assert again["blocked"] is True


async def test_a_ninth_digit_brings_nobody_back(tenant: httpx.AsyncClient, user: Member) -> None:
    await _opt_out(user, "5511987650001")
    old_form = await add_contact(tenant, number="+55 11 8765-0001")
    assert old_form["number"] == "551187650001"
    assert old_form["blocked"] is True


async def test_an_import_brings_nobody_back(tenant: httpx.AsyncClient, user: Member) -> None:
    out, fine = phone(), phone()
    await _opt_out(user, out)
    await run_import(tenant, f"number,name\n+{out},Ana\n+{fine},Bia\n")
    rows = await database.fetch(
        "SELECT name, blocked_at IS NOT NULL AS blocked FROM contacts WHERE user_id = $1 ORDER BY id", user.id
    )
    assert [(row["name"], row["blocked"]) for row in rows] == [("Ana", True), ("Bia", False)]


async def test_a_contact_that_gets_a_suppressed_number_is_blocked(tenant: httpx.AsyncClient, user: Member) -> None:
    out = phone()
    await _opt_out(user, out)
    contact = await add_contact(tenant)
    changed = await tenant.patch(f"/api/contacts/{contact['id']}", json={"number": f"+{out}"})
    assert changed.json()["data"]["blocked"] is True


async def test_the_address_a_check_gave_is_a_form_of_the_person(tenant: httpx.AsyncClient, user: Member) -> None:
    contact = await add_contact(tenant)
    await database.execute(
        "INSERT INTO number_checks (provider, number, found, address, checked_at) VALUES ('waha', $1, true, $2, now())",
        contact["number"],
        f"{contact['number']}@c.us",
    )
    await _opt_out(user, f"{contact['number']}@c.us")
    assert await _blocked(tenant, contact["id"])
    assert await is_suppressed(user.id, (contact["number"],))


async def test_numbers_are_told_by_the_address_of_their_check(user: Member) -> None:
    number = phone()
    await _opt_out(user, LID)
    await database.execute(
        "INSERT INTO number_checks (provider, number, found, address, checked_at) VALUES ('waha', $1, true, $2, now())",
        number,
        LID,
    )
    assert await suppressed_forms(user.id, (number, phone())) == {number}


async def test_nobody_opted_out_of_an_empty_list(user: Member) -> None:
    assert await suppressed_forms(user.id, (phone(),)) == frozenset()


async def test_lifting_frees_every_form(tenant: httpx.AsyncClient, user: Member) -> None:
    contact = await add_contact(tenant, number="+5511987650002")
    await _opt_out(user, "551187650002")
    assert await _blocked(tenant, contact["id"])
    assert await lift(user.id, ("5511987650002",)) == 3
    assert not await _blocked(tenant, contact["id"])
    assert not await is_suppressed(user.id, ("551187650002",))


async def test_a_deleted_contact_is_freed_by_number(tenant: httpx.AsyncClient, user: Member) -> None:
    contact = await add_contact(tenant)
    await _opt_out(user, contact["number"])
    await tenant.delete(f"/api/contacts/{contact['id']}")
    answer = await tenant.post("/api/block-contacts/remove", json={"number": f"+{contact['number']}"})
    assert answer.status_code == 204, answer.text
    assert (await add_contact(tenant, number=f"+{contact['number']}"))["blocked"] is False
