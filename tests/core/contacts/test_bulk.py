"""Jobs that change all contacts of a filter: who is meant, and that a crash doubles nobody and leaves nobody out."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import database
from core.config import PlatformConfig, server_variables
from core.contacts import bulk
from core.jobs import leasing
from core.jobs.services import JobContext, JobInterruptedError, cancel_job
from tests.core.contacts.making import add, add_contact, phone, run_bulk, run_job, show
from tests.factories import Member

ROOT = Path(__file__).parents[3]


async def _insert(user_id: int, count: int, labels: str = "[]") -> list[int]:
    rows = await database.fetch(
        "INSERT INTO contacts (user_id, number, name, variables, labels, type, status, created_at, updated_at)"
        " SELECT $1, number, '', '{}', $3, 1, 1, now(), now() FROM unnest($2::text[]) AS number RETURNING id",
        user_id,
        [phone() for _ in range(count)],
        labels,
    )
    return [row["id"] for row in rows]


async def _kept(user_id: int) -> int:
    """Return how many rows of chosen contacts are written down for the tenant's jobs."""
    found = await database.fetch_value(
        "SELECT count(*) FROM bulk_selections s JOIN jobs j ON j.id = s.job_id WHERE j.user_id = $1", user_id
    )
    return int(str(found))


async def _lines(user_id: int, action: str) -> list[int]:
    rows = await database.fetch(
        "SELECT data->>'count' AS count FROM logs WHERE user_id = $1 AND action = $2 ORDER BY id", user_id, action
    )
    return [int(row["count"]) for row in rows]


async def test_a_label_takes_its_contacts_out_of_the_filter_and_everybody_gets_it(
    tenant: httpx.AsyncClient, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 3)
    label = (await add(tenant, "labels", name="novo"))["id"]
    await _insert(user.id, 10)
    had = await add_contact(tenant, labels=[label])
    job = await run_bulk(tenant, "labels", filter={"labels": {"none": [label]}}, add=[label])

    assert (job["status"], job["done"], job["total"], job["result"]) == ("done", 10, 10, {"affected": 10})
    assert [contact["labels"] for contact in await show(tenant, "contacts")] == [[label]] * 11
    assert (await show(tenant, f"contacts/{had['id']}"))["updated_at"] == had["updated_at"]
    assert await _lines(user.id, "contact.many_labeled") == [10]
    assert await _kept(user.id) == 0


