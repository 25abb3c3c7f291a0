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
from tests.core.downloads import rows_of
from tests.factories import Member


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(administrator) as opened:
        yield opened


async def _fail(
    runtime: Runtime, name: str = queue.JOBS, *, actor: str = "jobs.run", at: int = 1, **options: Any
) -> str:
    """Put a message where Dramatiq puts those whose work failed, ``at`` in milliseconds; return its id."""
    message = dramatiq.Message[None](
        queue_name=name,
        actor_name=actor,
        args=(10**12,),
        kwargs={},
        options=options,
        message_id=secrets.token_hex(8),
    )
    await runtime.redis.hset(f"recado:{name}.XQ.msgs", message.message_id, message.encode())
    await runtime.redis.zadd(f"recado:{name}.XQ", {message.message_id: at})
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
    assert names == ["dispatch", "inbound", "events", "jobs", "notifications"]


async def test_a_failed_message_is_shown_without_its_words(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    trace = "Traceback (most recent call last):\nValueError: the number +5511987654321 is odd"
    message_id = await _fail(runtime, traceback=trace)
    shown = (await admin.get("/api/admin/queues/jobs/failed")).json()["data"]
    letter = next(one for one in shown if one["id"] == message_id)
    assert (letter["actor"], letter["args"], letter["failure"]) == ("jobs.run", [10**12], "ValueError")


BEGAN = 1_700_000_000_000
"""2023-11-14T22:13:20Z: of the failures of these tests, whatever others leave in the queue."""
PERIOD = {"from": "2023-11-14T22:13:20Z", "to": "2023-11-14T22:13:30Z"}


@pytest.fixture
async def failed(runtime: Runtime) -> AsyncIterator[list[str]]:
    """Ids of five failed messages, the second and the third of the same millisecond."""
    await runtime.redis.delete(f"recado:{queue.EVENTS}.XQ", f"recado:{queue.EVENTS}.XQ.msgs")
    trace = "Traceback (most recent call last):\nValueError: odd"
    yield [
        await _fail(runtime, queue.EVENTS, at=BEGAN, traceback=trace),
        await _fail(runtime, queue.EVENTS, at=BEGAN + 1000, actor="events.apply"),
        await _fail(runtime, queue.EVENTS, at=BEGAN + 1000),
        await _fail(runtime, queue.EVENTS, at=BEGAN + 9999, actor="events.apply"),
        await _fail(runtime, queue.EVENTS, at=BEGAN + 10000),
    ]
    await runtime.redis.delete(f"recado:{queue.EVENTS}.XQ", f"recado:{queue.EVENTS}.XQ.msgs")


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({}, {4, 3, 2, 1, 0}),
        (PERIOD, {3, 2, 1, 0}),
        ({"actor": "events.apply"}, {3, 1}),
        ({"failure": "ValueError"}, {0}),
        ({"search": "VALUEERR"}, {0}),
        ({"search": "1000000000000", **PERIOD}, {3, 2, 1, 0}),
        ({"actor": "events.apply", "from": "2023-11-14T22:13:22Z"}, {3}),
        ({"actor": "nobody"}, set()),
    ],
)
async def test_failed_messages_are_narrowed(
    admin: httpx.AsyncClient, failed: list[str], query: dict[str, str], places: set[int]
) -> None:
    wanted = {failed[place] for place in places}
    answer = (await admin.get("/api/admin/queues/events/failed", params=query)).json()
    assert {letter["id"] for letter in answer["data"]} == wanted
    assert answer["meta"]["total"] == len(wanted)
    rows = rows_of(await admin.get("/api/admin/queues/events/failed.csv", params=query), "failed-events.csv")
    assert [row["id"] for row in rows] == [letter["id"] for letter in answer["data"]]


@pytest.mark.parametrize("query", [{}, {"search": "1000000000000"}])
async def test_failed_messages_are_ordered_by_their_failure(
    admin: httpx.AsyncClient, failed: list[str], query: dict[str, str]
) -> None:
    async def moments(**more: Any) -> list[int]:
        answer = await admin.get("/api/admin/queues/events/failed", params={**query, **more})
        assert answer.json()["meta"]["total"] == len(failed)
        return [letter["failed_at"] - BEGAN for letter in answer.json()["data"]]

    assert await moments() == [10000, 9999, 1000, 1000, 0]
    assert await moments(sort="failed_at") == [0, 1000, 1000, 9999, 10000]
    assert await moments(per_page=2, page=2) == [1000, 1000]
    assert await moments(per_page=2, page=3) == [0]
    assert await moments(per_page=2, page=4) == []


async def test_a_file_of_failed_messages_holds_each_once(admin: httpx.AsyncClient, runtime: Runtime) -> None:
    key = f"recado:{queue.INBOUND}.XQ"
    await runtime.redis.delete(key, f"{key}.msgs")
    # More than are read at a time have the same millisecond.
    made = [await _fail(runtime, queue.INBOUND, at=BEGAN + (0 if number < 1200 else number)) for number in range(1300)]
    rows = rows_of(await admin.get("/api/admin/queues/inbound/failed.csv"))
    await runtime.redis.delete(key, f"{key}.msgs")
    assert sorted(row["id"] for row in rows) == sorted(made)


@pytest.mark.parametrize(("name", "value"), [("sort", "actor"), ("from", ""), ("to", "soon")])
async def test_what_failed_messages_cannot_be_asked_for_by_is_named(
    admin: httpx.AsyncClient, name: str, value: str
) -> None:
    answer = await admin.get("/api/admin/queues/jobs/failed", params={name: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, [name])


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


@pytest.mark.parametrize(
    "path", ["nothing/failed", "nothing/failed.csv", "nothing/failed/x/retry", "jobs/failed/x/retry"]
)
async def test_what_is_not_there(admin: httpx.AsyncClient, path: str) -> None:
    call = admin.post if path.endswith("retry") else admin.get
    assert (await call(f"/api/admin/queues/{path}")).status_code == 404


async def test_users_see_none(api: ClientOf, user: Member) -> None:
    async with api(user) as client:
        assert (await client.get("/api/admin/queues")).status_code == 403
