"""When may this number send? One pure function with every rule of pacing; it reads no clock and no database."""

import random
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Cap = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]

WARM_UP_STEPS = ((0, 20), (4, 50), (8, 100), (15, 200))
"""Days since the first connection and the daily cap from then on (the ramp of DeskcommCRM); none after 22 days."""
WARM_UP_DAYS = 22


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A span of the day in which sending is allowed, on some weekdays (0 is Monday), in the tenant's zone."""

    start: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["08:00"])]
    """``HH:MM``."""
    end: Annotated[str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$", examples=["20:00"])]
    """``HH:MM``, later than ``start``; ``24:00`` is the end of the day."""
    weekdays: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=6)], ...], msgspec.Meta(min_length=1)] = (*range(7),)


class Pacing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules of one campaign, as stored in ``campaigns.settings.pacing``; everything absent does not apply."""

    delay_min: Seconds = 0.0
    delay_max: Seconds = 0.0
    """Random pause between two messages of one number, in seconds."""
    rest_after: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    rest_seconds: Seconds = 0.0
    """A longer pause after so many messages."""
    per_hour: Cap | None = None
    per_day: Cap | None = None
    """Caps of the number, over all campaigns."""
    campaign_per_day: Cap | None = None
    windows: tuple[Window, ...] = ()
    warm_up: bool = False

    @property
    def paced(self) -> bool:
        """Whether one message must be over before the next is due."""
        return self.delay_max > 0 or (self.rest_after > 0 and self.rest_seconds > 0)


DEFAULT_PACING = Pacing(
    delay_min=30.0,
    delay_max=60.0,
    rest_after=20,
    rest_seconds=600.0,
    per_hour=60,
    per_day=200,
    windows=(Window("08:00", "20:00", (0, 1, 2, 3, 4, 5)),),
    warm_up=True,
)
"""For standard and simplified campaigns: WAHA's advice against blocking (30 to 60 s, varied, not round the clock)."""


class NumberState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a sending number."""

    active: bool = True
    connected: bool = True
    restricted_until: datetime | None = None
    open_until: datetime | None = None
    """While the breaker is open nothing is tried."""
    first_connected_at: datetime | None = None


class CampaignState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the campaign whose turn it is."""

    running: bool = True
    """Whether its tenant may send at all."""
    pacing: Pacing = Pacing()
    timezone: str = "UTC"
    access_until: datetime | None = None
    """The end of the tenant's access, if any."""
    monthly_messages: int | None = None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent already, counted in calendar periods of the tenant's zone."""

    next_at: datetime | None = None
    """The end of the pause after the message before."""
    hour: int = 0
    day: int = 0
    campaign_day: int = 0
    month: int = 0
    burst: int = 0
    """Messages since the last rest."""


class SendNow(msgspec.Struct, frozen=True):
    """Send up to ``room`` messages, and then nothing for ``pause`` seconds; ``rest`` says the pause ends a burst."""

    room: int
    pause: float = 0.0
    rest: bool = False


class Wait(msgspec.Struct, frozen=True):
    """Nothing before ``until``; ``reason`` is a stable word."""

    until: datetime
    reason: str


class Stop(msgspec.Struct, frozen=True):
    """Nothing until something else changes; ``reason`` is a stable word."""

    reason: str


Decision = SendNow | Wait | Stop

UNPACED_ROOM = 1_000_000


def decide(
    now: datetime, number: NumberState, campaign: CampaignState, history: History, rng: random.Random
) -> Decision:
    """Say whether ``number`` may send for ``campaign`` at ``now``; ``rng`` draws the pause."""
    stop = _stopped(now, number, campaign)
    if stop is not None:
        return stop
    zone = ZoneInfo(campaign.timezone)
    pacing = campaign.pacing
    wait = _waiting(now, number, history) or _outside_windows(now, pacing.windows, zone)
    if wait is not None:
        return wait
    room = UNPACED_ROOM
    for limit, used, period, reason in _caps(now, number, campaign, history):
        if limit is None:
            continue
        if used >= limit:
            return Wait(next_period(now, zone, period), reason)
        room = min(room, limit - used)
    if not pacing.paced:
        return SendNow(room)
    rest = pacing.rest_after > 0 and history.burst + 1 >= pacing.rest_after
    pause = rng.uniform(pacing.delay_min, max(pacing.delay_min, pacing.delay_max))
    return SendNow(1, pause + (pacing.rest_seconds if rest else 0.0), rest)


