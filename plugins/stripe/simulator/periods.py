"""The ends of periods: the same day of the month as the first, or the month's last where it has no such day."""

import calendar
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def after(start: int, recurring: Mapping[str, Any], anchor: int | None = None) -> int:
    """Return the end of the period that begins at ``start``; times are Unix times in seconds."""
    begins = datetime.fromtimestamp(start, UTC)
    months = {"month": 1, "year": 12}[recurring["interval"]] * recurring["interval_count"]
    day = datetime.fromtimestamp(anchor or start, UTC).day
    years, month = divmod(begins.month - 1 + months, 12)
    year = begins.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return int(begins.replace(year=year, month=month + 1, day=min(day, last)).timestamp())
