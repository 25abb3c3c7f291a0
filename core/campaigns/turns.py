"""Turns: the lanes this process holds, with the running campaigns that take their turn on them, as read just now."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfoNotFoundError

import asyncpg
import msgspec
import structlog

from core import database
from core.campaigns.claims import Cap, open_counters
from core.campaigns.pacing import (
    CampaignState,
    History,
    NumberState,
    Pacing,
    day_cap,
    period_key,
    share_of_room,
    smallest,
)
from core.campaigns.rendering import Template, TemplateError, compile_template
from core.campaigns.tables import MessageType
from core.numbers.schemas import NumberLimits

_log = structlog.get_logger(__name__)

COUNTED_ALWAYS = 2**62
"""The limit of a cap that is counted and never reached."""
LONGEST_REACH = 512
"""The most rows that one claim looks at for a lane."""


class Step(msgspec.Struct, frozen=True):
    """One message of a campaign, ready to render."""

    id: int
    position: int
    template: Template
    type_message: MessageType
    media_path: str | None
    link_preview: bool = False


class CampaignTurn(msgspec.Struct, kw_only=True):
    """A running campaign as one lane sees it."""

    id: int
    version: int
    state: CampaignState
    steps: dict[int, Step]
    stop_on_reply: bool
    check_numbers: bool
    reach: int = 1
    """Rows worth looking at: grows while those that are due may not be sent."""
    exhausted: bool = False
    """Nothing was due at the last claim; until the lane is loaded again."""
    stopped: bool = False
    """It may not send until something other than time changes."""
    not_before: datetime | None = None

    def reopen(self, due_at: datetime) -> None:
        """Something of it became due at ``due_at``."""
        if self.exhausted:
            self.exhausted = False
            self.not_before = due_at
        elif self.not_before is not None:
            self.not_before = min(self.not_before, due_at)

    @property
    def open(self) -> bool:
        """Whether a claim may bring something."""
        return not self.exhausted and not self.stopped


class Typing(msgspec.Struct, frozen=True):
    """Somebody sees typing, until the message is claimed and sent."""

    campaign_id: int
    recipient_id: int
    until: datetime


class HeldLane(msgspec.Struct, kw_only=True):
    """A lane this process holds, with everything ``decide`` needs."""

    number_id: int
    user_id: int
    server_id: int
    slot: int
    wakes: int
    burst: int
    failures: int
    number: NumberState
    campaigns: list[CampaignTurn]
    used: dict[tuple[str, int, str], int]
    next_at: datetime | None = None
    """The end of the present pause."""
    in_flight: int = 0
    typing: Typing | None = None
    wait_reason: str = ""

    @property
    def paced(self) -> bool:
        """Whether one message must be over before the next."""
        return any(turn.state.pacing.paced for turn in self.campaigns)

    def wake_at(self, now: datetime) -> datetime | None:
        """Return when a claim is worth trying, ``None`` while no campaign is open."""
        moments = [turn.not_before or now for turn in self.campaigns if turn.open]
        if not moments:
            return None
        return max(min(moments), self.next_at or now, self.typing.until if self.typing is not None else now)

    def is_due(self, now: datetime) -> bool:
        """Whether to claim now; a paced lane with a message in the air is not due."""
        if self.paced and self.in_flight:
            return False
        moment = self.wake_at(now)
        return moment is not None and moment <= now

    def renew(self, fresh: "HeldLane") -> None:
        """Take over what was read anew; what is in the air and the present pause stay as this process knows them."""
        self.campaigns, self.number, self.used = fresh.campaigns, fresh.number, fresh.used
        self.slot, self.wakes, self.failures = fresh.slot, fresh.wakes, fresh.failures

    def history(self, campaign: CampaignTurn, now: datetime) -> History:
        """Put together what ``decide`` asks of the past."""
        zone = campaign.state.zone
        day = period_key(now, zone, "day")

        def used(scope: str, scope_id: int, period: str) -> int:
            return self.used.get((scope, scope_id, period), 0)

        return History(
            next_at=self.next_at,
            hour=used("number", self.number_id, period_key(now, zone, "hour")),
            day=used("number", self.number_id, day),
            campaign_hour=used("campaign", campaign.id, period_key(now, zone, "hour")),
            campaign_day=used("campaign", campaign.id, day),
            month=used("plan", self.user_id, period_key(now, zone, "month")),
            burst=self.burst,
        )

    def caps(self, campaign: CampaignTurn, now: datetime) -> tuple[Cap, ...]:
        """Name every counter a claim for ``campaign`` has to fit under, in the order they are locked."""
        zone = campaign.state.zone
        pacing = campaign.state.pacing
        hour, day = period_key(now, zone, "hour"), period_key(now, zone, "day")
        month = campaign.state.monthly_messages
        number_day = day_cap(now, self.number, pacing)
        caps = [
            Cap(1, "plan", self.user_id, period_key(now, zone, "month"), COUNTED_ALWAYS if month is None else month),
            Cap(3, "number", self.number_id, day, COUNTED_ALWAYS if number_day is None else number_day),
        ]
        for rank, scope, scope_id, period, limit in (
            (2, "campaign", campaign.id, hour, pacing.campaign_per_hour),
            (2, "campaign", campaign.id, day, pacing.campaign_per_day),
            (3, "number", self.number_id, hour, smallest(pacing.per_hour, self.number.per_hour)),
        ):
            if limit is not None:
                caps.append(Cap(rank, scope, scope_id, period, limit))
        return tuple(sorted(caps))


LOAD = """
SELECT l.number_id, l.user_id, l.slot, l.wakes, l.burst, l.failures, l.pause_until, l.open_until,
       n.server_id, n.settings AS number_settings, n.status AND n.deleted_at IS NULL AS active, n.status_connection,
       n.restricted_until, n.first_connected_at,
       k.id AS campaign_id, k.version, k.settings, k.zones, u.timezone, u.due_access_at,
       u.status = 'active' AND u.deleted_at IS NULL AS tenant_active,
       CASE WHEN u.profile = 'administrator' OR p.unlimited THEN NULL WHEN p.id IS NULL THEN 0
            ELSE p.monthly_messages END AS monthly_messages