def next_period(now: datetime, zone: ZoneInfo, period: Literal["hour", "day", "month"]) -> datetime:
    """Return when the next calendar hour, day or month begins in ``zone``."""
    local = now.astimezone(zone)
    if period == "hour":
        begin = local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    elif period == "day":
        begin = datetime.combine(local.date() + timedelta(days=1), time(), zone)
    else:
        begin = datetime.combine((local.date().replace(day=1) + timedelta(days=32)).replace(day=1), time(), zone)
    return begin.astimezone(now.tzinfo)


def period_key(now: datetime, zone: ZoneInfo, period: Literal["hour", "day", "month"]) -> str:
    """Name the calendar period ``now`` lies in: ``2026-11-23T14``, ``2026-11-23`` or ``2026-11``."""
    text = now.astimezone(zone).isoformat()
    return {"hour": text[:13], "day": text[:10], "month": text[:7]}[period]


def warm_up_cap(now: datetime, first_connected_at: datetime | None) -> int | None:
    """Return the daily cap of a young number, or ``None`` once it is grown."""
    # A lane is read after its moment was taken, so the connection may lie a little ahead of it.
    days = 0 if first_connected_at is None else max(0, (now - first_connected_at).days)
    if days >= WARM_UP_DAYS:
        return None
    return next(cap for start, cap in reversed(WARM_UP_STEPS) if days >= start)


def _stopped(now: datetime, number: NumberState, campaign: CampaignState) -> Stop | None:
    if not campaign.running:
        return Stop("tenant_suspended")
    if not number.active:
        return Stop("number_inactive")
    if not number.connected:
        return Stop("number_disconnected")
    if campaign.access_until is not None and campaign.access_until <= now:
        return Stop("access_ended")
    return None


def _waiting(now: datetime, number: NumberState, history: History) -> Wait | None:
    for until, reason in (
        (number.open_until, "breaker_open"),
        (number.restricted_until, "number_restricted"),
        (history.next_at, "pause"),
    ):
        if until is not None and until > now:
            return Wait(until, reason)
    return None


def _outside_windows(now: datetime, windows: tuple[Window, ...], zone: ZoneInfo) -> Wait | None:
    """Wait for the next window, if there are windows and ``now`` lies in none."""
    if not windows:
        return None
    local = now.astimezone(zone)
    starts: list[datetime] = []
    for offset in range(8):
        day = local.date() + timedelta(days=offset)
        for window in windows:
            if day.weekday() not in window.weekdays:
                continue
            start = datetime.combine(day, _clock_time(window.start), zone)
            end = _window_end(day_start=datetime.combine(day, time(), zone), text=window.end)
            if start <= local < end:
                return None
            if start > local:
                starts.append(_next_occurrence(start, now))
    until = min(starts, default=now + timedelta(days=7))
    return Wait(until.astimezone(now.tzinfo), "outside_window")


def _next_occurrence(local: datetime, now: datetime) -> datetime:
    """Return the instant of a local time; of one that comes twice, where clocks go back, the one still ahead."""
    moment = local.astimezone(UTC)
    return moment if moment > now else local.replace(fold=1).astimezone(UTC)


def _clock_time(text: str) -> time:
    return time.fromisoformat(text)


def _window_end(day_start: datetime, text: str) -> datetime:
    if text == "24:00":
        return datetime.combine(day_start.date() + timedelta(days=1), time(), day_start.tzinfo)
    return datetime.combine(day_start.date(), _clock_time(text), day_start.tzinfo)


def _caps(
    now: datetime, number: NumberState, campaign: CampaignState, history: History
) -> tuple[tuple[int | None, int, Literal["hour", "day", "month"], str], ...]:
    pacing = campaign.pacing
    warm = warm_up_cap(now, number.first_connected_at) if pacing.warm_up else None
    return (
        (campaign.monthly_messages, history.month, "month", "plan_cap"),
        (pacing.campaign_per_day, history.campaign_day, "day", "campaign_day_cap"),
        (pacing.per_hour, history.hour, "hour", "number_hour_cap"),
        (pacing.per_day, history.day, "day", "number_day_cap"),
        (warm, history.day, "day", "warm_up_cap"),
    )
