"""When sending is allowed: spans of the day on some weekdays, and the holidays on which nothing is sent. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo

import holidays
import msgspec

LOOK_AHEAD_DAYS = 400
"""A calendar with no opening within this time never opens: every day of a year is a holiday, say."""

Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", examples=["BR"])]
Subdivision = Annotated[str, msgspec.Meta(pattern="^[A-Z0-9]{1,3}$", examples=["SP"])]


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A span of the day in which sending is allowed, on some weekdays (0 is Monday)."""

    start: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:00"])]
    """``HH:MM``."""
    end: Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$", examples=["20:00"])]
    """``HH:MM``, later than ``start``; ``24:00`` is the end of the day."""
    weekdays: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=6)], ...], msgspec.Meta(min_length=1)] = (*range(7),)


class Holidays(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Days without sending: the public holidays of a country, and dates of one's own."""

    country: Country | None = None
    """ISO 3166 code; its public holidays as the library ``holidays`` knows them."""
    subdivision: Subdivision | None = None
    """ISO 3166-2 code of a part of the country, such as ``SP``, for its own holidays too."""
    dates: Annotated[tuple[date, ...], msgspec.Meta(max_length=200)] = ()

    def has(self, day: date) -> bool:
        """Whether nothing is sent on ``day``."""
        if day in self.dates:
            return True
        return self.country is not None and day in public_holidays(self.country, self.subdivision, day.year)


@lru_cache(maxsize=256)
def public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    """Return the public holidays of a year.

    Raises:
        NotImplementedError: The country or the subdivision is not known.
    """
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))


def next_opening(now: datetime, windows: Sequence[Window], closed_on: Holidays | None, zone: ZoneInfo) -> datetime:
    """Return ``now`` while sending is allowed in ``zone``, else when it will be; without windows only holidays count.

    A calendar that never opens gives a moment a year and a month ahead.
    """
    local = now.astimezone(zone)
    for offset in range(LOOK_AHEAD_DAYS):
        day = local.date() + timedelta(days=offset)
        if closed_on is not None and closed_on.has(day):
            continue
        found = [moment for moment in _openings(day, windows, zone, now) if moment is not None]
        if found:
            return min(found)
    return now + timedelta(days=LOOK_AHEAD_DAYS)


def _openings(day: date, windows: Sequence[Window], zone: ZoneInfo, now: datetime) -> Iterator[datetime | None]:
    """Yield for each window of ``day`` when it is next open from ``now`` on, ``None`` once it is over."""
    for window in windows or (WHOLE_DAY,):
        if day.weekday() not in window.weekdays:
            continue
        start = datetime.combine(day, time.fromisoformat(window.start), zone)
        end = _end(day, window.end, zone)
        if start <= now.astimezone(zone) < end:
            yield now
        elif start > now.astimezone(zone):
            yield _next_occurrence(start, now).astimezone(now.tzinfo)


WHOLE_DAY = Window("00:00", "24:00")


def _next_occurrence(local: datetime, now: datetime) -> datetime:
    """Return the instant of a local time; of one that comes twice, where clocks go back, the one still ahead."""
    moment = local.astimezone(UTC)
    return moment if moment > now else local.replace(fold=1).astimezone(UTC)


def _end(day: date, text: str, zone: ZoneInfo) -> datetime:
    if text == "24:00":
        return datetime.combine(day + timedelta(days=1), time(), zone)
    return datetime.combine(day, time.fromisoformat(text), zone)