async def test_those_are_meant_whom_the_filter_described_when_it_was_asked_for(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    label = (await add(tenant, "labels", name="velho"))["id"]
    meant, other = await add_contact(tenant, labels=[label]), await add_contact(tenant)
    foreign = await add_contact(stranger)
    chosen = {"filter": {"labels": {"any": [label]}}}
    asked = (await tenant.post("/api/contacts/bulk/delete", json=chosen)).json()["data"]
    await tenant.patch(f"/api/contacts/{meant['id']}", json={"labels": []})
    await tenant.patch(f"/api/contacts/{other['id']}", json={"labels": [label]})
    later = await add_contact(tenant, labels=[label])
    job = await run_job(tenant, asked["id"])
    (deletion,) = await show(tenant, "contacts/deletions")

    assert (asked["kind"], asked["total"], asked["done"]) == ("contacts.bulk", 1, 0)
    assert job["result"] == {"affected": 1, "deletion_id": deletion["id"]}
    assert (deletion["job_id"], deletion["contacts"]) == (job["id"], 1)
    assert [contact["id"] for contact in await show(tenant, "contacts")] == [later["id"], other["id"]]
    assert [contact["id"] for contact in await show(stranger, "contacts")] == [foreign["id"]]


async def test_a_filter_is_blocked_with_a_reason_and_unblocked(tenant: httpx.AsyncClient, user: Member) -> None:
    await _insert(user.id, 4)
    address = await add_contact(tenant, number=None, addresses={"waha": "181230000000009@lid"})
    blocked = await run_bulk(tenant, "block", filter={}, reason="moved away")
    entries = await show(tenant, "block-contacts")
    all_blocked = [contact["blocked"] for contact in await show(tenant, "contacts")]
    unblocked = await run_bulk(tenant, "unblock", filter={"blocked": True})

    assert (blocked["result"], unblocked["result"]) == ({"affected": 5}, {"affected": 5})
    assert [entry["reason"] for entry in entries] == ["moved away"] * 5
    assert all_blocked == [True] * 5
    assert [contact["blocked"] for contact in await show(tenant, "contacts")] == [False] * 5
    assert await show(tenant, "block-contacts") == []
    kinds = await database.fetch(
        "SELECT kind, reason FROM contact_events WHERE contact_id = $1 ORDER BY id", address["id"]
    )
    assert [tuple(row) for row in kinds] == [("blocked", "moved away"), ("unblocked", "")]


async def test_a_label_that_went_away_is_put_on_nobody(tenant: httpx.AsyncClient) -> None:
    label = (await add(tenant, "labels", name="breve"))["id"]
    await add_contact(tenant)
    asked = (await tenant.post("/api/contacts/bulk/labels", json={"filter": {}, "add": [label]})).json()["data"]
    await tenant.delete(f"/api/labels/{label}")
    job = await run_job(tenant, asked["id"])

    assert (job["status"], job["result"]) == ("done", {"affected": 0})
    assert [contact["labels"] for contact in await show(tenant, "contacts")] == [[]]


async def test_a_label_that_is_none_is_refused(tenant: httpx.AsyncClient) -> None:
    answer = await tenant.post("/api/contacts/bulk/labels", json={"filter": {}, "add": [2**40]})

    assert (answer.status_code, answer.json()["errors"]) == (422, {"add": [f"There is no label {2**40}."]})
    assert await show(tenant, "jobs") == []


async def test_a_canceled_job_keeps_what_it_did_and_tells_of_it(
    tenant: httpx.AsyncClient, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 4)
    await _insert(user.id, 12)
    asked = (await tenant.post("/api/contacts/bulk/delete", json={"filter": {}})).json()["data"]
    saved = JobContext.checkpoint

    async def checkpoint(self: JobContext, *args: Any, **more: Any) -> None:
        await saved(self, *args, **more)
        await cancel_job(user.id, self.id)

    monkeypatch.setattr(JobContext, "checkpoint", checkpoint)
    job = await run_job(tenant, asked["id"])
    (deletion,) = await show(tenant, "contacts/deletions")

    assert (job["status"], job["done"], deletion["contacts"]) == ("canceled", 4, 4)
    assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 8
    assert await _lines(user.id, "contact.many_deleted") == [4]
    assert await _kept(user.id) == 0


async def test_what_a_job_that_never_ran_had_chosen_is_forgotten(tenant: httpx.AsyncClient, user: Member) -> None:
    await bulk.clean_up()  # what other tests left
    await add_contact(tenant)
    asked = (await tenant.post("/api/contacts/bulk/delete", json={"filter": {}})).json()["data"]
    kept = await bulk.clean_up(), await _kept(user.id)
    await tenant.post(f"/api/jobs/{asked['id']}/cancel")

    assert kept == (0, 1)
    assert (await bulk.clean_up(), await _kept(user.id)) == (1, 0)
    assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 1


async def test_a_job_that_is_interrupted_at_every_step_changes_everybody_once(
    tenant: httpx.AsyncClient, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    label = (await add(tenant, "labels", name="novo"))["id"]
    await _insert(user.id, 6)
    asked = (await tenant.post("/api/contacts/bulk/labels", json={"filter": {}, "add": [label]})).json()["data"]
    saved = JobContext.checkpoint
    rolled_back = 0

    async def checkpoint(self: JobContext, *args: Any, **more: Any) -> None:
        nonlocal rolled_back
        await saved(self, *args, **more)
        if rolled_back < 3:
            rolled_back += 1
            raise JobInterruptedError

    monkeypatch.setattr(JobContext, "checkpoint", checkpoint)
    for _ in range(4):
        await database.execute("UPDATE jobs SET lease_until = now() WHERE id = $1", asked["id"])
        await leasing.run_job(asked["id"])
    job = await show(tenant, f"jobs/{asked['id']}")

    assert rolled_back == 3
    assert (job["status"], job["done"], job["result"]) == ("done", 6, {"affected": 6})
    assert await _lines(user.id, "contact.many_labeled") == [6]


@pytest.mark.parametrize("kill_after", [1, 200])
async def test_a_killed_job_goes_on_with_nobody_twice_and_nobody_left_out(
    tenant: httpx.AsyncClient, user: Member, config: PlatformConfig, monkeypatch: pytest.MonkeyPatch, kill_after: int
) -> None:
    monkeypatch.setattr(bulk, "BATCH", 20)
    await _insert(user.id, 2000)
    asked = (await tenant.post("/api/contacts/bulk/block", json={"filter": {}, "reason": "asked"})).json()["data"]
    process = _start(asked["id"], config)
    async with asyncio.timeout(30):
        while await _done(asked["id"]) < kill_after:  # noqa: ASYNC110 - another process does the work
            await asyncio.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    interrupted = await _done(asked["id"])
    await database.execute("UPDATE jobs SET lease_until = now() WHERE id = $1", asked["id"])
    await leasing.sweep()
    job = await run_job(tenant, asked["id"])

    assert kill_after <= interrupted < 2000
    assert (job["status"], job["done"], job["result"]) == ("done", 2000, {"affected": 2000})
    assert await database.fetch_value("SELECT count(*) FROM block_contacts WHERE user_id = $1", user.id) == 2000
    assert await database.fetch_value("SELECT count(*) FROM contact_events WHERE user_id = $1", user.id) == 2000
    assert await _kept(user.id) == 0


def _start(job_id: int, config: PlatformConfig) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("bulk_process.py")), str(job_id)]
    environment = {**os.environ, **server_variables(config), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment)


async def _done(job_id: int) -> int:
    done = await database.fetch_value("SELECT done FROM jobs WHERE id = $1", job_id)
    assert isinstance(done, int)
    return done
