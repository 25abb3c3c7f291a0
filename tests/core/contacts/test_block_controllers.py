"""The block list over HTTP."""

from typing import Any

import httpx
import pytest

from core import database
from tests.core.contacts.making import add, add_contact, show


async def test_a_number_is_blocked_however_it_is_written(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, number="11 90000-1234")
    block = await add(tenant, "block-contacts", number="+55 (11) 90000-1234", reason="pediu")

    assert (block["number"], block["reason"]) == ("5511900001234", "pediu")
    assert (await show(tenant, f"contacts/{contact['id']}"))["blocked"] is True
    assert await show(tenant, f"block-contacts/{block['id']}") == block


async def test_blocking_again_keeps_the_entry_and_its_reason(tenant: httpx.AsyncClient) -> None:
    first = await add(tenant, "block-contacts", number="11900001234", reason="pediu")
    again = await add(tenant, "block-contacts", number="11900001234")
    other = await add(tenant, "block-contacts", number="11900001234", reason="de novo")

    assert (again["id"], again["reason"]) == (first["id"], "pediu")
    assert (other["id"], other["reason"]) == (first["id"], "de novo")


async def test_the_list_is_searched_by_number(tenant: httpx.AsyncClient) -> None:
    await add(tenant, "block-contacts", number="11900001234")
    await add(tenant, "block-contacts", number="21900005678")

    assert [block["number"] for block in await show(tenant, "block-contacts")] == ["5521900005678", "5511900001234"]
    assert [block["number"] for block in await show(tenant, "block-contacts?search=(11) 90000")] == ["5511900001234"]


async def test_the_entry_outlives_the_contact(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, number="11900001234")
    await add(tenant, "block-contacts", number="11900001234")
    await tenant.delete(f"/api/contacts/{contact['id']}")

    assert (await add_contact(tenant, number="11900001234"))["blocked"] is True


@pytest.mark.parametrize("by", ["id", "number"])
async def test_unblocking_ends_the_opt_out_too(tenant: httpx.AsyncClient, by: str) -> None:
    contact = await add_contact(tenant, number="11900001234")
    block = await add(tenant, "block-contacts", number="11900001234")
    await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", contact["id"])
    if by == "number":
        answer = await tenant.post("/api/block-contacts/remove", json={"number": "(11) 90000-1234"})
    else:
        answer = await tenant.delete(f"/api/block-contacts/{block['id']}")

    assert answer.status_code == 204
    assert (await show(tenant, f"contacts/{contact['id']}"))["blocked"] is False
    assert await show(tenant, "block-contacts") == []