FROM {lanes} l
JOIN numbers n ON n.id = l.number_id
JOIN users u ON u.id = l.user_id
LEFT JOIN plans p ON p.id = u.plan_id
LEFT JOIN (campaign_numbers c JOIN campaigns k ON k.id = c.campaign_id AND k.deleted_at IS NULL AND {campaigns})
    ON c.number_id = l.number_id
WHERE {which}
ORDER BY l.number_id, k.id
"""

RUNNING = "k.status = 2 AND k.started_at IS NOT NULL"
PLANNED = """(SELECT c.number_id, n.user_id, coalesce(l.slot, 0) AS slot, coalesce(l.wakes, 0) AS wakes,
    coalesce(l.burst, 0) AS burst, coalesce(l.failures, 0) AS failures, l.pause_until, l.open_until
    FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id LEFT JOIN lanes l ON l.number_id = n.id
    WHERE c.campaign_id = $1)"""
"""The lanes of one campaign, whether they are there already or not."""

ROOMS = """
SELECT c.campaign_id, n.id AS number_id, n.first_connected_at, n.settings AS number_settings
FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id
WHERE c.campaign_id = ANY($1::bigint[]) AND n.status AND n.deleted_at IS NULL AND n.status_connection
"""


class LaneSettings(msgspec.Struct, frozen=True):
    """The parts of ``campaigns.settings`` that the engine reads."""

    pacing: Pacing = Pacing()
    stop_on_reply: bool = True
    check_numbers: bool = True


async def load(holder: str, number_ids: Sequence[int], now: datetime) -> list[HeldLane]:
    """Read lanes this process holds, with their numbers, running campaigns and counters."""
    rows = await database.fetch(
        LOAD.format(lanes="lanes", campaigns=RUNNING, which="l.number_id = ANY($1::bigint[]) AND l.holder = $2"),
        number_ids,
        holder,
    )
    return await _gather(rows, now)


async def peek(campaign_id: int, now: datetime) -> list[HeldLane]:
    """Read the lanes of a campaign without holding them, to explain what they do."""
    which = "l.number_id IN (SELECT number_id FROM campaign_numbers WHERE campaign_id = $1)"
    query = LOAD.format(lanes="lanes", campaigns=RUNNING, which=which)
    return await _gather(await database.fetch(query, campaign_id), now)


async def peek_planned(campaign_id: int, now: datetime) -> list[HeldLane]:
    """Read the lanes that a campaign has or will have, with that campaign alone, whatever its status."""
    query = LOAD.format(lanes=PLANNED, campaigns="k.id = $1", which="k.id = $1")
    return await _gather(await database.fetch(query, campaign_id), now)


async def _gather(rows: Sequence[asyncpg.Record], now: datetime) -> list[HeldLane]:
    held_lanes: dict[int, HeldLane] = {}
    for row in rows:
        lane = held_lanes.setdefault(row["number_id"], _lane(row))
        if row["campaign_id"] is not None:
            try:
                lane.campaigns.append(await _turn(row))
            except (msgspec.ValidationError, TemplateError, ZoneInfoNotFoundError, KeyError):
                # One campaign that cannot be read must not keep the others from being sent.
                _log.exception("campaign_unreadable", campaign_id=row["campaign_id"])
    await _weigh(list(held_lanes.values()), now)
    caps = sorted({cap for lane in held_lanes.values() for turn in lane.campaigns for cap in lane.caps(turn, now)})
    used = await open_counters(caps) if caps else {}
    for lane in held_lanes.values():
        lane.used = used
    return list(held_lanes.values())


def _lane(row: asyncpg.Record) -> HeldLane:
    limits = number_limits(row["number_settings"])
    return HeldLane(
        number_id=row["number_id"],
        user_id=row["user_id"],
        server_id=row["server_id"],
        slot=row["slot"],
        wakes=row["wakes"],
        burst=row["burst"],
        failures=row["failures"],
        next_at=row["pause_until"],
        number=NumberState(
            active=row["active"],
            connected=row["status_connection"],
            restricted_until=row["restricted_until"],
            open_until=row["open_until"],
            first_connected_at=row["first_connected_at"],
            per_hour=limits.per_hour,
            per_day=limits.per_day,
        ),
        campaigns=[],
        used={},
    )


async def _weigh(held_lanes: Sequence[HeldLane], now: datetime) -> None:
    """Tell each campaign on several numbers how much of the roomiest number's daily room each of them has."""
    turns = [(lane, turn) for lane in held_lanes for turn in lane.campaigns]
    rows = await database.fetch(ROOMS, sorted({turn.id for _, turn in turns})) if turns else []
    numbers: dict[int, dict[int, NumberState]] = {}
    for row in rows:
        limits = number_limits(row["number_settings"])
        state = NumberState(first_connected_at=row["first_connected_at"], per_day=limits.per_day)
        numbers.setdefault(row["campaign_id"], {})[row["number_id"]] = state
    for lane, turn in turns:
        rooms = {
            number_id: day_cap(now, state, turn.state.pacing) for number_id, state in numbers.get(turn.id, {}).items()
        }
        turn.state = msgspec.structs.replace(turn.state, weight=share_of_room(rooms, lane.number_id))


