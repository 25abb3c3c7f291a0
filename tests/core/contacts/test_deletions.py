"""Undoing deletions: who comes back with what, who cannot, and until when."""

from typing import Any

import httpx
import pytest

from core import database
from core.contacts import deletions
from core.contacts.suppressions import find_person, suppress
from core.jobs import leasing
from core.jobs.services import JobContext, JobInterruptedError
from core.privacy.people import erase_contact
from tests.conftest import ClientOf
from tests.core.contacts.making import add, add_contact, make_limited_member, phone, run_bulk, run_undo, show
from tests.factories import Member

LID = "181230000000021@lid"


async def _delete(client: httpx.AsyncClient, *ids: int) -> int:
    answer = await client.post("/api/contacts/bulk/delete", json={"ids": ids})
    deletion_id = answer.json()["data"]["deletion_id"]
    assert isinstance(deletion_id, int)
    return deletion_id


async def test_contacts_come_back_with_labels_memberships_and_addresses(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "BATCH", 2)
    label = (await add(tenant, "labels", name="clientes"))["id"]
    public = await add(tenant, "publics", name="Todos")
    made = [await add_contact(tenant, name=f"N{n}", labels=[label], variables={"cidade": "Ibitinga"}) for n in range(4)]
    made.append(await add_contact(tenant, number=None, addresses={"waha": LID}))
    await tenant.post(f"/api/publics/{public['id']}/contacts", json={"filter": {}})
    deleted = await run_bulk(tenant, "delete", filter={})
    gone = await show(tenant, "contacts")
    job = await run_undo(tenant, deleted["result"]["deletion_id"])
    back = await show(tenant, "contacts?sort=id")
    (deletion,) = await show(tenant, "contacts/deletions")

    assert gone == []
    assert (job["status"], job["done"], job["total"]) == ("done", 5, 5)
    assert job["result"] == {"restored": 5, "taken": 0, "over_plan": 0}
    assert [{**one, "updated_at": None} for one in back] == [{**one, "updated_at": None} for one in made]
    assert (await show(tenant, f"publics/{public['id']}"))["contacts_count"] == 5
    assert (deletion["contacts"], deletion["restored"]) == (5, 5)


async def test_an_undo_that_is_interrupted_at_every_step_counts_everybody_once(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "BATCH", 2)
    made = [(await add_contact(tenant))["id"] for _ in range(5)]
    deletion = await _delete(tenant, *made)
    asked = (await tenant.post(f"/api/contacts/deletions/{deletion}/undo")).json()["data"]
    saved = JobContext.checkpoint
    steps = 0

    async def checkpoint(self: JobContext, *args: Any, **more: Any) -> None:
        nonlocal steps
        await saved(self, *args, **more)
        steps += 1
        if steps % 2:
            raise JobInterruptedError

    monkeypatch.setattr(JobContext, "checkpoint", checkpoint)
    for _ in range(5):
        await leasing.run_job(asked["id"])
    job = await show(tenant, f"jobs/{asked['id']}")

    assert (job["status"], job["done"], job["result"]) == ("done", 5, {"restored": 5, "taken": 0, "over_plan": 0})
    assert [found["id"] for found in await show(tenant, "contacts?sort=id")] == made
    assert steps == 8


async def test_one_that_is_deleted_alone_comes_back_too(tenant: httpx.AsyncClient) -> None:
    made = await add_contact(tenant)
    await tenant.delete(f"/api/contacts/{made['id']}")
    (deletion,) = await show(tenant, "contacts/deletions")
    await run_undo(tenant, deletion["id"])

    assert [one["id"] for one in await show(tenant, "contacts")] == [made["id"]]


async def test_whose_number_or_address_another_contact_has_now_stays_deleted(tenant: httpx.AsyncClient) -> None:
    one, two = await add_contact(tenant), await add_contact(tenant, number=None, addresses={"waha": LID})
    free = await add_contact(tenant)
    deletion = await _delete(tenant, one["id"], two["id"], free["id"])
    new = await add_contact(tenant, number=f"+{one['number']}")
    other = await add_contact(tenant, addresses={"waha": LID})
    job = await run_undo(tenant, deletion)

    assert job["result"] == {"restored": 1, "taken": 2, "over_plan": 0}
    assert [found["id"] for found in await show(tenant, "contacts?sort=id")] == [free["id"], new["id"], other["id"]]


