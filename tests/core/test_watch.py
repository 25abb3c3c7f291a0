"""The machine is watched: what stands still and what is full is told, once, and ends by itself."""

import shutil
import time
from collections import namedtuple
from collections.abc import AsyncIterator

import msgspec
import pytest

from core import database, heartbeat, queue
from core.runtime import Runtime
from core.watch import GONE_AFTER, NAMESPACE, STUCK_SECONDS, Watch
from tests.core.notifications.post import open_post
from tests.factories import Member

Usage = namedtuple("Usage", ("total", "used", "free"))  # noqa: PYI024 - as shutil returns it
GIB = 2**30


@pytest.fixture
async def watch(runtime: Runtime) -> AsyncIterator[Watch]:
    async def clean() -> None:
        left = [f"{NAMESPACE}:{name}{part}" for name in queue.QUEUES for part in ("", ".msgs")]
        await runtime.redis.delete(heartbeat.KEY, *left)
        await database.execute("DELETE FROM alarms WHERE kind IN ('queue_stuck', 'workers_gone', 'disk_low')")

    await clean()
    yield Watch()
    await clean()


async def standing(kind: str, name: str | None = None) -> list[dict[str, object]]:
    """Return the details of the alarms that stand; other queues of the run's Valkey may stand still indeed."""
    rows = await database.fetch(
        "SELECT detail FROM alarms WHERE kind = $1 AND cleared_at IS NULL"
        " AND ($2::text IS NULL OR detail->>'name' = $2)",
        kind,
        name,
    )
    return [msgspec.json.decode(row["detail"]) for row in rows]


async def _wait_in(runtime: Runtime, name: str, since: float, eta: float | None = None) -> None:
    options = {} if eta is None else {"eta": int(eta * 1000)}
    message = {"queue_name": name, "actor_name": "x", "args": [], "kwargs": {}, "options": options, "message_id": "1"}
    encoded = msgspec.json.encode({**message, "message_timestamp": int(since * 1000)})
    await runtime.redis.hset(f"{NAMESPACE}:{name}.msgs", "1", encoded)
    await runtime.redis.rpush(f"{NAMESPACE}:{name}", "1")


async def test_a_queue_that_stands_still_is_told_until_it_moves(watch: Watch, runtime: Runtime) -> None:
    await _wait_in(runtime, queue.JOBS, time.time() - STUCK_SECONDS - 61)
    await watch.look_at_queues()
    assert await standing("queue_stuck", queue.JOBS) == [{"name": "jobs", "minutes": 6}]
    await runtime.redis.delete(f"{NAMESPACE}:jobs")
    await watch.look_at_queues()
    assert await standing("queue_stuck", queue.JOBS) == []


async def test_a_message_for_later_does_not_wait_before_its_time(watch: Watch, runtime: Runtime) -> None:
    await _wait_in(runtime, queue.JOBS, time.time() - 3600, eta=time.time() - 5)
    await watch.look_at_queues()
    assert await standing("queue_stuck", queue.JOBS) == []


async def test_missing_workers_are_mailed_without_any(watch: Watch, runtime: Runtime, administrator: Member) -> None:
    async with open_post(runtime) as post:
        for _ in range(GONE_AFTER):
            await watch.look_at_workers()
        await watch.finish()
        (mail,) = post.mail.told(administrator.id)
    assert mail.subject == "Alarm: No worker is running, so nothing is sent"


async def test_notifications_that_stand_still_are_mailed_without_their_queue(
    watch: Watch, runtime: Runtime, administrator: Member
) -> None:
    async with open_post(runtime) as post:
        await _wait_in(runtime, queue.NOTIFICATIONS, time.time() - STUCK_SECONDS - 61)
        await watch.look_at_queues()
        await watch.finish()
        (mail,) = post.mail.told(administrator.id)
    assert mail.subject == "Alarm: The queue notifications stands still"


async def test_where_workers_live_they_mail_what_else_stands_still(
    watch: Watch, runtime: Runtime, administrator: Member
) -> None:
    async with open_post(runtime) as post:
        await _wait_in(runtime, queue.JOBS, time.time() - STUCK_SECONDS - 61)
        await watch.look_at_queues()
        await watch.finish()
        assert post.mail.told(administrator.id) == []
        await post.go()
        assert len(post.mail.told(administrator.id)) == 1


async def test_a_mail_service_that_hangs_holds_no_look_up(
    watch: Watch, runtime: Runtime, administrator: Member
) -> None:
    async with open_post(runtime) as post:
        post.mail.hangs = True
        for _ in range(GONE_AFTER):
            await watch.look_at_workers()
        await post.mail.reached.wait()
        await watch.look_at_workers()
        assert await standing("workers_gone") == [{}]
        await watch.finish(0)
        assert post.mail.told(administrator.id) == []


async def test_missing_workers_are_told_at_the_second_look(watch: Watch, runtime: Runtime) -> None:
    await watch.look_at_workers()
    first = await standing("workers_gone")
    await watch.look_at_workers()
    assert (first, await standing("workers_gone")) == ([], [{}])
    await heartbeat.beat(runtime.redis)
    await watch.look_at_workers()
    assert await standing("workers_gone") == []


@pytest.mark.parametrize(
    ("total", "free", "told"), [(100 * GIB, 4 * GIB, 1), (100 * GIB, 6 * GIB, 0), (10 * GIB, GIB // 2, 1)]
)
async def test_a_full_disk_is_told(
    watch: Watch, monkeypatch: pytest.MonkeyPatch, total: int, free: int, told: int
) -> None:
    # The machine's own disk cannot be filled for a test.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(total, total - free, free))
    await watch.look_at_disk()
    assert len(await standing("disk_low")) == told


async def test_space_that_is_free_again_ends_it(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, told in ((4 * GIB, 1), (5 * GIB, 1), (6 * GIB, 0)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: Usage(100 * GIB, 100 * GIB - free, free))
        await watch.look_at_disk()
        assert len(await standing("disk_low")) == told
