"""When may this number send? One pure function with every rule of pacing; it reads no clock and no database."""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from core.campaigns.windows import Holidays, Window, next_opening

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Hours = Annotated[float, msgspec.Meta(ge=0, le=24 * 365)]
Cap = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]
Period = Literal["hour", "day", "month"]


class RampStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From this day after a number's first connection on, at most so many messages a day."""

    from_day: Annotated[int, msgspec.Meta(ge=0, le=365)]
    per_day: Cap


WARM_UP_RAMP = (RampStep(0, 20), RampStep(4, 50), RampStep(8, 100), RampStep(15, 200))
"""The ramp of DeskcommCRM."""
WARM_UP_DAYS = 22
"""A number is grown after so many days."""


class Pacing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The rules of one campaign, as stored in ``campaigns.settings.pacing``; everything absent does not apply."""

    delay_min: Seconds = 0.0
    delay_max: Seconds = 0.0
    """Random pause between two messages of one number, in seconds."""
    typing: bool = False
    """Show the recipient that somebody types, for as long as a person would need for the text (at most 12 s)."""
    rest_after: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    rest_seconds: Seconds = 0.0
    """A longer pause after so many messages."""
    per_hour: Cap | None = None
    per_day: Cap | None = None
    """Caps of the number, over all campaigns."""
    campaign_per_hour: Cap | None = None
    campaign_per_day: Cap | None = None
    """Caps of the campaign, over all its numbers."""
    windows: Annotated[tuple[Window, ...], msgspec.Meta(max_length=50)] = ()
    window_zone: Literal["tenant", "recipient"] = "tenant"
    """Whose clock the windows and holidays go by; a recipient's zone is that of the area of the number."""
    holidays: Holidays | None = None
    warm_up: bool = False
    """Hold a young number to the ramp."""
    warm_up_ramp: Annotated[tuple[RampStep, ...], msgspec.Meta(min_length=1, max_length=20)] = WARM_UP_RAMP
    warm_up_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = WARM_UP_DAYS
    contact_gap_hours: Hours | None = None
    """Least time between a message of another campaign to a contact and one of this."""
    contact_per_day: Cap | None = None
    """Messages to one contact on one day, over all campaigns."""
    unanswered_max: Cap | None = None
    """Messages to a contact since the contact last wrote; whoever has had so many is skipped."""
    contact_wait_hours: Hours = 48.0
    """A contact who is not free for a message within this time is skipped instead of waited for."""

    @property
    def paced(self) -> bool:
        """Whether one message must be over before the next is due."""
        return self.typing or self.delay_max > 0 or (self.rest_after > 0 and self.rest_seconds > 0)

    @property
    def by_recipient_zone(self) -> bool:
        """Whether windows open for each recipient by the clock where the recipient is."""
        return self.window_zone == "recipient" and bool(self.windows or self.holidays)


DEFAULT_PACING = Pacing(
    delay_min=30.0,
    delay_max=60.0,
    typing=True,
    rest_after=20,
    rest_seconds=600.0,
    per_hour=60,
    per_day=200,
    windows=(Window("08:00", "20:00", (0, 1, 2, 3, 4, 5)),),
    warm_up=True,
    contact_gap_hours=6.0,
)
"""For standard and simplified campaigns: WAHA's advice against blocking (30 to 60 s, varied, typing, not round the
clock; https://waha.devlike.pro/docs/overview/%EF%B8%8F-how-to-avoid-blocking/)."""


class NumberState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a sending number."""

    active: bool = True
    connected: bool = True
    restricted_until: datetime | None = None
    """Until then only people who have written to the number may be sent to."""
    open_until: datetime | None = None
    """While the breaker is open nothing is tried."""
    first_connected_at: datetime | None = None
    per_hour: int | None = None
    per_day: int | None = None
    """The number's own caps, whatever a campaign allows."""


class CampaignState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the campaign whose turn it is."""

    running: bool = True
    """Whether its tenant may send at all."""
    pacing: Pacing = Pacing()
    timezone: str = "UTC"
    zones: tuple[str, ...] = ()
    """The time zones of its recipients, where the windows go by them."""
    access_until: datetime | None = None
    """The end of the tenant's access, if any."""
    monthly_messages: int | None = None
    weight: float = 1.0
    """This number's daily room as a share of the roomiest number of the campaign, above 0 up to 1."""

    @property
    def zone(self) -> ZoneInfo:
        """The tenant's time zone, in which caps are counted."""
        return ZoneInfo(self.timezone)


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent already, counted in calendar periods of the tenant's zone."""

    next_at: datetime | None = None
    """The end of the pause after the message before."""
    hour: int = 0
    day: int = 0
    campaign_hour: int = 0
    campaign_day: int = 0
    month: int = 0
    burst: int = 0
    """Messages since the last rest."""


