"""Time as a value: one clock, the database's, carried between readings by the machine's steady timer."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from core import database

LONG_TRIP_SECONDS = 1.0


class Clock(Protocol):
    """Tells the present moment, aware and in UTC."""

    def now(self) -> datetime:
        """Return the present moment."""
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
