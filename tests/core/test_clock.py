import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from core import clock, database
from core.clock import DatabaseClock, VirtualClock, new_clock, virtual_time

pytestmark = pytest.mark.usefixtures("runtime")


class TestDatabaseClock:
    async def test_agrees_with_the_database(self) -> None:
        ours = DatabaseClock()
        await ours.sync()
        before = ours.now()
        theirs = await database.fetch_value("SELECT clock_timestamp()")
        after = ours.now()
        assert isinstance(theirs, datetime)
        assert before - timedelta(seconds=0.1) <= theirs <= after + timedelta(seconds=0.1)

    async def test_is_aware_and_in_utc(self) -> None:
        ours = DatabaseClock()
        assert ours.now().utcoffset() == timedelta(0)
        await ours.sync()
        assert ours.now().utcoffset() == timedelta(0)

    async def test_goes_on_between_readings(self) -> None:
        ours = DatabaseClock()
        await ours.sync()
        first = ours.now()
        await asyncio.sleep(0.02)
        assert timedelta(seconds=0.02) <= ours.now() - first < timedelta(seconds=5)

    async def test_a_process_stopped_while_it_read_is_not_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = DatabaseClock()
        begun = clock._steady_seconds()
        readings = iter([begun, begun + 60])
        monkeypatch.setattr(clock, "_steady_seconds", lambda: next(readings, begun + 60))
        theirs = await database.fetch_value("SELECT clock_timestamp()")
        await ours.sync()
        assert isinstance(theirs, datetime)
        assert ours.now() - theirs >= timedelta(seconds=60)

    async def test_goes_on_while_the_machine_sleeps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours = DatabaseClock()
        await ours.sync()
        before = ours.now()
        awake = clock._steady_seconds()
        monkeypatch.setattr(clock, "_steady_seconds", lambda: awake + 3600)
        assert timedelta(minutes=59) < ours.now() - before < timedelta(minutes=61)

    async def test_a_wait_ends_with_its_event(self) -> None:
        ours = DatabaseClock()
        event = asyncio.Event()
        event.set()
        before = ours.now()
        await ours.wait(event, before + timedelta(hours=1), look_every=timedelta(hours=1), idle=True)
        assert ours.now() - before < timedelta(seconds=5)

    async def test_a_wait_ends_at_its_moment(self) -> None:
        ours = DatabaseClock()
        until = ours.now() + timedelta(seconds=0.02)
        await ours.wait(asyncio.Event(), until, look_every=timedelta(hours=1), idle=True)
        assert ours.now() >= until


BEGIN = datetime(2026, 12, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


class _Rounds:
    """A virtual clock that notes when it did the work of a round."""

    def __init__(self) -> None:
        self.done: list[datetime] = []
        self.clock = VirtualClock(BEGIN, self._work)

    async def _work(self, now: datetime) -> None:
        self.done.append(now)


class TestVirtualClock:
    async def test_leaps_while_nothing_is_on_its_way(self) -> None:
        rounds = _Rounds()
        until = BEGIN + timedelta(seconds=40)
        await rounds.clock.wait(asyncio.Event(), until, look_every=HOUR, idle=True)
        assert (rounds.clock.now(), rounds.done) == (until, [])

    async def test_does_its_rounds_on_the_way(self) -> None:
        rounds = _Rounds()
        await rounds.clock.wait(asyncio.Event(), BEGIN + HOUR, look_every=HOUR, idle=True)
        assert (rounds.clock.now(), rounds.done) == (BEGIN + VirtualClock.ROUND, [BEGIN + VirtualClock.ROUND])

    async def test_stands_still_while_something_is_on_its_way(self) -> None:
        rounds = _Rounds()
        event = asyncio.Event()
        waiting = asyncio.create_task(rounds.clock.wait(event, BEGIN + HOUR, look_every=HOUR, idle=False))
        await asyncio.sleep(0)
        event.set()
        await waiting
        assert (rounds.clock.now(), rounds.done) == (BEGIN, [])

    async def test_stands_still_for_an_event_that_is_set(self) -> None:
        rounds = _Rounds()
        event = asyncio.Event()
        event.set()
        await rounds.clock.wait(event, BEGIN + HOUR, look_every=HOUR, idle=True)
        assert rounds.clock.now() == BEGIN

    async def test_a_leap_does_a_round_and_never_goes_back(self) -> None:
        rounds = _Rounds()
        await rounds.clock.leap(BEGIN + HOUR)
        await rounds.clock.leap(BEGIN)
        assert (rounds.clock.now(), rounds.done) == (BEGIN + HOUR, [BEGIN + HOUR] * 2)

    async def test_counts_no_work_of_the_machine(self) -> None:
        rounds = _Rounds()
        await rounds.clock.pause(3_600)
        assert rounds.clock.now() == BEGIN

    async def test_is_everybodys_clock_in_its_block_alone(self) -> None:
        rounds = _Rounds()

        async def inside() -> object:
            return new_clock()

        with virtual_time(rounds.clock):
            assert await asyncio.create_task(inside()) is rounds.clock
        assert isinstance(new_clock(), DatabaseClock)
