"""Time as a value: one clock, the database's, carried between readings by the machine's steady timer.

A rehearsal puts a virtual one in its place: everything that asks here for the time or waits here goes by that.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Protocol

from core import database

LONG_TRIP_SECONDS = 1.0


class Clock(Protocol):
    """Tells the present moment, aware and in UTC, and waits by it."""

    async def sync(self) -> None:
        """Make the next readings right."""
        ...

    def now(self) -> datetime:
        """Return the present moment."""
        ...

    async def pause(self, seconds: float) -> None:
        """Let a short while pass in which others may act."""
        ...

    async def wait(self, event: asyncio.Event, until: datetime, *, look_every: timedelta, idle: bool) -> None:
        """Wait for ``event``, at the longest until ``until``, and no longer than ``look_every`` of the real time.

        ``idle`` says that nothing is on its way to set the event.
        """
        ...


def _steady_seconds() -> float:
    """Read the machine's steady timer; where there is one, that which goes on while the machine sleeps.

    A lease ends by the database's clock, and a message must not leave after it because this machine was suspended.
    """
    boottime: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


class DatabaseClock:
    """The database's clock: every process of an installation agrees on it, whatever its own clock says."""

    def __init__(self) -> None:
        self._read_at = datetime.now(UTC)
        self._steady = _steady_seconds()

    async def sync(self) -> None:
        """Read the database's clock; half the round trip is taken off, or all of one that took long.

        A process that was stopped between the two readings would be half of that time behind, and believe that a lease
        still lasts which is over; one that is ahead only lets go of it too soon.
        """
        before = _steady_seconds()
        moment = await database.fetch_value("SELECT clock_timestamp()")
        after = _steady_seconds()
        if not isinstance(moment, datetime):
            raise TypeError("clock_timestamp() gave no timestamp")
        trip = after - before
        self._steady = after
        self._read_at = moment + timedelta(seconds=trip / 2 if trip < LONG_TRIP_SECONDS else trip)

    def now(self) -> datetime:
        """Return the present moment by the database's clock."""
        return self._read_at + timedelta(seconds=_steady_seconds() - self._steady)

    async def pause(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, until: datetime, *, look_every: timedelta, idle: bool) -> None:
        """Wait for ``event``, until ``until`` or for ``look_every``."""
        del idle  # the real time passes by itself
        longest = min(until - self.now(), look_every)
        try:
            async with asyncio.timeout(max(longest.total_seconds(), 0.001)):
                await event.wait()
        except TimeoutError:
            return


class VirtualClock:
    """Time that stands still while anything is on its way, and leaps to whatever comes next once nothing is.

    ``round_work`` is done every ``ROUND`` of its time, for what a scheduler would do beside.
    """

    ROUND = timedelta(minutes=1)

    def __init__(self, begin: datetime, round_work: Callable[[datetime], Awaitable[None]]) -> None:
        self._now = begin
        self._round_work = round_work
        self._round_at = begin + self.ROUND

    async def sync(self) -> None:
        """Nothing to read: this clock is right."""

    def now(self) -> datetime:
        """Return the present moment."""
        return self._now

    async def pause(self, seconds: float) -> None:
        """Let others act; this clock does not count the work of a machine."""
        del seconds
        await asyncio.sleep(0)

    async def wait(self, event: asyncio.Event, until: datetime, *, look_every: timedelta, idle: bool) -> None:
        """Wait for ``event`` while something is on its way to set it, else leap towards ``until``."""
        if event.is_set():
            return
        if not idle:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), look_every.total_seconds())
        elif until < self._round_at:
            self._now = max(self._now, until)
        else:
            await self.leap(self._round_at)

    async def leap(self, moment: datetime) -> None:
        """Go on to ``moment``, unless it is over, and do the work of a round there."""
        self._now = max(self._now, moment)
        self._round_at = self._now + self.ROUND
        await self._round_work(self._now)


_virtual: ContextVar[VirtualClock | None] = ContextVar("virtual_clock", default=None)


def new_clock() -> Clock:
    """Return a clock that is not synced yet: the database's, or the virtual one of a rehearsal."""
    return _virtual.get() or DatabaseClock()


async def synced_clock() -> Clock:
    """Return a clock that is right."""
    clock = new_clock()
    await clock.sync()
    return clock


@contextmanager
def virtual_time(clock: VirtualClock) -> Iterator[None]:
    """Let everything in the block, and the tasks it begins, go by ``clock``."""
    token = _virtual.set(clock)
    try:
        yield
    finally:
        _virtual.reset(token)