class RecipientHistory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one recipient."""

    zone: str | None = None
    """Time zone of the number's area, where it is known."""
    knows_number: bool = True
    """Has written to the sending number."""
    day: int = 0
    """Messages of this day, of all campaigns."""
    other_campaign_at: datetime | None = None
    """The last message of another campaign."""
    unanswered: int = 0
    """Messages since the recipient last wrote."""


class SendNow(msgspec.Struct, frozen=True):
    """Send up to ``room`` messages, and then nothing for ``pause`` seconds; ``rest`` says the pause ends a burst."""

    room: int
    pause: float = 0.0
    rest: bool = False
    known_only: bool = False
    """Only to people who have written to the number."""


class Wait(msgspec.Struct, frozen=True):
    """Nothing before ``until``; ``reason`` is a stable word."""

    until: datetime
    reason: str


class Stop(msgspec.Struct, frozen=True):
    """Nothing until something else changes; ``reason`` is a stable word."""

    reason: str


class Skip(msgspec.Struct, frozen=True):
    """Never to this recipient, in this campaign; ``reason`` is a stable word."""

    reason: str


Decision = SendNow | Wait | Stop | Skip

UNPACED_ROOM = 1_000_000
POSTPONED = frozenset({"outside_window", "contact_gap", "contact_day_cap"})
"""Reasons of a wait that concern one recipient: the row is due later, and the others go on."""


def decide(
    now: datetime,
    number: NumberState,
    campaign: CampaignState,
    history: History,
    rng: random.Random,
    recipient: RecipientHistory | None = None,
) -> Decision:
    """Say whether ``number`` may send for ``campaign`` at ``now``; ``rng`` draws the pause.

    With ``recipient`` the rules that concern one person count too, and only then can the answer be a ``Skip``.
    """
    stop = _stopped(now, number, campaign)
    if stop is not None:
        return stop
    wait = _waiting(now, number, history) or _outside_windows(now, campaign, recipient)
    if wait is not None:
        return wait
    restricted = number.restricted_until is not None and number.restricted_until > now
    if restricted and recipient is not None and not recipient.knows_number:
        return Wait(number.restricted_until or now, "number_restricted")
    room = UNPACED_ROOM
    for limit, used, period, reason in _caps(now, number, campaign, history):
        if limit is None:
            continue
        if used >= limit:
            return Wait(next_period(now, campaign.zone, period), reason)
        room = min(room, limit - used)
    refused = _refused(now, campaign, recipient) if recipient is not None else None
    if refused is not None:
        return refused
    return _send_now(campaign, history, rng, room, known_only=restricted)


def _send_now(campaign: CampaignState, history: History, rng: random.Random, room: int, *, known_only: bool) -> SendNow:
    pacing = campaign.pacing
    if not pacing.paced:
        return SendNow(room, known_only=known_only)
    rest = pacing.rest_after > 0 and history.burst + 1 >= pacing.rest_after
    # Numbers with less room pause longer, so that all use the same share of theirs.
    pause = rng.uniform(pacing.delay_min, max(pacing.delay_min, pacing.delay_max)) / campaign.weight
    return SendNow(1, pause + (pacing.rest_seconds if rest else 0.0), rest, known_only)


def next_period(now: datetime, zone: ZoneInfo, period: Period) -> datetime:
    """Return when the next calendar hour, day or month begins in ``zone``."""
    local = now.astimezone(zone)
    if period == "hour":
        begin = local.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    elif period == "day":
        begin = datetime.combine(local.date() + timedelta(days=1), time(), zone)
    else:
        begin = datetime.combine((local.date().replace(day=1) + timedelta(days=32)).replace(day=1), time(), zone)
    return begin.astimezone(now.tzinfo)


def period_key(now: datetime, zone: ZoneInfo, period: Period) -> str:
    """Name the calendar period ``now`` lies in: ``2026-11-23T14``, ``2026-11-23`` or ``2026-11``."""
    text = now.astimezone(zone).isoformat()
    return {"hour": text[:13], "day": text[:10], "month": text[:7]}[period]


def day_start(now: datetime, zone: ZoneInfo) -> datetime:
    """Return when the calendar day of ``now`` began in ``zone``."""
    return datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(now.tzinfo)


def warm_up_cap(now: datetime, first_connected_at: datetime | None, pacing: Pacing | None = None) -> int | None:
    """Return the daily cap of a young number, or ``None`` once it is grown or where the ramp does not begin yet."""
    rules = pacing or Pacing()
    # A lane is read after its moment was taken, so the connection may lie a little ahead of it.
    days = 0 if first_connected_at is None else max(0, (now - first_connected_at).days)
    if days >= rules.warm_up_days:
        return None
    reached = [step for step in rules.warm_up_ramp if step.from_day <= days]
    return max(reached, key=lambda step: step.from_day).per_day if reached else None


