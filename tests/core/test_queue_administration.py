"""Queues and their failed messages, on a real Valkey."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

import dramatiq
import httpx
import msgspec
import pytest

from core import queue
from core.runtime import Runtime
from tests.conftest import ClientOf
from tests.factories import Member


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(administrator) as opened:
        yield opened


async def _fail(runtime: Runtime, name: str = queue.JOBS, **options: Any) -> str:
    """Put a message where Dramatiq puts those whose work failed; return its id."""
    message = dramatiq.Message[None](
        queue_name=name,
        actor_name="jobs.run",
        args=(10**12,),
        kwargs={},
        options=options,
        message_id=secrets.token_hex(8),
    )
    await runtime.redis.hset(f"recado:{name}.XQ.msgs", message.message_id, message.encode())
    await runtime.redis.zadd(f"recado:{name}.XQ", {message.message_id: 1})
    return message.message_id


async def _depth(admin: httpx.AsyncClient, name: str = queue.JOBS) -> Any:
    return next(one for one in (await admin.get("/api/admin/queues")).json()["data"] if one["name"] == name)


async def test_every_queue_has_its_depth(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    before = await _depth(admin)
    await _fail(runtime)
    await queue.send("jobs.run", 10**12, queue=queue.JOBS, delay_seconds=3600)
    after = await _depth(admin)
    assert (after["failed"] - before["failed"], after["delayed"] - before["delayed"]) == (1, 1)
    names = [one["name"] for one in (await admin.get("/api/admin/queues")).json()["data"]]
    assert names == ["dispatch", "inbound", "events", "jobs"]


async def test_a_failed_message_is_shown_without_its_words(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    trace = "Traceback (most recent call last):\nValueError: the number +5511987654321 is odd"
    message_id = await _fail(runtime, traceback=trace)
    shown = (await admin.get("/api/admin/queues/jobs/failed")).json()["data"]
    letter = next(one for one in shown if one["id"] == message_id)
    assert (letter["actor"], letter["args"], letter["failure"]) == ("jobs.run", [10**12], "ValueError")


async def test_it_is_retried_once(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    message_id = await _fail(runtime)
    before = (await _depth(admin))["waiting"]
    path = f"/api/admin/queues/jobs/failed/{message_id}/retry"
    assert [(await admin.post(path)).status_code for _ in range(2)] == [204, 404]
    assert (await _depth(admin))["waiting"] == before + 1
    waiting = await runtime.redis.hvals("recado:jobs.msgs")
    assert any(msgspec.json.decode(one)["args"] == [10**12] for one in waiting)


async def test_it_can_be_discarded(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    message_id = await _fail(runtime)
    path = f"/api/admin/queues/jobs/failed/{message_id}"
    assert [(await admin.delete(path)).status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize("path", ["nothing/failed", "nothing/failed/x/retry", "jobs/failed/x/retry"])
async def test_what_is_not_there(admin: httpx.AsyncClient, path: str) -> None:
    call = admin.post if path.endswith("retry") else admin.get
    assert (await call(f"/api/admin/queues/{path}")).status_code == 404


async def test_users_see_none(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        assert (await client.get("/api/admin/queues")).status_code == 403
