"""Progress is told at most twice a second for each campaign and job, and the last change always."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest
from redis.asyncio.lock import Lock
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import LockNotOwnedError

from core import database
from core.campaigns.progress import campaign_progress
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_IN_DOUBT
from core.events.catalogue import CampaignProgress, Event, JobProgress
from core.jobs import leasing
from core.jobs.progress import job_progress
from core.jobs.services import JobContext, cancel_job, create_job, job_handler
from core.live import progress, stream
from core.live.progress import NOTED, NOTES, ROUND_MS, TURN, Kind, Reader, changed, keep_telling, tell_changes
from core.runtime import Runtime, set_runtime
from core.runtime import runtime as present
from tests.core.campaigns.making import claim_all, now, running, settle_rows
from tests.core.live.ears import Ears, listen
from tests.core.live.listening import progress as standing
from tests.factories import Member
from tests.outages import without_redis

READERS: dict[Kind, Reader] = {"campaign": campaign_progress, "job": job_progress}


@pytest.fixture(autouse=True)
async def _nothing_noted(runtime: Runtime) -> AsyncIterator[None]:
    await NOTES.flush()
    await runtime.redis.delete(NOTED, TURN)
    yield
    await NOTES.flush()
    await runtime.redis.delete(NOTED, TURN)


@pytest.fixture
async def ears(user: Member) -> Ears:
    return await listen(user.id)


async def _tell(readers: dict[Kind, Reader] | None = None) -> int:
    """A round of this process, whoever had the last one."""
    await NOTES.flush()
    await present().redis.delete(TURN)
    return await tell_changes(READERS if readers is None else readers)


async def test_a_campaign_tells_where_it_stands(user: Member, ears: Ears) -> None:
    made = await running(user, contacts=3)
    moment = await now()
    rows = (await claim_all(made, moment)).claimed
    await _tell()
    await ears.heard()
    await settle_rows(rows[:1], moment, allowed=FROM_IN_DOUBT, state=RecipientState.SENT, sent_at=moment)
    await settle_rows(rows[1:2], moment, allowed=FROM_IN_DOUBT, state=RecipientState.FAILED, reason="refused")
    await _tell()
    assert await ears.heard() == [
        CampaignProgress(
            campaign_id=made.id,
            status=2,
            status_reason="sending",
            progress=66,
            total=3,
            accepted=0,
            sent=1,
            delivered=0,
            read=0,
            failed=1,
            skipped=0,
            unknown=0,
        )
    ]


async def test_a_job_tells_its_way_to_the_end(user: Member, ears: Ears) -> None:
    @job_handler("tests.live")
    async def work(context: JobContext) -> None:
        for done in (1, 2, 3):
            await context.checkpoint({}, done=done, total=3)
        await _tell()

    async with database.unit_of_work():
        job_id = await create_job("tests.live", user_id=user.id, subject_id=7)
    await _tell()
    await leasing.run_job(job_id)
    await _tell()
    states = [("waiting", 0, None), ("running", 3, 3), ("done", 3, 3)]
    assert await ears.heard() == [
        JobProgress(job_id=job_id, kind="tests.live", subject_id=7, status=status, done=done, total=total)
        for status, done, total in states
    ]


async def test_a_canceled_job_tells_it(user: Member, ears: Ears) -> None:
    async with database.unit_of_work():
        job_id = await create_job("tests.live", user_id=user.id)
    await cancel_job(user.id, job_id)
    await _tell()
    (told,) = await ears.heard()
    assert isinstance(told, JobProgress)
    assert told.status == "canceled"


async def test_a_change_counts_once_it_is_committed(runtime: Runtime) -> None:
    with contextlib.suppress(LookupError):
        async with database.unit_of_work():
            changed("job", 1)
            raise LookupError
    async with database.unit_of_work():
        changed("job", 2)
        await NOTES.flush()
        assert await runtime.redis.hkeys(NOTED) == []
    await NOTES.flush()
    assert await runtime.redis.hkeys(NOTED) == [b"job:2"]


async def test_many_changes_are_one_note_and_told_once(user: Member, ears: Ears, runtime: Runtime) -> None:
    reads: list[Sequence[int]] = []

    async def read(ids: Sequence[int]) -> list[tuple[int, Event]]:
        reads.append(ids)
        return [(user.id, standing(place)) for place in ids]

    for _ in range(1_000):
        changed("job", 5)
    await _tell({"job": read})
    assert reads == [[5]]
    assert await ears.heard() == [standing(5)]
    assert await runtime.redis.exists(NOTED) == 0


async def test_whoever_comes_within_half_a_second_waits(ears: Ears, user: Member) -> None:
    async def read(ids: Sequence[int]) -> list[tuple[int, Event]]:
        return [(user.id, standing(place)) for place in ids]

    changed("job", 5)
    assert await _tell({"job": read}) == ROUND_MS
    changed("job", 5)
    await NOTES.flush()
    assert 0 < await tell_changes({"job": read}) <= ROUND_MS
    assert len(await ears.heard()) == 1
    await present().redis.delete(TURN)
    await tell_changes({"job": read})
    assert len(await ears.heard()) == 1


async def test_what_changes_while_it_is_read_is_told_again(user: Member, ears: Ears) -> None:
    async def read(ids: Sequence[int]) -> list[tuple[int, Event]]:
        if not again:
            again.append(1)
            changed("job", *ids)
            await NOTES.flush()
        return [(user.id, standing(place)) for place in ids]

    again: list[int] = []
    changed("job", 5)
    for _ in range(3):
        await _tell({"job": read})
    assert await ears.heard() == [standing(5)] * 2


async def test_what_was_not_told_stays_noted(user: Member, ears: Ears) -> None:
    async def fail(_: Sequence[int]) -> list[tuple[int, Event]]:
        raise OSError

    async def read(ids: Sequence[int]) -> list[tuple[int, Event]]:
        return [(user.id, standing(place)) for place in ids]

    changed("job", 5)
    with pytest.raises(OSError):  # noqa: PT011 - as when a process dies there
        await _tell({"job": fail})
    await _tell({"job": read})
    assert await ears.heard() == [standing(5)]


async def test_two_processes_tell_it_twice_a_second_at_most_and_the_end_always(user: Member, runtime: Runtime) -> None:
    at = [0]
    told_at: list[float] = []
    loop = asyncio.get_running_loop()

    async def read(ids: Sequence[int]) -> list[tuple[int, Event]]:
        told_at.append(loop.time())
        return [(user.id, standing(at[0])) for _ in ids]

    ears = await listen(user.id)
    stopping = asyncio.Event()
    set_runtime(msgspec.structs.replace(runtime, stopping=stopping))
    tellers = [asyncio.create_task(keep_telling({"job": read})) for _ in range(2)]
    try:
        for place in range(1, 151):
            at[0] = place
            changed("job", 5)
            await asyncio.sleep(0.01)
        heard: list[Event] = []
        async with asyncio.timeout(10):
            while standing(150) not in heard:
                heard += await ears.heard()
                await asyncio.sleep(0.02)
    finally:
        stopping.set()
        await asyncio.gather(*tellers)
        set_runtime(runtime)
    gaps = [later - earlier for earlier, later in itertools.pairwise(told_at)]
    assert heard[-1] == standing(150)
    assert min(gaps) > 0.45
    assert len(heard) == len(told_at)


async def test_without_redis_it_keeps_nobody_up_and_what_changed_is_noted_later(runtime: Runtime) -> None:
    async with without_redis(runtime):
        changed("job", 5)
        await NOTES.flush()
    changed("job", 6)
    await NOTES.flush()
    assert sorted(await runtime.redis.hkeys(NOTED)) == [b"job:5", b"job:6"]


async def test_the_last_change_is_noted_by_itself_once_redis_is_back(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "RETRY_SECONDS", 0.02)
    tried, written = asyncio.Event(), asyncio.Event()
    hset = runtime.redis.hset

    async def fail_once(*args: Any, **more: Any) -> Any:
        if not tried.is_set():
            tried.set()
            raise RedisConnectionError
        written.set()
        return await hset(*args, **more)

    monkeypatch.setattr(runtime.redis, "hset", fail_once)
    changed("campaign", 5)
    async with asyncio.timeout(5):
        await written.wait()
    await NOTES.flush()
    assert await runtime.redis.hkeys(NOTED) == [b"campaign:5"]


async def test_what_is_being_written_when_the_process_ends_is_noted(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()
    hset = runtime.redis.hset

    async def hang_once(*args: Any, **more: Any) -> Any:
        if not began.is_set():
            began.set()
            await asyncio.Event().wait()
        return await hset(*args, **more)

    monkeypatch.setattr(runtime.redis, "hset", hang_once)
    changed("campaign", 5)
    await began.wait()
    await NOTES.flush()
    assert await runtime.redis.hkeys(NOTED) == [b"campaign:5"]


class Slow:
    """A reader that has read, and is held up before it answers."""

    def __init__(self, user_id: int, place: int) -> None:
        self.read = asyncio.Event()
        self.go_on = asyncio.Event()
        self._told = (user_id, standing(place))

    async def __call__(self, ids: Sequence[int]) -> list[tuple[int, Event]]:
        self.read.set()
        await self.go_on.wait()
        return [self._told for _ in ids]


async def _tell_now(user_id: int, place: int) -> int:
    async def read(ids: Sequence[int]) -> list[tuple[int, Event]]:
        return [(user_id, standing(place)) for _ in ids]

    return await tell_changes({"job": read})


async def test_a_turn_lasts_as_long_as_its_telling(
    user: Member, ears: Ears, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals: asyncio.Queue[None] = asyncio.Queue()
    reacquire = Lock.reacquire

    async def renew(turn: Lock) -> None:
        await reacquire(turn)
        renewals.put_nowait(None)

    monkeypatch.setattr(Lock, "reacquire", renew)
    monkeypatch.setattr(progress, "RENEW_SECONDS", 0.02)
    slow = Slow(user.id, 10)
    changed("job", 5)
    await NOTES.flush()
    first = asyncio.create_task(tell_changes({"job": slow}))
    await slow.read.wait()
    for _ in range(2):
        await runtime.redis.pexpire(TURN, 1_500)
        async with asyncio.timeout(5):
            for _ in range(renewals.qsize() + 2):
                await renewals.get()
        assert await runtime.redis.pttl(TURN) > 1_500
        changed("job", 5)
        await NOTES.flush()
        assert await _tell_now(user.id, 100) == ROUND_MS
    slow.go_on.set()
    await first
    # Nobody tells anything for half a second after it, and then what changed meanwhile.
    assert 0 < await runtime.redis.pttl(TURN) <= ROUND_MS
    assert await ears.heard() == [standing(10)]
    await runtime.redis.delete(TURN)
    await _tell_now(user.id, 100)
    assert await ears.heard() == [standing(100)]


async def test_one_whose_turn_ran_out_tells_nothing_old(user: Member, ears: Ears, runtime: Runtime) -> None:
    slow = Slow(user.id, 10)
    changed("job", 5)
    await NOTES.flush()
    first = asyncio.create_task(tell_changes({"job": slow}))
    await slow.read.wait()
    await runtime.redis.delete(TURN)
    await _tell_now(user.id, 100)
    slow.go_on.set()
    with pytest.raises(LockNotOwnedError):
        await first
    assert await ears.heard() == [standing(100)]
    assert await runtime.redis.exists(NOTED) == 0


async def test_what_was_told_too_late_is_told_again(
    user: Member, ears: Ears, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that stands still between its last look at the turn and the telling."""
    append = stream.append
    late: list[bool] = []

    async def stand_still(events: Any) -> None:
        if not late:
            late.append(True)
            await runtime.redis.delete(TURN)
            await _tell_now(user.id, 100)
        await append(events)

    monkeypatch.setattr(stream, "append", stand_still)
    changed("job", 5)
    await NOTES.flush()
    with pytest.raises(LockNotOwnedError):
        await _tell_now(user.id, 10)
    assert await ears.heard() == [standing(100), standing(10)]
    await runtime.redis.delete(TURN)
    await _tell_now(user.id, 100)
    assert await ears.heard() == [standing(100)]


