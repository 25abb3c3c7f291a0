"""The flight plan: who is left out and why, and what each number will send on which day, before anything is sent."""

import asyncio
import random
from collections import Counter
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from core import database
from core.campaigns import presence, services, turns
from core.campaigns.drafts import check_draft, load_draft, localize
from core.campaigns.judging import judge
from core.campaigns.schemas import FlightPlan, PlannedDay, PlannedNumber, PlanReason
from core.campaigns.simulation import Outcome, Simulation, StepPlan, Waiting
from core.campaigns.tables import CampaignStatus
from core.campaigns.turns import HeldLane
from core.clock import synced_clock
from core.errors import ConflictError, NotFoundError
from core.numbers import senders
from core.texts import ENGLISH, blocker_text

JUDGED_GROUPS = "SELECT reason, zone, sticky_id, count(*) AS contacts FROM final GROUP BY reason, zone, sticky_id"

REMAINING = """
SELECT number_id, zone, position, date_trunc('minute', due_at) AS due_at, count(*) AS messages
FROM message_by_contacts WHERE campaign_id = $1 AND state = 'pending' AND due_at IS NOT NULL
GROUP BY number_id, zone, position, date_trunc('minute', due_at)
"""

LEFT_OUT = """
SELECT reason, count(*) AS contacts FROM message_by_contacts
WHERE campaign_id = $1 AND position = 1 AND state = 'skipped' GROUP BY reason
"""


_at_once = asyncio.Semaphore(2)
"""A plan of a million messages takes half a minute of a core: a few of them must not take all of the process."""


class _Audience(msgspec.Struct):
    """Whom a plan is about."""

    contacts: int
    excluded: dict[str, int]
    rows: list[Waiting]
    zones: tuple[str, ...] | None = None
    """The recipients' time zones, where the freeze has not written them yet."""