def day_cap(now: datetime, number: NumberState, pacing: Pacing) -> int | None:
    """Return the most a number may send on the day of ``now``: the smallest of its own, the campaign's, the ramp's."""
    warm = warm_up_cap(now, number.first_connected_at, pacing) if pacing.warm_up else None
    return smallest(pacing.per_day, number.per_day, warm)


def smallest(*caps: int | None) -> int | None:
    """Return the smallest of the caps that are set."""
    return min((cap for cap in caps if cap is not None), default=None)


def share_of_room(rooms: Mapping[int, int | None], number_id: int) -> float:
    """Return a number's daily room as a share of the roomiest, at least 1/20; without a cap a number has the most."""
    most = max((room for room in rooms.values() if room is not None), default=None)
    own = rooms.get(number_id)
    return 1.0 if most is None or own is None else max(0.05, own / most)


def closed_zones(now: datetime, campaign: CampaignState) -> dict[str, datetime]:
    """Return the recipients' time zones in which nothing may be sent now, each with its next opening.

    Where nothing is known of a recipient's zone, the tenant's counts, under the name ``""``.
    """
    if not campaign.pacing.by_recipient_zone:
        return {}
    openings = {zone: opening for zone, opening in _openings(now, campaign) if opening > now}
    own = _next_opening(now, campaign, campaign.timezone)
    return openings if own <= now else {**openings, "": own}


def typing_seconds(text: str, rng: random.Random) -> float:
    """Return how long a person would type ``text``, between 1 and 12 seconds."""
    return min(12.0, max(1.0, len(text) / rng.uniform(10.0, 16.0)))


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
    for until, reason in ((number.open_until, "breaker_open"), (history.next_at, "pause")):
        if until is not None and until > now:
            return Wait(until, reason)
    return None


def _outside_windows(now: datetime, campaign: CampaignState, recipient: RecipientHistory | None) -> Wait | None:
    """Wait for the next window, if ``now`` lies in none; with several zones, while none of them is open."""
    pacing = campaign.pacing
    if not (pacing.windows or pacing.holidays):
        return None
    if pacing.by_recipient_zone and recipient is None and campaign.zones:
        until = min(opening for _, opening in _openings(now, campaign))
    else:
        own = recipient.zone if recipient is not None and pacing.by_recipient_zone else None
        until = _next_opening(now, campaign, own or campaign.timezone)
    return Wait(until, "outside_window") if until > now else None


def _openings(now: datetime, campaign: CampaignState) -> Iterator[tuple[str, datetime]]:
    for zone in campaign.zones:
        yield zone, _next_opening(now, campaign, zone)


def _next_opening(now: datetime, campaign: CampaignState, zone: str) -> datetime:
    return next_opening(now, campaign.pacing.windows, campaign.pacing.holidays, ZoneInfo(zone))


def _caps(
    now: datetime, number: NumberState, campaign: CampaignState, history: History
) -> Sequence[tuple[int | None, int, Period, str]]:
    pacing = campaign.pacing
    warm = warm_up_cap(now, number.first_connected_at, pacing) if pacing.warm_up else None
    return (
        (campaign.monthly_messages, history.month, "month", "plan_cap"),
        (pacing.campaign_per_hour, history.campaign_hour, "hour", "campaign_hour_cap"),
        (pacing.campaign_per_day, history.campaign_day, "day", "campaign_day_cap"),
        (smallest(pacing.per_hour, number.per_hour), history.hour, "hour", "number_hour_cap"),
        (smallest(pacing.per_day, number.per_day), history.day, "day", "number_day_cap"),
        (warm, history.day, "day", "warm_up_cap"),
    )


def _refused(now: datetime, campaign: CampaignState, recipient: RecipientHistory) -> Wait | Skip | None:
    """Say whether a person has had enough for now (wait, if that ends soon enough) or for good."""
    pacing = campaign.pacing
    if pacing.unanswered_max is not None and recipient.unanswered >= pacing.unanswered_max:
        return Skip("unanswered_cap")
    waits: list[Wait] = []
    if pacing.contact_gap_hours is not None and recipient.other_campaign_at is not None:
        waits.append(Wait(recipient.other_campaign_at + timedelta(hours=pacing.contact_gap_hours), "contact_gap"))
    if pacing.contact_per_day is not None and recipient.day >= pacing.contact_per_day:
        waits.append(Wait(next_period(now, campaign.zone, "day"), "contact_day_cap"))
    # The one that ends last says when the person is free.
    last = max((wait for wait in waits if wait.until > now), key=lambda wait: wait.until, default=None)
    if last is None:
        return None
    longest = timedelta(hours=pacing.contact_wait_hours)
    return Skip(last.reason) if last.until - now > longest else last