async def test_a_contact_who_opted_out_is_unblocked_by_number(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, number="11900001234")
    await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", contact["id"])
    answers = [await tenant.post("/api/block-contacts/remove", json={"number": "11900001234"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 404]


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({}, {"number": ["This field is required."]}),
        ({"number": "12"}, {"number": ["Digits are missing: write area code and number."]}),
        ({"number": "11900001234", "country": "XX"}, {"country": ["There is no such country."]}),
        ({"number": "11900001234", "reason": "x" * 121}, {"reason": ["Must have at most 120 characters."]}),
    ],
)
async def test_bad_fields_are_named(
    tenant: httpx.AsyncClient, fields: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    answer = await tenant.post("/api/block-contacts", json=fields)

    assert answer.status_code == 422
    assert answer.json()["errors"] == errors
    assert await show(tenant, "block-contacts") == []


async def test_another_tenants_entry_does_not_exist(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    block = await add(stranger, "block-contacts", number="11900001234")
    contact = await add_contact(tenant, number="11900001234")
    answers = [
        await tenant.get(f"/api/block-contacts/{block['id']}"),
        await tenant.delete(f"/api/block-contacts/{block['id']}"),
        await tenant.post("/api/block-contacts/remove", json={"number": "11900001234"}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert contact["blocked"] is False
    assert await show(stranger, f"block-contacts/{block['id']}") == block


class TestAddresses:
    async def test_whoever_goes_by_it_is_blocked_in_every_form(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        contact = await add_contact(tenant, addresses={"waha": "987654321"})
        theirs = await add(stranger, "contacts", addresses={"waha": "987654321"})
        block = await add(tenant, "block-contacts", address="987654321", reason="pediu")

        assert (block["number"], block["address"], block["reason"]) == (None, "987654321", "pediu")
        assert (await show(tenant, f"contacts/{contact['id']}"))["blocked"] is True
        assert (await show(stranger, f"contacts/{theirs['id']}"))["blocked"] is False
        await tenant.delete(f"/api/contacts/{contact['id']}")
        assert (await add_contact(tenant, number=f"+{contact['number']}"))["blocked"] is True

    async def test_blocking_again_keeps_the_entry(self, tenant: httpx.AsyncClient) -> None:
        first = await add(tenant, "block-contacts", address="987654321", reason="pediu")

        assert (await add(tenant, "block-contacts", address="987654321"))["id"] == first["id"]

    @pytest.mark.parametrize("by", ["id", "address"])
    async def test_unblocking_frees_people_and_groups(self, tenant: httpx.AsyncClient, by: str) -> None:
        person = await add(tenant, "contacts", addresses={"waha": "987654321"})
        group = await add(tenant, "contacts", type=2, addresses={"waha": "-1987654321"})
        for contact in (person, group):
            address = contact["addresses"]["waha"]
            block = await add(tenant, "block-contacts", address=address)
            assert (await show(tenant, f"contacts/{contact['id']}"))["blocked"] is True
            if by == "id":
                answer = await tenant.delete(f"/api/block-contacts/{block['id']}")
            else:
                answer = await tenant.post("/api/block-contacts/remove", json={"address": address})
            assert answer.status_code == 204
            assert (await show(tenant, f"contacts/{contact['id']}"))["blocked"] is False
        assert await show(tenant, "block-contacts") == []

    async def test_a_group_made_later_is_blocked(self, tenant: httpx.AsyncClient) -> None:
        await add(tenant, "block-contacts", address="120363000000000001@g.us")

        assert (await add(tenant, "contacts", type=2, addresses={"waha": "120363000000000001@g.us"}))["blocked"] is True

    async def test_a_phone_in_an_address_is_a_number(self, tenant: httpx.AsyncClient) -> None:
        block = await add(tenant, "block-contacts", address="5511900001234@c.us")

        assert (block["number"], block["address"]) == ("5511900001234", None)

    async def test_the_list_is_searched_by_address(self, tenant: httpx.AsyncClient) -> None:
        await add(tenant, "block-contacts", address="987654321@lid")
        await add(tenant, "block-contacts", number="11900001234")

        assert [block["address"] for block in await show(tenant, "block-contacts?search=54321@LID")] == [
            "987654321@lid"
        ]

    @pytest.mark.parametrize("path", ["block-contacts", "block-contacts/remove"])
    @pytest.mark.parametrize(
        ("fields", "errors"),
        [
            ({"address": "987654321", "number": "11900001234"}, {"address": ["Leave this out when number is given."]}),
            ({"address": "a b c"}, {"address": ["Does not have the required form."]}),
            ({"address": "123@c.us"}, {"address": ["Digits are missing: write area code and number."]}),
        ],
    )
    async def test_bad_ones_are_named(
        self, tenant: httpx.AsyncClient, path: str, fields: dict[str, str], errors: dict[str, list[str]]
    ) -> None:
        answer = await tenant.post(f"/api/{path}", json=fields)

        assert (answer.status_code, answer.json()["errors"]) == (422, errors)

    async def test_one_that_is_not_blocked_is_not_found(self, tenant: httpx.AsyncClient) -> None:
        answer = await tenant.post("/api/block-contacts/remove", json={"address": "987654321"})

        assert (answer.status_code, answer.json()["detail"]) == (404, "No blocked address 987654321 was found.")
