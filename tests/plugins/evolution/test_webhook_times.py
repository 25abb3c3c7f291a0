"""A delivery's time, which the server writes in its own zone."""

from datetime import UTC, datetime, timedelta

import pytest

from plugins.evolution.webhook import _moment


@pytest.mark.parametrize("hours", [-11, -3, 0, 5.5, 12.75])
def test_time_of_a_server_in_any_zone(hours: float) -> None:
    now = datetime(2026, 11, 23, 16, 48, 5, tzinfo=UTC)
    written = (now - timedelta(seconds=90) + timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
    assert _moment(written, now) == now - timedelta(seconds=90)


def test_time_ahead_of_ours_is_now() -> None:
    now = datetime(2026, 11, 23, 16, 48, 5, tzinfo=UTC)
    assert _moment("2026-11-23T13:50:00.000Z", now) == now


@pytest.mark.parametrize("stamp", ["", "soon", "0000-00-00", "9999-12-31T23:59:59Z"])
def test_odd_stamps_become_now(stamp: str) -> None:
    now = datetime(2026, 11, 23, 16, 48, 5, tzinfo=UTC)
    assert _moment(stamp, now) <= now