async def plan_campaign(user_id: int, campaign_id: int, language: str = ENGLISH) -> FlightPlan:
    """Plan what a campaign will send, or has left to send, from the same rules that will pace it.

    Raises:
        NotFoundError: The tenant has no such campaign.
        InvalidInputError: A draft lacks something it needs.
        ConflictError: The campaign is over, or its audience is being written down.
    """
    row = await database.fetch_row(
        "SELECT * FROM campaigns WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL", campaign_id, user_id
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    services.expect(row, *services.OPEN, verb="planned")
    clock = await synced_clock()
    now = clock.now()
    # Also one that was started and waits for its number's connection has nothing frozen yet.
    if row["status"] == CampaignStatus.DRAFT or row["started_at"] is None:
        begin, audience = await _before_start(user_id, row, now)
    elif row["frozen_at"] is None:
        raise ConflictError(
            "The campaign's audience is being written down; ask again in a moment.", code="campaign_freezing"
        )
    else:
        begin, audience = now, await _after_start(campaign_id, now)
    return await _simulate(campaign_id, begin, audience, language)


async def _before_start(user_id: int, row: asyncpg.Record, now: datetime) -> tuple[datetime, _Audience]:
    draft = await load_draft(row)
    await check_draft(user_id, draft, complete=True)
    starts_at = await localize(user_id, draft)
    begin = now if starts_at is None else max(now, starts_at)
    excluded: Counter[str] = Counter()
    rows = []
    contacts = 0
    groups = await judge(row["id"], begin, JUDGED_GROUPS)
    for group in groups:
        contacts += group["contacts"]
        if group["reason"] is not None:
            excluded[group["reason"]] += group["contacts"]
        else:
            rows.append(Waiting(begin, group["contacts"], group["zone"] or "", number_id=group["sticky_id"]))
    zones = tuple(sorted({group["zone"] for group in groups if group["zone"]}))
    return begin, _Audience(contacts, dict(excluded), rows, zones)


async def _after_start(campaign_id: int, now: datetime) -> _Audience:
    contacts = await database.fetch_value(
        "SELECT count(*) FROM message_by_contacts WHERE campaign_id = $1 AND position = 1", campaign_id
    )
    left_out = await database.fetch(LEFT_OUT, campaign_id)
    remaining = await database.fetch(REMAINING, campaign_id)
    rows = [
        Waiting(max(now, row["due_at"]), row["messages"], row["zone"] or "", row["position"], row["number_id"])
        for row in remaining
    ]
    excluded = {row["reason"]: row["contacts"] for row in left_out}
    return _Audience(contacts if isinstance(contacts, int) else 0, excluded, rows)


async def _simulate(campaign_id: int, begin: datetime, audience: _Audience, language: str) -> FlightPlan:
    # A lane whose campaign cannot be read has none; the log says why.
    held = [lane for lane in await turns.peek_planned(campaign_id, begin) if lane.campaigns]
    routes = await senders.senders([lane.number_id for lane in held])
    typing = frozenset(
        lane.number_id
        for lane in held
        if lane.campaigns[0].state.pacing.typing
        and lane.number_id in routes
        and presence.can_type(routes[lane.number_id])
    )
    awaited = {lane.number_id: _as_if_connected(lane, audience.zones) for lane in held}
    # In a thread, so that a long campaign keeps no other request waiting; nothing else holds these lanes.
    steps = await _steps(campaign_id) if held else []
    simulation = Simulation(held, steps, typing, random.Random(campaign_id))  # noqa: S311 - pacing
    async with _at_once:
        outcome = await asyncio.to_thread(simulation.run, begin, audience.rows)
    missing = {
        number_id: [
            code for code, applies in (("number_disconnected", away), ("no_route", number_id not in routes)) if applies
        ]
        for number_id, away in awaited.items()
    }
    return _present(campaign_id, audience, outcome, missing, language)


def _as_if_connected(lane: HeldLane, zones: tuple[str, ...] | None) -> bool:
    """Plan with a number that is not connected as if it were from the beginning; return whether it is not."""
    away = not lane.number.connected
    lane.number = msgspec.structs.replace(lane.number, connected=True)
    if zones is not None:
        turn = lane.campaigns[0]
        turn.state = msgspec.structs.replace(turn.state, zones=zones)
    return away


async def _steps(campaign_id: int) -> list[StepPlan]:
    """Read the messages; a text without its variables is about as long as one with them."""
    compiled = await turns.load_steps(campaign_id)
    delays = await database.fetch("SELECT id, delay FROM messages WHERE id = ANY($1::bigint[])", list(compiled))
    delay = {row["id"]: row["delay"] for row in delays}
    return [StepPlan(delay[step.id], len(step.template.render({}, str(step.id)))) for step in compiled.values()]


def _present(
    campaign_id: int, audience: _Audience, outcome: Outcome, missing: dict[int, list[str]], language: str
) -> FlightPlan:
    numbers = []
    for number_id, waited in sorted(outcome.reasons.items()):
        days = [
            PlannedDay(date=day, messages=found.messages, begins_at=found.begins_at, ends_at=found.ends_at)
            for (number, day), found in sorted(outcome.days.items())
            if number == number_id
        ]
        codes: list[tuple[str, int]] = [(code, 0) for code in missing[number_id]] + waited.most_common()
        reasons = [PlanReason(code=code, text=blocker_text(code, language), seconds=secs) for code, secs in codes]
        ends_at = max((day.ends_at for day in days), default=None)
        messages = sum(day.messages for day in days)
        numbers.append(
            PlannedNumber(number_id=number_id, messages=messages, ends_at=ends_at, days=days, reasons=reasons)
        )
    summary: dict[str, Any] = {
        "begins_at": min((day.begins_at for day in outcome.days.values()), default=None),
        "ends_at": max((day.ends_at for day in outcome.days.values()), default=None),
    }
    if outcome.unplanned:
        summary["ends_at"] = None
    return FlightPlan(
        campaign_id=campaign_id,
        contacts=audience.contacts,
        included=audience.contacts - sum(audience.excluded.values()),
        excluded=audience.excluded,
        messages=sum(number.messages for number in numbers),
        unplanned=outcome.unplanned,
        numbers=numbers,
        **summary,
    )
