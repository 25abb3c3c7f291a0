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
