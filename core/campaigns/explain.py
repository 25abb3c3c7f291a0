"""Explain: why a campaign, or one of its recipients, gets nothing at this moment, and when the next message is due."""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import asyncpg
import msgspec
from redis.exceptions import RedisError

from core import database
from core.campaigns import breakers, lanes, turns
from core.campaigns.outcomes import CHECK_BUDGET
from core.campaigns.pacing import (
    POSTPONED,
    Decision,
    NumberState,
    RecipientHistory,
    SendNow,
    Skip,
    Stop,
    Wait,
    day_start,
    decide,
)
from core.campaigns.schemas import Blocker, Explanation
from core.campaigns.tables import CampaignStatus, RecipientState
from core.campaigns.turns import CampaignTurn, HeldLane
from core.campaigns.wants import seeded
from core.clock import synced_clock
from core.errors import NotFoundError
from core.heartbeat import worker_lives
from core.numbers import senders
from core.runtime import runtime
from core.texts import ENGLISH, blocker_text

REDIS_SECONDS = 1.0

STANDING = """
SELECT EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'leased') AS leased,
       EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'accepted') AS accepted,
       EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'unknown') AS unknown
"""

NEXT = """
SELECT due_at, reason FROM (
    (SELECT due_at, id, reason FROM message_by_contacts WHERE campaign_id = $1 AND number_id = $2
        AND state = 'pending' AND due_at IS NOT NULL ORDER BY due_at, id LIMIT 1)
    UNION ALL
    (SELECT due_at, id, reason FROM message_by_contacts WHERE campaign_id = $1 AND number_id IS NULL
        AND state = 'pending' AND due_at IS NOT NULL ORDER BY number_id, due_at, id LIMIT 1)) r
ORDER BY due_at, id LIMIT 1
"""

RECIPIENT = """
SELECT m.*, a.day_start, a.day_used, a.unanswered,
    CASE WHEN a.campaign_id = m.campaign_id THEN a.other_at ELSE a.last_at END AS other_campaign_at
FROM message_by_contacts m LEFT JOIN contact_activity a ON a.contact_id = m.contact_id
WHERE m.id = $1 AND m.campaign_id = $2
"""


class _Found(msgspec.Struct):
    """What stands in the way, as it is gathered."""

    language: str
    sending: bool = False
    reasons: list[Blocker] = []
    moments: list[datetime] = []

    def add(self, code: str, *, number_id: int | None = None, until: datetime | None = None) -> None:
        self.reasons.append(
            Blocker(code=code, text=blocker_text(code, self.language), number_id=number_id, until=until)
        )
        if until is not None:
            self.moments.append(until)

    def explanation(self) -> Explanation:
        return Explanation(sending=self.sending, reasons=self.reasons, next_due_at=min(self.moments, default=None))


async def explain(user_id: int, campaign_id: int, language: str = ENGLISH) -> Explanation:
    """Say whether the campaign sends, and else every reason why not, by the same ``decide`` that paces it."""
    row = await _campaign(user_id, campaign_id)
    found = _Found(language)
    if row["status"] != CampaignStatus.RUNNING:
        found.add(row["status_reason"], until=_starts_at(row))
        return found.explanation()
    clock = await synced_clock()
    await _explain_running(row, clock.now(), found)
    return found.explanation()


async def explain_recipient(user_id: int, campaign_id: int, recipient_id: int, language: str = ENGLISH) -> Explanation:
    """Say why one recipient row is not sent at this moment, with the rules that concern the person alone."""
    campaign = await _campaign(user_id, campaign_id)
    row = await database.fetch_row(RECIPIENT, recipient_id, campaign_id)
    if row is None:
        raise NotFoundError("recipient", recipient_id)
    found = _Found(language)
    settled = _settled(row)
    if settled is not None:
        found.add(settled, until=row["lease_until"] if settled == "looked_up" else None)
    elif campaign["status"] != CampaignStatus.RUNNING:
        found.add(campaign["status_reason"], until=_starts_at(campaign))
    else:
        clock = await synced_clock()
        await _explain_pending(row, clock.now(), found)
    return found.explanation()


