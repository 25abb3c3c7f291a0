import asyncio
from datetime import datetime, timedelta

import pytest

from core import clock, database
from core.clock import DatabaseClock

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
