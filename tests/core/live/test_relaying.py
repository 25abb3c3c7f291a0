"""Every live event reaches every realtime service in its order, and none of them delays another."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from redis.asyncio.lock import Lock

from core.events.catalogue import Envelope, JobProgress, NotificationCreated, seal
from core.live import relaying, stream
from core.live.relaying import Relay, keep_relaying
from core.live.stream import RELAYED
from core.plugin import (
    LimitReachedError,
    LiveEvent,
    MisconfiguredError,
    RefusedError,
    UnavailableError,
    UncertainError,
)
from core.runtime import Runtime, set_runtime
from core.runtime import runtime as present
from tests.core.live.listening import happen, progress
from tests.core.live.services import Service, plugged_in
from tests.factories import Member
from tests.outages import without_redis

LEASE, PLACE = "recado:live:relaying:only", "recado:live:relayed:only"


@pytest.fixture(autouse=True)
async def _empty(runtime: Runtime) -> None:
    for name in ("only", "first", "second", "hanging", "broken", "well"):
        await runtime.redis.delete(RELAYED, f"recado:live:relaying:{name}", f"recado:live:relayed:{name}")


@asynccontextmanager
async def relays(runtime: Runtime, *, processes: int = 1) -> AsyncIterator[None]:
    """Relay in so many processes while the block runs."""
    stopping = asyncio.Event()
    set_runtime(msgspec.structs.replace(runtime, stopping=stopping))
    tasks = [asyncio.create_task(keep_relaying()) for _ in range(processes)]
    try:
        yield
    finally:
        stopping.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        set_runtime(runtime)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> asyncio.Queue[bool]:
    """Whether a process that asked for a lease got it, one after the other; they ask often."""
    answers: asyncio.Queue[bool] = asyncio.Queue()
    acquire = Lock.acquire

    async def ask(lease: Lock, token: str) -> bool:
        got: bool = await acquire(lease, token=token)
        answers.put_nowait(got)
        return got

    monkeypatch.setattr(Lock, "acquire", ask)
    monkeypatch.setattr(relaying, "TURN_SECONDS", 0.02)
    monkeypatch.setattr(relaying, "RETRY_SECONDS", 0.02)
    return answers


async def _refusals(asked: asyncio.Queue[bool], count: int) -> None:
    async with asyncio.timeout(10):
        for _ in range(count):
            while await asked.get():
                pass


async def _stand(user_id: int, done: int, job_id: int = 5) -> Envelope:
    """Tell the progress of a job."""
    envelope = seal(
        JobProgress(job_id=job_id, kind="walk", subject_id=None, status="running", done=done, total=100),
    )
    await stream.publish([(user_id, envelope)])
    return envelope


def _done(events: list[LiveEvent]) -> list[int]:
    return [msgspec.json.decode(msgspec.json.decode(event.body, type=Envelope).data)["done"] for event in events]


def _jobs(events: list[LiveEvent]) -> list[int]:
    return [msgspec.json.decode(msgspec.json.decode(event.body, type=Envelope).data)["job_id"] for event in events]


async def test_all_services_are_told_each_event_once_by_one_of_the_processes(
    runtime: Runtime, user: Member, other_user: Member
) -> None:
    first, second = Service("first"), Service("second")
    async with plugged_in(runtime, first, second), relays(runtime, processes=3):
        told = [*await happen(user.id, 250), *await happen(other_user.id, 50)]
        for service in (first, second):
            await service.until(300)
        more = await happen(user.id)
        for service in (first, second):
            events = await service.until(301)
            assert _jobs(events) == [*told, *more]
            assert [event.user_id for event in events].count(other_user.id) == 50
            assert max(map(len, service.batches)) == relaying.PART


async def test_an_event_crosses_as_its_envelope(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    envelope = seal(progress(7))
    async with plugged_in(runtime, service), relays(runtime):
        await stream.publish([(user.id, envelope)])
        (event,) = await service.until(1)
    body = msgspec.Raw(msgspec.json.encode(envelope))
    assert (event.id, event.type, event.user_id) == (envelope.id, "job.progress", user.id)
    assert bytes(event.body) == bytes(body)


async def test_notifications_reach_a_service_in_another_way(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    note = NotificationCreated(notification_id=1, kind="x", title="t", text="t", count=1, unread=1)
    async with plugged_in(runtime, service), relays(runtime):
        await stream.publish([(user.id, seal(note))])
        told = await happen(user.id)
        assert _jobs(await service.until(1)) == told


async def test_one_that_hangs_or_breaks_delays_no_other(
    runtime: Runtime, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "HAND_OVER_SECONDS", 0.2)
    hanging, broken, well = Service("hanging", hangs=True), Service("broken", ZeroDivisionError()), Service("well")
    services = (hanging, broken, well)
    async with plugged_in(runtime, *services), relays(runtime):
        told: list[int] = []
        for place in range(3):
            told += await happen(user.id)
            async with asyncio.timeout(5):
                assert _jobs(await well.until(place + 1)) == told
    assert hanging.tried.is_set()
    assert broken.tried.is_set()
    assert (hanging.events, broken.events) == ([], [])


@pytest.mark.parametrize(
    ("trouble", "pauses"),
    [
        (UnavailableError("down"), [2, 4, 8, 16, 16]),
        (UnavailableError("busy", retry_after=7), [7, 7]),
        (LimitReachedError("spent", retry_after=86_400), [60, 60]),
        (MisconfiguredError("no such app"), [60, 60]),
        (UncertainError("lost"), [2, 4, 8, 16, 16]),
        (ZeroDivisionError(), [2, 4, 8, 16, 16]),
        (None, [0, 0]),
    ],
)
async def test_a_service_in_trouble_is_left_alone_for_a_while(
    runtime: Runtime, trouble: Exception | None, pauses: list[float]
) -> None:
    del runtime  # needed, since its process is asked when to end
    relay = Relay("x", Service("x", trouble))
    until = asyncio.get_running_loop().time() + 10
    assert [(await relay.hand_over([], until))[1] for _ in pauses] == pauses


async def test_the_back_off_begins_anew_after_a_success(runtime: Runtime) -> None:
    del runtime  # needed, since its process is asked when to end
    service = Service("x", UnavailableError("down"))
    relay = Relay("x", service)
    until = asyncio.get_running_loop().time() + 10
    for trouble, pause in [(service.trouble, 2), (service.trouble, 4), (None, 0), (service.trouble, 2)]:
        service.trouble = trouble
        assert (await relay.hand_over([], until))[1] == pause


async def test_what_a_service_refused_for_now_is_handed_over_later(runtime: Runtime, user: Member) -> None:
    service = Service("only", UnavailableError("down", retry_after=0.02))
    async with plugged_in(runtime, service), relays(runtime):
        first = await happen(user.id, 25)
        await service.until_tried(3)
        more = await happen(user.id)
        service.trouble = None
        assert _jobs(await service.until(26)) == [*first, *more]


async def test_while_a_service_is_away_progress_is_replaced_by_newer_progress(
    runtime: Runtime, user: Member, other_user: Member
) -> None:
    service = Service("only", UnavailableError("down", retry_after=0.02))
    async with plugged_in(runtime, service), relays(runtime):
        for done in (98, 99):
            await _stand(user.id, done)
        await _stand(other_user.id, 1)
        await _stand(user.id, 50, job_id=6)
        await service.tried.wait()
        last = await _stand(user.id, 100)
        service.trouble = None
        events = await service.until(3)
        assert _done(events) == [1, 50, 100]
        assert events[-1].id == last.id
        # Nothing older comes after it.
        await _stand(user.id, 7, job_id=7)
        assert _done(await service.until(4)) == [1, 50, 100, 7]


async def test_one_process_relays_at_a_time_so_that_progress_never_goes_back(
    runtime: Runtime, user: Member, asked: asyncio.Queue[bool]
) -> None:
    service = Service("only")
    service.gate = asyncio.Event()
    async with plugged_in(runtime, service), relays(runtime, processes=2):
        await _stand(user.id, 99)
        await service.tried.wait()
        await _stand(user.id, 100)
        await _refusals(asked, 3)
        assert len(service.tries) == 1
        service.gate.set()
        assert _done(await service.until(2)) == [99, 100]
    assert await runtime.redis.exists(LEASE) == 0


async def test_another_process_goes_on_where_one_died(
    runtime: Runtime, user: Member, asked: asyncio.Queue[bool]
) -> None:
    service = Service("only")
    async with plugged_in(runtime, service):
        before = await happen(user.id, 3)
        async with relays(runtime):
            await service.until(3)
            await runtime.redis.set(LEASE, "of one that works", px=60_000)
            told = await happen(user.id, 2)
            await _refusals(asked, 2)
            # It dies without a word.
            await runtime.redis.pexpire(LEASE, 100)
            assert _jobs(await service.until(5)) == [*before, *told]


async def test_the_next_start_goes_on_from_the_same_place(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    async with plugged_in(runtime, service):
        async with relays(runtime):
            first = await happen(user.id, 3)
            await service.until(3)
        more = await happen(user.id, 2)
        async with relays(runtime):
            assert _jobs(await service.until(5)) == [*first, *more]


async def test_one_whose_lease_ran_out_hands_nothing_over(
    runtime: Runtime, user: Member, asked: asyncio.Queue[bool]
) -> None:
    service = Service("only")
    service.gate = asyncio.Event()
    async with plugged_in(runtime, service), relays(runtime):
        (first,) = await happen(user.id)
        await service.tried.wait()
        await runtime.redis.set(LEASE, "of another")
        (second,) = await happen(user.id)
        service.gate.set()
        await _refusals(asked, 2)
        assert _jobs(service.events) == [first]
        assert await runtime.redis.exists(PLACE) == 0
        await runtime.redis.delete(LEASE)
        assert _jobs(await service.until(2)) == [first, second]


async def test_the_lease_is_kept_while_a_service_is_left_alone(
    runtime: Runtime, user: Member, asked: asyncio.Queue[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "RENEW_SECONDS", 0.02)
    service = Service("only", UnavailableError("busy", retry_after=30))
    async with plugged_in(runtime, service), relays(runtime, processes=2):
        await happen(user.id)
        await service.tried.wait()
        await runtime.redis.pexpire(LEASE, 6_000)
        await _refusals(asked, 3)
        async with asyncio.timeout(5):
            while (await runtime.redis.pttl(LEASE)) <= 6_000:
                await _refusals(asked, 1)
        assert len(service.tries) == 1


async def test_an_event_that_a_service_never_takes_takes_no_other_along(runtime: Runtime, user: Member) -> None:
    service = Service("only", RefusedError("too large"))
    async with plugged_in(runtime, service), relays(runtime):
        envelopes = [seal(progress(place)) for place in range(1, 26)]
        service.poison = envelopes[4].id
        await stream.publish([(user.id, envelope) for envelope in envelopes])
        assert _jobs(await service.until(24)) == [place for place in range(1, 26) if place != 5]


async def test_what_brought_no_answer_is_handed_over_again(
    runtime: Runtime, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "RETRY_SECONDS", 0.02)
    service = Service("only", UncertainError("lost"))
    async with plugged_in(runtime, service), relays(runtime):
        envelope = await _stand(user.id, 100)
        await service.until_tried(2)
        service.trouble = None
        assert [event.id for event in await service.until(1)] == [envelope.id]
        assert {event.id for part in service.tries for event in part} == {envelope.id}


async def test_an_event_that_never_brings_an_answer_holds_up_no_other(
    runtime: Runtime, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relaying, "RETRY_SECONDS", 0.001)
    service = Service("only", UncertainError("lost"))
    async with plugged_in(runtime, service), relays(runtime):
        envelopes = [seal(progress(place)) for place in range(1, 26)]
        service.poison = envelopes[4].id
        await stream.publish([(user.id, envelope) for envelope in envelopes])
        assert _jobs(await service.until(24)) == [place for place in range(1, 26) if place != 5]
    assert sum(service.poison in {event.id for event in part} for part in service.tries) < 10


async def test_a_backlog_is_bounded(runtime: Runtime, user: Member) -> None:
    async with plugged_in(runtime, Service("only")):
        await happen(user.id, 2 * stream.RELAYED_EVENTS)
    # Redis cuts off whole nodes of a hundred.
    assert stream.RELAYED_EVENTS <= await runtime.redis.xlen(RELAYED) <= stream.RELAYED_EVENTS + 100


async def test_what_is_old_is_passed_over(runtime: Runtime, user: Member) -> None:
    service = Service("only")
    old = int((time.time() - relaying.STALE_SECONDS - 1) * 1000)
    body = msgspec.json.encode(seal(progress(1)))
    await runtime.redis.xadd(RELAYED, {"user": user.id, "type": "job.progress", "body": body}, id=f"{old}-0")
    async with plugged_in(runtime, service), relays(runtime):
        told = await happen(user.id)
        assert _jobs(await service.until(1)) == told


async def test_nothing_is_kept_where_no_service_is_there(runtime: Runtime, user: Member) -> None:
    async with plugged_in(runtime):
        await happen(user.id)
        await keep_relaying()
    assert await runtime.redis.exists(RELAYED) == 0


async def test_without_redis_it_waits(runtime: Runtime, user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "RETRY_SECONDS", 0.02)
    complained = asyncio.Event()
    monkeypatch.setattr(relaying._complaints, "say", lambda *_, **__: complained.set())
    service = Service("only")
    async with plugged_in(runtime, service), relays(runtime, processes=2):
        first = await happen(user.id)
        await service.until(1)
        async with without_redis(present()):
            await happen(user.id)
            async with asyncio.timeout(5):
                await complained.wait()
        told = await happen(user.id)
        assert _jobs(await service.until(2)) == [*first, *told]
