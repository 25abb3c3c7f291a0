"""Blocking one contact: the block list is what says so."""

import httpx

from tests.core.contacts.making import add, add_contact, show

LID = "181230000000031@lid"
GROUP = "120363000000000031@g.us"


async def _block(client: httpx.AsyncClient, contact_id: int, reason: str = "") -> bool:
    answer = await client.post(f"/api/contacts/{contact_id}/block", json={"reason": reason})
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["data"]["blocked"])


async def test_a_contact_is_blocked_by_number_with_its_reason(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    blocked = [await _block(tenant, made["id"], reason) for reason in ("asked by phone", "", "moved")]
    (entry,) = await show(tenant, "block-contacts")
    answer = await tenant.post(f"/api/contacts/{made['id']}/unblock")

    assert blocked == [True, True, True]
    assert (entry["number"], entry["reason"]) == (made["number"], "moved")
    assert answer.json()["data"]["blocked"] is False
    assert await show(tenant, "block-contacts") == []


async def test_who_has_no_number_and_groups_are_blocked_by_address(tenant: httpx.AsyncClient) -> None:
    person = await add_contact(tenant, number=None, addresses={"waha": LID})
    group = await add_contact(tenant, number=None, type=2, addresses={"waha": GROUP})
    blocked = [await _block(tenant, one["id"], "asked") for one in (person, group)]
    entries = {entry["address"] for entry in await show(tenant, "block-contacts")}
    freed = [(await tenant.post(f"/api/contacts/{one['id']}/unblock")).json() for one in (person, group)]

    assert blocked == [True, True]
    assert entries == {LID, GROUP}
    assert [one["data"]["blocked"] for one in freed] == [False, False]


async def test_what_the_list_says_of_a_number_is_so_of_its_contact(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    await add(tenant, "block-contacts", number=f"+{made['number']}", reason="listed")
    before = await show(tenant, f"contacts/{made['id']}")
    await tenant.post(f"/api/contacts/{made['id']}/unblock")

    assert before["blocked"] is True
    assert await show(tenant, "block-contacts") == []


async def test_a_contact_of_another_tenant_is_none(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    answers = [
        await stranger.post(f"/api/contacts/{made['id']}/block", json={}),
        await stranger.post(f"/api/contacts/{made['id']}/unblock"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert (await show(tenant, f"contacts/{made['id']}"))["blocked"] is False