async def test_the_plan_decides_how_many_come_back_and_the_rest_can_later(api: ClientOf) -> None:
    member = await make_limited_member(contacts_limit=3)
    async with api(member) as client:
        old = [(await add_contact(client))["id"] for _ in range(3)]
        deletion = await _delete(client, *old)
        new = await add_contact(client)
        first = await run_undo(client, deletion)
        refused = await client.post(f"/api/contacts/deletions/{deletion}/undo")
        await client.delete(f"/api/contacts/{new['id']}")
        second = await run_undo(client, deletion)
        there = [found["id"] for found in await show(client, "contacts?sort=id")]

    assert first["result"] == {"restored": 2, "taken": 0, "over_plan": 1}
    assert (refused.status_code, refused.json()["code"]) == (402, "plan_limit")
    assert second["result"] == {"restored": 1, "taken": 0, "over_plan": 0}
    assert there == old


async def test_who_opted_out_meanwhile_comes_back_blocked_and_whose_block_ended_does_not(
    tenant: httpx.AsyncClient, user: Member
) -> None:
    fresh, out, freed = [await add_contact(tenant) for _ in range(3)]
    for contact in (out, freed):
        await suppress(user.id, await find_person(user.id, (contact["number"],)))
    deletion = await _delete(tenant, fresh["id"], out["id"], freed["id"])
    await suppress(user.id, await find_person(user.id, (fresh["number"],)))
    await tenant.post("/api/block-contacts/remove", json={"number": f"+{freed['number']}"})
    await run_undo(tenant, deletion)
    blocked = {one["id"]: one["blocked"] for one in await show(tenant, "contacts")}

    assert blocked == {fresh["id"]: True, out["id"]: True, freed["id"]: False}


async def test_who_was_erased_never_comes_back(tenant: httpx.AsyncClient, user: Member) -> None:
    erased, other = await add_contact(tenant), await add_contact(tenant)
    deletion = await _delete(tenant, erased["id"], other["id"])
    await erase_contact(user.id, erased["id"])
    job = await run_undo(tenant, deletion)

    assert (job["total"], job["result"]) == (1, {"restored": 1, "taken": 0, "over_plan": 0})
    assert [one["id"] for one in await show(tenant, "contacts")] == [other["id"]]


class TestAsking:
    async def test_a_deletion_of_another_tenant_is_none(
        self, tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
    ) -> None:
        deletion = await _delete(tenant, (await add_contact(tenant))["id"])

        assert (await stranger.post(f"/api/contacts/deletions/{deletion}/undo")).status_code == 404
        assert await show(stranger, "contacts/deletions") == []

    async def test_after_thirty_days_it_is_too_late(self, tenant: httpx.AsyncClient) -> None:
        deletion = await _delete(tenant, (await add_contact(tenant))["id"])
        moved = "UPDATE contact_deletions SET created_at = now() - interval '30 days 1 minute' WHERE id = $1"
        await database.execute(moved, deletion)
        answer = await tenant.post(f"/api/contacts/deletions/{deletion}/undo")

        assert (answer.status_code, answer.json()["code"]) == (409, "undo_expired")
        assert answer.json()["detail"] == f"Deletion {deletion} can no longer be undone: that is possible for 30 days."
        assert await show(tenant, "contacts/deletions") == []

    async def test_a_second_undo_waits_for_the_first_and_finds_nobody(self, tenant: httpx.AsyncClient) -> None:
        deletion = await _delete(tenant, (await add_contact(tenant))["id"])
        first = await tenant.post(f"/api/contacts/deletions/{deletion}/undo")
        second = await tenant.post(f"/api/contacts/deletions/{deletion}/undo")
        await tenant.post(f"/api/jobs/{first.json()['data']['id']}/cancel")
        await run_undo(tenant, deletion)
        third = await tenant.post(f"/api/contacts/deletions/{deletion}/undo")

        assert (second.status_code, second.json()["code"]) == (409, "deletion_running")
        assert (third.status_code, third.json()["code"]) == (409, "nothing_to_undo")

    async def test_a_deletion_that_is_at_work_cannot_be_undone(self, tenant: httpx.AsyncClient) -> None:
        await add_contact(tenant)
        await tenant.post("/api/contacts/bulk/delete", json={"filter": {}})
        deletion = await database.fetch_value("SELECT max(id) FROM contact_deletions")
        answer = await tenant.post(f"/api/contacts/deletions/{deletion}/undo")

        assert (answer.status_code, answer.json()["code"]) == (409, "deletion_running")


async def test_of_two_with_one_number_the_first_comes_back(tenant: httpx.AsyncClient, user: Member) -> None:
    one, two = await add_contact(tenant), await add_contact(tenant)
    deletion = await _delete(tenant, one["id"], two["id"])
    await database.execute("UPDATE contacts SET number = $2 WHERE user_id = $1", user.id, phone())
    job = await run_undo(tenant, deletion)

    assert job["result"] == {"restored": 1, "taken": 1, "over_plan": 0}
    assert [found["id"] for found in await show(tenant, "contacts")] == [one["id"]]