async def _turn(row: asyncpg.Record) -> CampaignTurn:
    settings = _settings(row["settings"])
    return CampaignTurn(
        id=row["campaign_id"],
        version=row["version"],
        state=CampaignState(
            running=row["tenant_active"],
            pacing=settings.pacing,
            timezone=row["timezone"],
            zones=tuple(msgspec.json.decode(row["zones"], type=list[str])),
            access_until=row["due_access_at"],
            monthly_messages=row["monthly_messages"],
        ),
        steps=await load_steps(row["campaign_id"]),
        stop_on_reply=settings.stop_on_reply,
        check_numbers=settings.check_numbers,
    )


@lru_cache(maxsize=1024)
def _settings(text: str) -> LaneSettings:
    return msgspec.json.decode(text, type=LaneSettings)


@lru_cache(maxsize=4096)
def number_limits(text: str) -> NumberLimits:
    """Read a number's own caps out of ``numbers.settings``."""
    return msgspec.json.decode(text, type=NumberLimits)


async def load_steps(campaign_id: int) -> dict[int, Step]:
    """Read and compile a campaign's messages: message id to step."""
    rows = await database.fetch(
        "SELECT m.id, m.position, m.content, m.type_message, m.media_path, k.settings->>'link_preview' AS link_preview"
        " FROM messages m JOIN campaigns k ON k.id = m.campaign_id"
        " WHERE m.campaign_id = $1 AND m.deleted_at IS NULL ORDER BY m.position",
        campaign_id,
    )
    return {
        row["id"]: Step(
            row["id"],
            row["position"],
            compile_template(row["content"]),
            MessageType(row["type_message"]),
            row["media_path"],
            row["link_preview"] == "true",
        )
        for row in rows
    }


async def count_new_periods(held_lanes: Sequence[HeldLane], now: datetime) -> None:
    """Open the counters of an hour, day or month that began since the lanes were loaded."""
    missing = {
        cap
        for lane in held_lanes
        for turn in lane.campaigns
        for cap in lane.caps(turn, now)
        if (cap.scope, cap.scope_id, cap.period) not in lane.used
    }
    if missing:
        used = await open_counters(sorted(missing))
        for lane in held_lanes:
            lane.used.update(used)
