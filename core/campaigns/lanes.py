"""Lanes: one for each sending number, with its due time in PostgreSQL and one holder at a time."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import asyncpg
import msgspec
import structlog

from core import database
from core.campaigns.claims import Cap, open_counters
from core.campaigns.pacing import CampaignState, History, NumberState, Pacing, period_key, warm_up_cap
from core.campaigns.rendering import Template, TemplateError, compile_template
from core.campaigns.tables import MessageType

_log = structlog.get_logger(__name__)

COUNTED_ALWAYS = 2**62
"""The limit of a cap that is counted and never reached."""


class Step(msgspec.Struct, frozen=True):
    """One message of a campaign, ready to render."""

    id: int
    position: int
    template: Template
    type_message: MessageType
    media_path: str | None


class CampaignTurn(msgspec.Struct, kw_only=True):
    """A running campaign as one lane sees it."""

    id: int
    version: int
    state: CampaignState
    steps: dict[int, Step]
    stop_on_reply: bool
    check_numbers: bool
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


class HeldLane(msgspec.Struct, kw_only=True):
    """A lane this process holds, with everything ``decide`` needs."""

    number_id: int
    user_id: int
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
        return max(min(moments), self.next_at or now)

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
        zone = ZoneInfo(campaign.state.timezone)
        day = period_key(now, zone, "day")

        def used(scope: str, scope_id: int, period: str) -> int:
            return self.used.get((scope, scope_id, period), 0)

        return History(
            next_at=self.next_at,
            hour=used("number", self.number_id, period_key(now, zone, "hour")),
            day=used("number", self.number_id, day),
            campaign_day=used("campaign", campaign.id, day),
            month=used("plan", self.user_id, period_key(now, zone, "month")),
            burst=self.burst,
        )

    def caps(self, campaign: CampaignTurn, now: datetime) -> tuple[Cap, ...]:
        """Name every counter a claim for ``campaign`` has to fit under, in the order they are locked."""
        zone = ZoneInfo(campaign.state.timezone)
        pacing = campaign.state.pacing
        day = period_key(now, zone, "day")
        warm = warm_up_cap(now, self.number.first_connected_at) if pacing.warm_up else None
        per_day = min((cap for cap in (pacing.per_day, warm) if cap is not None), default=COUNTED_ALWAYS)
        month = campaign.state.monthly_messages
        caps = [
            Cap(1, "plan", self.user_id, period_key(now, zone, "month"), COUNTED_ALWAYS if month is None else month),
            Cap(3, "number", self.number_id, day, per_day),
        ]
        if pacing.campaign_per_day is not None:
            caps.append(Cap(2, "campaign", campaign.id, day, pacing.campaign_per_day))
        if pacing.per_hour is not None:
            caps.append(Cap(3, "number", self.number_id, period_key(now, zone, "hour"), pacing.per_hour))
        return tuple(sorted(caps))


async def acquire(now: datetime, holder: str, lease_until: datetime, limit: int) -> list[int]:
    """Take up to ``limit`` lanes that are due and held by nobody; return their numbers."""
    rows = await database.fetch(
        "UPDATE lanes SET holder = $2, lease_until = $3 WHERE number_id IN ("
        " SELECT number_id FROM lanes WHERE due_at <= $1 AND (holder IS NULL OR lease_until < $1)"
        " ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) RETURNING number_id",
        now,
        holder,
        lease_until,
        limit,
    )
    return [row["number_id"] for row in rows]


async def extend(holder: str, lease_until: datetime) -> None:
    """Renew this process's leases."""
    await database.execute("UPDATE lanes SET lease_until = $2 WHERE holder = $1", holder, lease_until)


async def held(holder: str) -> dict[int, int]:
    """Return the lanes this process still holds: number id to its wake counter."""
    rows = await database.fetch("SELECT number_id, wakes FROM lanes WHERE holder = $1", holder)
    return {row["number_id"]: row["wakes"] for row in rows}