async def _campaign(user_id: int, campaign_id: int) -> asyncpg.Record:
    row = await database.fetch_row(
        "SELECT id, status, status_reason, schedule_date, frozen_at FROM campaigns"
        " WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL",
        campaign_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    return row


def _starts_at(row: asyncpg.Record) -> datetime | None:
    moment: datetime | None = row["schedule_date"] if row["status_reason"] == "scheduled" else None
    return moment


async def _explain_running(row: asyncpg.Record, now: datetime, found: _Found) -> None:
    """Ask for each number of the campaign; one that may send is enough."""
    if row["status_reason"] == "waiting_for_connection":
        for number in await database.fetch(
            "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY id", row["id"]
        ):
            found.add("waiting_for_connection", number_id=number["number_id"])
        return
    standing = await database.fetch_row(STANDING, row["id"])
    if row["frozen_at"] is None:
        found.add("freezing")
    held = await turns.peek(row["id"], now)
    places = await _places(held)
    waiting = False
    for lane in held:
        following = await database.fetch_row(NEXT, row["id"], lane.number_id)
        if following is not None:
            waiting = True
            await _explain_lane(lane, row["id"], following, places, now, found)
    if waiting and found.sending:
        await _explain_platform(held, now, found)
    if not found.reasons and not found.sending:
        found.add(_reason_without_due_rows(standing, has_lanes=bool(held)))
    found.sending = found.sending or (standing is not None and standing["leased"])


async def _explain_lane(
    lane: HeldLane, campaign_id: int, following: asyncpg.Record, places: "_Places", now: datetime, found: _Found
) -> None:
    """Say why ``lane`` does not send its rows of the campaign, of which ``following`` is the next."""
    turn = next((turn for turn in lane.campaigns if turn.id == campaign_id), None)
    if turn is None:
        found.add("paused_by_user", number_id=lane.number_id)
        return
    if following["due_at"] > now:
        found.add(_reason_of_delay(following["reason"]), number_id=lane.number_id, until=following["due_at"])
        return
    number = places.state(lane, now)
    decision = decide(now, number, turn.state, lane.history(turn, now), seeded(lane, turn))
    if isinstance(decision, SendNow) and decision.known_only and not await _knows_anybody(lane, campaign_id, now):
        decision = Wait(number.restricted_until or now, "number_restricted")
    for code, until in places.blockers(lane, decision):
        spent = code == "breaker_open" and following["reason"] == CHECK_BUDGET
        found.add(CHECK_BUDGET if spent else code, number_id=lane.number_id, until=until)
        return
    found.sending = True
    found.moments.append(now)


async def _explain_pending(row: asyncpg.Record, now: datetime, found: _Found) -> None:
    """Ask ``decide`` about a pending row, for each number that may send it."""
    if row["due_at"] is None:
        found.add("previous_step")
        return
    if row["due_at"] > now:
        found.add(_reason_of_delay(row["reason"]), until=row["due_at"])
        return
    held = [lane for lane in await turns.peek(row["campaign_id"], now) if row["number_id"] in (None, lane.number_id)]
    places = await _places(held)
    for lane in held:
        turn = next((turn for turn in lane.campaigns if turn.id == row["campaign_id"]), None)
        if turn is None:
            continue
        person = await _person(row, lane, turn, now)
        history = lane.history(turn, now)
        decision = decide(now, places.state(lane, now), turn.state, history, seeded(lane, turn), person)
        blockers = list(places.blockers(lane, decision))
        for code, until in blockers:
            found.add(code, number_id=lane.number_id, until=until)
        found.sending = found.sending or not blockers
    if not held:
        found.add("no_number")
    if found.sending:
        found.moments.append(now)
        await _explain_platform(held, now, found)


async def _explain_platform(held: list[HeldLane], now: datetime, found: _Found) -> None:
    """Nothing stands in the way of the campaign; see whether anybody is there to send it."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            alive = await worker_lives(runtime().redis)
    except (RedisError, OSError, TimeoutError):
        found.add("redis_down")
        found.sending = await lanes.any_held([lane.number_id for lane in held], now)
        return
    if not alive:
        found.add("no_worker")
        found.sending = False


class _Places(msgspec.Struct, frozen=True):
    """What is known of the servers that the lanes send through."""

    routes: frozenset[int]
    """Numbers whose plugin and credentials are in order."""
    breakers: dict[int, breakers.Breaker]
    down: frozenset[int]
    """Servers that did not answer when they were last asked."""

    def state(self, lane: HeldLane, now: datetime) -> NumberState:
        """Return the number with its server's breaker."""
        breaker = self.breakers.get(lane.server_id)
        if breaker is None or breaker.open_until <= now:
            return lane.number
        until = max(breaker.open_until, lane.number.open_until or breaker.open_until)
        return msgspec.structs.replace(lane.number, open_until=until)

    def blockers(self, lane: HeldLane, decision: Decision) -> Iterator[tuple[str, datetime | None]]:
        """Yield what keeps a lane from sending, given what ``decide`` said."""
        match decision:
            case SendNow():
                if lane.number_id not in self.routes:
                    yield "no_route", None
            case Wait(until, "breaker_open") if lane.server_id in self.down:
                yield "provider_down", until
            case Wait(until, reason):
                yield reason, until
            case Skip(reason) | Stop(reason):
                yield reason, None


async def _places(held: list[HeldLane]) -> _Places:
    routes = await senders.senders([lane.number_id for lane in held])
    servers = {lane.server_id for lane in held}
    down = await database.fetch("SELECT id FROM servers WHERE id = ANY($1::bigint[]) AND NOT status", sorted(servers))
    return _Places(frozenset(routes), await breakers.load(servers), frozenset(row["id"] for row in down))


async def _knows_anybody(lane: HeldLane, campaign_id: int, now: datetime) -> bool:
    found = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM message_by_contacts m JOIN conversations v ON v.contact_id = m.contact_id"
        " AND v.number_id = $2 WHERE m.campaign_id = $1 AND m.state = 'pending' AND m.due_at <= $3"
        " AND (m.number_id IS NULL OR m.number_id = $2))",
        campaign_id,
        lane.number_id,
        now,
    )
    return bool(found)


