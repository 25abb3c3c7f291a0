"""Contacts whom a service knows by an address instead of a number, over HTTP."""

from typing import Any

import httpx
import pytest

from core import database
from core.contacts.suppressions import find_person, suppress
from tests.core.contacts.making import add, add_contact, phone, show
from tests.factories import Member

CHAT = "987654321"
GROUP = "120363000000000001@g.us"


async def _answered(contact: dict[str, Any], address: str) -> None:
    """Write an address that a service gave for the contact's number."""
    await database.execute(
        "INSERT INTO contact_addresses (contact_id, provider, number, address, checked_at)"
        " VALUES ($1, 'waha', $2, $3, now())",
        contact["id"],
        contact["number"],
        address,
    )


async def _change(tenant: httpx.AsyncClient, contact: dict[str, Any], **changes: Any) -> dict[str, Any]:
    answer = await tenant.patch(f"/api/contacts/{contact['id']}", json=changes)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()["data"]
    return changed


class TestMaking:
    async def test_a_person_may_have_an_address_alone(self, tenant: httpx.AsyncClient) -> None:
        made = await add(tenant, "contacts", name="Ana", addresses={"waha": CHAT})

        assert (made["type"], made["number"], made["addresses"]) == (1, None, {"waha": CHAT})
        assert await show(tenant, f"contacts/{made['id']}") == made

    async def test_or_both(self, tenant: httpx.AsyncClient) -> None:
        made = await add_contact(tenant, addresses={"waha": CHAT})

        assert (made["number"] is not None, made["addresses"]) == (True, {"waha": CHAT})

    async def test_an_address_exists_once_for_a_tenant(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        made = await add(tenant, "contacts", addresses={"waha": CHAT})
        again = await tenant.post("/api/contacts", json={"addresses": {"waha": CHAT}})

        assert (again.status_code, again.json()["code"]) == (409, "contact_exists")
        assert again.json()["detail"] == f"Contact {made['id']} has this address already."
        assert (await add(stranger, "contacts", addresses={"waha": CHAT}))["id"] != made["id"]

    async def test_a_deleted_contact_frees_its_address(self, tenant: httpx.AsyncClient) -> None:
        made = await add(tenant, "contacts", addresses={"waha": CHAT})
        await tenant.delete(f"/api/contacts/{made['id']}")

        assert (await add(tenant, "contacts", addresses={"waha": CHAT}))["id"] != made["id"]

    async def test_it_counts_against_the_plan_as_any_other(self, tenant: httpx.AsyncClient, user: Member) -> None:
        plan_id = await database.fetch_value(
            "INSERT INTO plans (name, numbers_limit, contacts_limit, campaigns_limit) VALUES ('One', 1, 1, 1)"
            " RETURNING id"
        )
        await database.execute("UPDATE users SET plan_id = $2 WHERE id = $1", user.id, plan_id)
        await add(tenant, "contacts", addresses={"waha": CHAT})
        answer = await tenant.post("/api/contacts", json={"addresses": {"waha": f"{CHAT}0"}})

        assert answer.status_code == 402


class TestSearch:
    @pytest.mark.parametrize(
        ("search", "names"),
        [("987654321", ["Ana"]), ("8765", ["Ana"]), ("0001@G.US", ["Turma"]), ("20363", ["Turma"]), ("@g", [])],
    )
    async def test_finds_parts_of_addresses(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, search: str, names: list[str]
    ) -> None:
        await add(tenant, "contacts", name="Ana", addresses={"waha": CHAT})
        await add(tenant, "contacts", name="Turma", type=2, addresses={"waha": GROUP})
        await add_contact(tenant, number="11900000001", name="Bia")
        await add(stranger, "contacts", name="Deles", addresses={"waha": CHAT})
        answer = await tenant.get("/api/contacts", params={"search": search})

        assert [contact["name"] for contact in answer.json()["data"]] == names

    async def test_does_not_find_an_address_of_an_earlier_number(self, tenant: httpx.AsyncClient) -> None:
        contact = await add_contact(tenant)
        await _answered(contact, "181230000000001@lid")
        assert len(await show(tenant, "contacts?search=1812300")) == 1
        await _change(tenant, contact, number=f"+{phone()}")

        assert await show(tenant, "contacts?search=1812300") == []

    async def test_chooses_the_contacts_of_a_dynamic_audience(self, tenant: httpx.AsyncClient) -> None:
        await add(tenant, "contacts", addresses={"waha": CHAT})
        await add_contact(tenant)
        public = await add(tenant, "publics", name="Busca", type=2, filters={"search": "98765"})

        assert public["contacts_count"] == 1


class TestChanging:
    async def test_addresses_are_replaced(self, tenant: httpx.AsyncClient) -> None:
        contact = await add(tenant, "contacts", addresses={"waha": CHAT})
        changed = await _change(tenant, contact, addresses={"waha": f"{CHAT}0"})

        assert changed["addresses"] == {"waha": f"{CHAT}0"}
        assert (await add(tenant, "contacts", addresses={"waha": CHAT}))["id"] != contact["id"]

    async def test_what_is_not_named_stays(self, tenant: httpx.AsyncClient) -> None:
        contact = await add(tenant, "contacts", addresses={"waha": CHAT})

        assert (await _change(tenant, contact, name="Ana"))["addresses"] == {"waha": CHAT}

    async def test_a_number_comes_beside_the_address(self, tenant: httpx.AsyncClient) -> None:
        contact = await add(tenant, "contacts", addresses={"waha": CHAT})
        changed = await _change(tenant, contact, number="+5511987650001")
        assert (changed["number"], changed["addresses"]) == ("5511987650001", {"waha": CHAT})
        changed = await _change(tenant, contact, number="+5511987650002")
        assert (changed["number"], changed["addresses"]) == ("5511987650002", {"waha": CHAT})
        assert (await _change(tenant, contact, addresses={}))["addresses"] == {}

    async def test_an_address_that_was_answered_for_a_number_goes_with_it(self, tenant: httpx.AsyncClient) -> None:
        contact = await add_contact(tenant)
        await _answered(contact, "181230000000001@lid")
        assert (await show(tenant, f"contacts/{contact['id']}"))["addresses"] == {"waha": "181230000000001@lid"}

        assert (await _change(tenant, contact, number=f"+{phone()}"))["addresses"] == {}

    async def test_an_answered_one_may_be_sent_back_as_it_is(self, tenant: httpx.AsyncClient) -> None:
        contact = await add_contact(tenant)
        await _answered(contact, f"{contact['number']}@c.us")
        addresses = (await show(tenant, f"contacts/{contact['id']}"))["addresses"]

        assert (await _change(tenant, contact, addresses=addresses))["addresses"] == addresses

    @pytest.mark.parametrize(
        ("changes", "errors"),
        [
            ({"addresses": {}}, {"addresses": ["This field is required."]}),
            ({"addresses": {"pigeon": CHAT}}, {"addresses.pigeon": ["Must be one of: waha."]}),
            (
                {"addresses": {"waha": GROUP}},
                {"addresses.waha": ["This is the address of a group: make it a group (type 2)."]},
            ),
        ],
    )
    async def test_bad_ones_are_named_and_nothing_is_changed(
        self, tenant: httpx.AsyncClient, changes: dict[str, Any], errors: dict[str, list[str]]
    ) -> None:
        contact = await add(tenant, "contacts", addresses={"waha": CHAT})
        answer = await tenant.patch(f"/api/contacts/{contact['id']}", json={"name": "Novo", **changes})

        assert (answer.status_code, answer.json()["errors"]) == (422, errors)
        assert await show(tenant, f"contacts/{contact['id']}") == contact

    async def test_one_that_somebody_else_has_is_refused(self, tenant: httpx.AsyncClient) -> None:
        other = await add(tenant, "contacts", addresses={"waha": CHAT})
        contact = await add_contact(tenant)
        answer = await tenant.patch(f"/api/contacts/{contact['id']}", json={"addresses": {"waha": CHAT}})

        assert (answer.status_code, answer.json()["code"]) == (409, "contact_exists")
        assert f"Contact {other['id']} " in answer.json()["detail"]


class TestStayingOut:
    async def test_a_contact_made_with_an_address_that_opted_out_is_blocked(
        self, tenant: httpx.AsyncClient, user: Member
    ) -> None:
        await suppress(user.id, await find_person(user.id, (CHAT,)))

        assert (await add(tenant, "contacts", addresses={"waha": CHAT}))["blocked"] is True

    async def test_one_that_is_given_such_an_address_is_too_in_every_form(
        self, tenant: httpx.AsyncClient, user: Member
    ) -> None:
        await suppress(user.id, await find_person(user.id, (CHAT,)))
        contact = await add_contact(tenant)
        assert (await _change(tenant, contact, addresses={"waha": CHAT}))["blocked"] is True
        await tenant.delete(f"/api/contacts/{contact['id']}")

        assert (await add_contact(tenant, number=f"+{contact['number']}"))["blocked"] is True

    @pytest.mark.parametrize("way", ["one", "many", "another address"])
    async def test_who_opted_out_stays_so_when_the_address_goes(
        self, tenant: httpx.AsyncClient, user: Member, way: str
    ) -> None:
        contact = await add(tenant, "contacts", addresses={"waha": CHAT})
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE user_id = $1", user.id)
        if way == "one":
            await tenant.delete(f"/api/contacts/{contact['id']}")
        elif way == "many":
            await tenant.post("/api/contacts/bulk/delete", json={"ids": [contact["id"]]})
        else:
            await _change(tenant, contact, addresses={"waha": f"{CHAT}0"})

        assert (await add(tenant, "contacts", addresses={"waha": CHAT}))["blocked"] is True
