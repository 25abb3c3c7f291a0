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


class DatabaseClock:
    """The database's clock: every process of an installation agrees on it, whatever its own clock says."""

    def __init__(self) -> None:
        self._read_at = datetime.now(UTC)
        self._steady = time.monotonic()

    async def sync(self) -> None:
        """Read the database's clock; half the round trip is taken off."""
        before = time.monotonic()
        moment = await database.fetch_value("SELECT clock_timestamp()")
        after = time.monotonic()
        if not isinstance(moment, datetime):
            raise TypeError("clock_timestamp() gave no timestamp")
        self._steady = after
        self._read_at = moment + timedelta(seconds=(after - before) / 2)

    def now(self) -> datetime:
        """Return the present moment by the database's clock."""
        return self._read_at + timedelta(seconds=time.monotonic() - self._steady)