async def release(holder: str, lane: HeldLane, due_at: datetime | None, reason: str) -> bool:
    """Give a lane back with its next due time; ``False`` when somebody woke it meanwhile, and it stays held."""
    changed = await database.execute(
        "UPDATE lanes SET holder = NULL, lease_until = NULL, due_at = $4, wait_reason = $5, burst = $6,"
        " pause_until = $7 WHERE number_id = $1 AND holder = $2 AND wakes = $3",
        lane.number_id,
        holder,
        lane.wakes,
        due_at,
        reason,
        lane.burst,
        lane.next_at,
    )
    return changed == 1


async def give_up(holder: str, held_lanes: Sequence["HeldLane"]) -> None:
    """Free every lane of a process that ends, due at once for whoever comes next; pauses and bursts are kept."""
    await database.execute(
        "UPDATE lanes l SET pause_until = g.pause_until, burst = g.burst"
        " FROM unnest($2::bigint[], $3::timestamptz[], $4::int[]) AS g(number_id, pause_until, burst)"
        " WHERE l.number_id = g.number_id AND l.holder = $1",
        holder,
        [lane.number_id for lane in held_lanes],
        [lane.next_at for lane in held_lanes],
        [lane.burst for lane in held_lanes],
    )
    await database.execute("UPDATE lanes SET holder = NULL, lease_until = NULL WHERE holder = $1", holder)


async def wake(campaign_id: int, now: datetime) -> None:
    """Make every number of a campaign due now; whoever holds a lane sees it by the counter."""
    await database.execute(
        "INSERT INTO lanes (number_id, user_id, due_at, wakes, slot, burst, failures, wait_reason, created_at)"
        " SELECT n.number_id, k.user_id, $2, 1, 0, 0, 0, '', $2 FROM campaign_numbers n"
        " JOIN campaigns k ON k.id = n.campaign_id WHERE n.campaign_id = $1 ORDER BY n.number_id"
        " ON CONFLICT (number_id) DO UPDATE SET wakes = lanes.wakes + 1,"
        " due_at = least(coalesce(lanes.due_at, excluded.due_at), excluded.due_at)",
        campaign_id,
        now,
    )


async def wake_numbers(due: Sequence[tuple[int, datetime]]) -> None:
    """Make lanes due no later than given: (number id, moment)."""
    if not due:
        return
    await database.execute(
        "UPDATE lanes l SET wakes = wakes + 1, due_at = least(coalesce(l.due_at, d.due_at), d.due_at)"
        " FROM (SELECT number_id, min(due_at) AS due_at FROM unnest($1::bigint[], $2::timestamptz[])"
        " AS d(number_id, due_at) GROUP BY number_id ORDER BY number_id) d WHERE l.number_id = d.number_id",
        [number_id for number_id, _ in due],
        [moment for _, moment in due],
    )


async def open_breaker(number_id: int, until: datetime) -> None:
    """Try nothing on a lane before ``until``."""
    await database.execute(
        "UPDATE lanes SET open_until = $2, failures = failures + 1 WHERE number_id = $1", number_id, until
    )


async def close_breaker(number_id: int) -> None:
    """Forget the failures of a lane that works again."""
    await database.execute(
        "UPDATE lanes SET open_until = NULL, failures = 0 WHERE number_id = $1 AND failures > 0", number_id
    )


LOAD = """
SELECT l.number_id, l.user_id, l.slot, l.wakes, l.burst, l.failures, l.pause_until, l.open_until,
       n.status AND n.deleted_at IS NULL AS active, n.status_connection, n.restricted_until, n.first_connected_at,
       k.id AS campaign_id, k.version, k.settings, u.timezone, u.due_access_at,
       u.status = 'active' AND u.deleted_at IS NULL AS tenant_active,
       CASE WHEN u.profile = 'administrator' OR p.unlimited THEN NULL WHEN p.id IS NULL THEN 0
            ELSE p.monthly_messages END AS monthly_messages
FROM lanes l
JOIN numbers n ON n.id = l.number_id
JOIN users u ON u.id = l.user_id
LEFT JOIN plans p ON p.id = u.plan_id
LEFT JOIN (campaign_numbers c JOIN campaigns k ON k.id = c.campaign_id AND k.status = 2 AND k.deleted_at IS NULL
           AND k.started_at IS NOT NULL)
    ON c.number_id = l.number_id
WHERE {which}
ORDER BY l.number_id, k.id
"""


