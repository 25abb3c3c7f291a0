"""Time as a value: one clock, the database's, carried between readings by the machine's steady timer."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from core import database


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
        """Read the database's clock; half the round trip is taken off."""
        before = _steady_seconds()
        moment = await database.fetch_value("SELECT clock_timestamp()")
        after = _steady_seconds()
        if not isinstance(moment, datetime):
            raise TypeError("clock_timestamp() gave no timestamp")
        self._steady = after
        self._read_at = moment + timedelta(seconds=(after - before) / 2)

    def now(self) -> datetime:
        """Return the present moment by the database's clock."""
        return self._read_at + timedelta(seconds=_steady_seconds() - self._steady)