async def _person(row: asyncpg.Record, lane: HeldLane, turn: CampaignTurn, now: datetime) -> RecipientHistory:
    knows = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM conversations WHERE contact_id = $1 AND number_id = $2)",
        row["contact_id"],
        lane.number_id,
    )
    today = row["day_start"] == day_start(now, turn.state.zone)
    return RecipientHistory(
        zone=row["zone"],
        knows_number=bool(knows),
        day=row["day_used"] if today else 0,
        other_campaign_at=row["other_campaign_at"],
        unanswered=row["unanswered"] or 0,
    )


def _reason_of_delay(reason: str) -> str:
    if reason in POSTPONED:
        return reason
    return "waiting_for_retry" if reason else "waiting_for_delay"


def _settled(row: asyncpg.Record) -> str | None:
    """Say why a row is not waiting to be sent, ``None`` when it is."""
    match row["state"]:
        case RecipientState.PENDING:
            return None
        case RecipientState.LEASED:
            return "in_flight"
        case RecipientState.ACCEPTED:
            return "waiting_for_acknowledgement"
        case RecipientState.UNKNOWN:
            return "needs_attention" if row["lease_until"] is None else "looked_up"
        case _:
            return "settled"


def _reason_without_due_rows(standing: asyncpg.Record | None, *, has_lanes: bool) -> str:
    """Say what a frozen campaign waits for that has nothing left to claim."""
    if standing is not None and standing["leased"]:
        return "in_flight"
    if standing is not None and standing["accepted"]:
        return "waiting_for_acknowledgement"
    if standing is not None and standing["unknown"]:
        return "needs_attention"
    return "completing" if has_lanes else "no_number"