HELD = "l.number_id = ANY($1::bigint[]) AND l.holder = $2"


class LaneSettings(msgspec.Struct, frozen=True):
    """The parts of ``campaigns.settings`` that the engine reads."""

    pacing: Pacing = Pacing()
    stop_on_reply: bool = True
    check_numbers: bool = True


async def load(holder: str, number_ids: Sequence[int], now: datetime) -> list[HeldLane]:
    """Read lanes this process holds, with their numbers, running campaigns and counters."""
    rows = await database.fetch(
        LOAD.format(which="l.number_id = ANY($1::bigint[]) AND l.holder = $2"), number_ids, holder
    )
    return await _gather(rows, now)


async def peek(campaign_id: int, now: datetime) -> list[HeldLane]:
    """Read the lanes of a campaign without holding them, to explain what they do."""
    which = "l.number_id IN (SELECT number_id FROM campaign_numbers WHERE campaign_id = $1)"
    return await _gather(await database.fetch(LOAD.format(which=which), campaign_id), now)


async def _gather(rows: Sequence[asyncpg.Record], now: datetime) -> list[HeldLane]:
    lanes: dict[int, HeldLane] = {}
    for row in rows:
        lane = lanes.get(row["number_id"])
        if lane is None:
            lane = lanes[row["number_id"]] = HeldLane(
                number_id=row["number_id"],
                user_id=row["user_id"],
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
                ),
                campaigns=[],
                used={},
            )
        if row["campaign_id"] is not None:
            try:
                lane.campaigns.append(await _turn(row))
            except (msgspec.ValidationError, TemplateError, ZoneInfoNotFoundError, KeyError):
                # One campaign that cannot be read must not keep the others from being sent.
                _log.exception("campaign_unreadable", campaign_id=row["campaign_id"])
    caps = sorted({cap for lane in lanes.values() for turn in lane.campaigns for cap in lane.caps(turn, now)})
    used = await open_counters(caps) if caps else {}
    for lane in lanes.values():
        lane.used = used
    return list(lanes.values())


async def _turn(row: asyncpg.Record) -> CampaignTurn:
    settings = _settings(row["settings"])
    return CampaignTurn(
        id=row["campaign_id"],
        version=row["version"],
        state=CampaignState(
            running=row["tenant_active"],
            pacing=settings.pacing,
            timezone=row["timezone"],
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


async def load_steps(campaign_id: int) -> dict[int, Step]:
    """Read and compile a campaign's messages: message id to step."""
    rows = await database.fetch(
        "SELECT id, position, content, type_message, media_path FROM messages"
        " WHERE campaign_id = $1 AND deleted_at IS NULL ORDER BY position",
        campaign_id,
    )
    return {
        row["id"]: Step(
            row["id"],
            row["position"],
            compile_template(row["content"]),
            MessageType(row["type_message"]),
            row["media_path"],
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


async def next_due(number_id: int, campaign_ids: Sequence[int]) -> datetime | None:
    """Return when the earliest pending row that ``number_id`` may send is due."""
    moment = await database.fetch_value(
        "SELECT min(due_at) FROM unnest($2::bigint[]) AS k(id) CROSS JOIN LATERAL ("
        " (SELECT due_at FROM message_by_contacts WHERE campaign_id = k.id AND number_id = $1 AND state = 'pending'"
        "  AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)"
        " UNION ALL (SELECT due_at FROM message_by_contacts WHERE campaign_id = k.id AND number_id IS NULL"
        "  AND state = 'pending' AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)) r",
        number_id,
        list(campaign_ids),
    )
    return moment if isinstance(moment, datetime) else None
