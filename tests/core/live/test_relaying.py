"""Every live event reaches every realtime service once, and none of them delays another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from core.events.catalogue import Envelope, NotificationCreated, seal
from core.live import relaying, stream
from core.live.relaying import hand_over, keep_relaying, take
from core.live.stream import RELAYED
from core.plugin import LimitReachedError, LiveEvent, MisconfiguredError, UnavailableError
from core.runtime import Runtime, set_runtime
from core.runtime import runtime as present
from tests.core.live.listening import happen, progress
from tests.core.live.services import Service, plugged_in
from tests.factories import Member
from tests.outages import without_redis


@pytest.fixture(autouse=True)
async def _empty(runtime: Runtime) -> None:
    await runtime.redis.delete(RELAYED)


@asynccontextmanager
async def relays(runtime: Runtime, *services: Service, processes: int = 1) -> AsyncIterator[None]:
    """Relay in so many processes while the block runs, from what is published from now on."""
    stopping = asyncio.Event()
    for one in services:
        await take(one.name)
    set_runtime(msgspec.structs.replace(runtime, stopping=stopping))
    tasks = [asyncio.create_task(keep_relaying()) for _ in range(processes)]
    try:
        yield
    finally:
        stopping.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        set_runtime(runtime)


def _jobs(events: list[LiveEvent]) -> list[int]:
    return [msgspec.json.decode(msgspec.json.decode(event.body, type=Envelope).data)["job_id"] for event in events]


async def test_all_services_are_told_each_event_once_by_one_of_the_processes(
    runtime: Runtime, user: Member, other_user: Member
) -> None:
    first, second = Service("first"), Service("second")
    async with plugged_in(runtime, first, second), relays(runtime, first, second, processes=3):
        told = [*await happen(user.id, 250), *await happen(other_user.id, 50)]
        for service in (first, second):
            await service.until(300)
        more = await happen(user.id)
        for service in (first, second):
            events = await service.until(301)
            assert sorted(_jobs(events)) == sorted([*told, *more])
            assert [event.user_id for event in events].count(other_user.id) == 50
            assert max(map(len, service.batches)) <= relaying.AT_ONCE


async def test_an_event_crosses_as_its_envelope(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    envelope = seal(progress(7))
    async with plugged_in(runtime, service), relays(runtime, service):
        await stream.publish([(user.id, envelope)])
        (event,) = await service.until(1)
    body = msgspec.Raw(msgspec.json.encode(envelope))
    assert (event.id, event.type, event.user_id) == (envelope.id, "job.progress", user.id)
    assert bytes(event.body) == bytes(body)


async def test_notifications_reach_a_service_in_another_way(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    note = NotificationCreated(notification_id=1, kind="x", title="t", text="t", count=1, unread=1)
    async with plugged_in(runtime, service), relays(runtime, service):
        await stream.publish([(user.id, seal(note))])
        told = await happen(user.id)
        assert _jobs(await service.until(1)) == told


async def test_one_that_hangs_or_breaks_delays_no_other(
    runtime: Runtime, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "HAND_OVER_SECONDS", 0.2)
    hanging, broken, well = Service("hanging", hangs=True), Service("broken", ZeroDivisionError()), Service("well")
    services = (hanging, broken, well)
    async with plugged_in(runtime, *services), relays(runtime, *services):
        told: list[int] = []
        for place in range(3):
            told += await happen(user.id)
            async with asyncio.timeout(5):
                assert _jobs(await well.until(place + 1)) == told
    assert hanging.tried.is_set()
    assert broken.tried.is_set()
    assert (hanging.events, broken.events) == ([], [])


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (UnavailableError("down"), relaying.RETRY_SECONDS),
        (UnavailableError("busy", retry_after=7), 7),
        (LimitReachedError("spent", retry_after=86_400), relaying.LONGEST_PAUSE_SECONDS),
        (MisconfiguredError("no such app"), relaying.LONGEST_PAUSE_SECONDS),
        (ZeroDivisionError(), relaying.RETRY_SECONDS),
    ],
)
async def test_a_service_in_trouble_is_left_alone_for_a_while(trouble: Exception, seconds: float) -> None:
    assert await hand_over("x", Service("x", trouble), []) == seconds


async def test_one_that_comes_back_is_told_what_is_new(runtime: Runtime, user: Member) -> None:
    service = Service("only", UnavailableError("down", retry_after=0.05))
    async with plugged_in(runtime, service), relays(runtime, service):
        await happen(user.id)
        async with asyncio.timeout(5):
            await service.tried.wait()
        service.trouble = None
        told = await happen(user.id)
        assert _jobs(await service.until(1)) == told


async def test_a_backlog_is_bounded(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    async with plugged_in(runtime, service):
        await take(service.name)
        await happen(user.id, 2 * stream.RELAYED_EVENTS)
    # Redis cuts off whole nodes of a hundred.
    assert stream.RELAYED_EVENTS <= await runtime.redis.xlen(RELAYED) <= stream.RELAYED_EVENTS + 100


async def test_what_is_old_is_passed_over(runtime: Runtime, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service("only")
    async with plugged_in(runtime, service):
        await take(service.name)
        await happen(user.id)
        monkeypatch.setattr(relaying, "STALE_SECONDS", -1)
        assert await take(service.name) == []


async def test_nothing_is_kept_where_no_service_is_there(runtime: Runtime, user: Member) -> None:
    async with plugged_in(runtime):
        await happen(user.id)
        await keep_relaying()
    assert await runtime.redis.exists(RELAYED) == 0


async def test_without_redis_it_waits(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    async with plugged_in(runtime, service), relays(runtime, service):
        async with without_redis(present()):
            await happen(user.id)
        told = await happen(user.id)
        assert _jobs(await service.until(1)) == told