async def test_the_turn_of_a_process_that_died_runs_out(user: Member, ears: Ears, runtime: Runtime) -> None:
    await runtime.redis.set(TURN, "of a process that died", px=300)
    changed("job", 5)
    await NOTES.flush()
    assert 0 < await _tell_now(user.id, 7) <= 300
    assert await ears.heard() == []
    await asyncio.sleep(0.35)
    await _tell_now(user.id, 7)
    assert await ears.heard() == [standing(7)]


async def test_a_reading_that_hangs_gives_the_turn_away(
    user: Member, ears: Ears, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "READ_SECONDS", 0.05)
    changed("job", 5)
    await NOTES.flush()
    with pytest.raises(TimeoutError):
        await tell_changes({"job": Slow(user.id, 10)})
    assert await runtime.redis.pttl(TURN) <= ROUND_MS
    await runtime.redis.delete(TURN)
    await _tell_now(user.id, 100)
    assert await ears.heard() == [standing(100)]


async def test_what_redis_did_not_take_stays_noted(
    user: Member, ears: Ears, monkeypatch: pytest.MonkeyPatch, runtime: Runtime
) -> None:
    async def away(_: Any) -> None:
        raise RedisConnectionError

    changed("job", 5)
    await NOTES.flush()
    with monkeypatch.context() as patched:
        patched.setattr(stream, "append", away)
        with pytest.raises(RedisConnectionError):
            await _tell_now(user.id, 100)
    await runtime.redis.delete(TURN)
    await _tell_now(user.id, 100)
    assert await ears.heard() == [standing(100)]


async def test_notes_of_a_busy_moment_take_few_writes(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    hset = runtime.redis.hset

    async def counting(*args: Any, **more: Any) -> Any:
        written.append(more)
        return await hset(*args, **more)

    monkeypatch.setattr(runtime.redis, "hset", counting)
    monkeypatch.setattr(progress, "NOTE_SECONDS", 0.05)
    for place in range(100):
        changed("campaign", place)
        await asyncio.sleep(0)
    await NOTES.flush()
    assert len(written) <= 3
    assert await runtime.redis.hlen(NOTED) == 100
