"""Freezing an audience: one recipient row for each message and contact, as everything stands at this moment.

Runs as a job in batches of contacts; each batch commits its rows, its counters and its checkpoint together, and
sending may begin with the first. Whoever is left out gets a row too, skipped with the reason.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from core import database
from core.campaigns import lanes
from core.campaigns.defaults import entropy_limit
from core.campaigns.frozen import variables_of
from core.campaigns.judging import (
    JUDGED,
    STARTED,
    Place,
    Plan,
    addressed,
    find_zones,
    judged_args,
    read_plan,
    sample_audience,
    used_room,
)
from core.campaigns.renderings import gather, measure
from core.campaigns.status_events import tell
from core.campaigns.turns import load_steps
from core.clock import Clock, synced_clock
from core.errors import InvalidInputError, NotFoundError
from core.jobs.services import JobContext, job_handler
from core.live import progress

FREEZE = "campaigns.freeze"
BATCH_CONTACTS = 20_000

INSERT = f"""{JUDGED}, inserted AS (
    INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, position, number_id, state, reason,
        address, provider_address, variables, zone, attempt, failures, requeues, due_at, created_at, updated_at)
    SELECT $2, $14, m.id, f.id, m.position,
        f.sticky_id,
        CASE WHEN f.reason IS NULL THEN 'pending' ELSE 'skipped' END,
        coalesce(f.reason, ''), coalesce(f.number, f.known_address, ''),
        CASE WHEN f.reason IS NULL THEN nullif(f.known_address, '') END,
        CASE WHEN f.reason IS NULL THEN {{variables}} END,
        f.zone,
        0, 0, 0, CASE WHEN m.position = 1 AND f.reason IS NULL THEN $1::timestamptz END, $1, $1
    FROM final f CROSS JOIN unnest($8::bigint[]) WITH ORDINALITY AS m(id, position)
    ORDER BY m.position, f.id
)
SELECT max(id) AS last_id, count(*) AS contacts, count(*) FILTER (WHERE reason IS NULL) AS included FROM final
"""
OWN_PARAMETERS = 2
"""Of ``INSERT``, after those of ``JUDGED``."""

REFUSE = """
UPDATE campaigns SET status = 1, status_reason = 'too_uniform', started_at = NULL, version = version + 1,
    updated_at = $2 WHERE id = $1 AND version = $3 AND status IN (2, 3) AND frozen_at IS NULL RETURNING version
"""


class Checkpoint(Place):
    """How far a freeze came."""

    contacts: int = 0
    rows: int = 0
    zones: list[str] = msgspec.field(default_factory=list)
    result: dict[str, Any] = msgspec.field(default_factory=dict)
    """What was measured before the first row, where there is a limit."""
    refused: bool = False
    """The campaign was sent back for it; the job has nothing more to do."""


@job_handler(FREEZE)
async def freeze(context: JobContext) -> Mapping[str, Any]:
    """Write every recipient row of the campaign ``context.subject_id``, then mark it frozen and wake its lanes.

    One whose texts are more uniform than its limit allows is a draft again before the first row is written. Where there
    is a limit, the job's result says what was measured.
    """
    campaign_id = context.subject_id
    clock = await synced_clock()
    state = msgspec.convert(context.state, Checkpoint)
    if state.refused:
        return state.result
    try:
        plan = await read_plan(campaign_id, clock.now(), STARTED, own=OWN_PARAMETERS)
        if plan is not None and not state.last_id:
            plan = await _if_varied(context, state, plan, clock)
    except (NotFoundError, InvalidInputError):
        await _fail(campaign_id, clock.now())
        return {}
    if plan is None:
        return state.result
    while True:
        async with database.unit_of_work():
            if not await _is_wanted(campaign_id):
                return {}
            contacts = await _batch(campaign_id, plan, state, clock.now())
            await context.checkpoint(msgspec.to_builtins(state), done=state.contacts)
            progress.changed("campaign", campaign_id)
        if contacts:
            await lanes.wake(campaign_id, clock.now())
        if contacts < BATCH_CONTACTS:
            break
    await database.execute(
        "UPDATE campaigns SET frozen_at = $2, total = $3, updated_at = $2,"
        " status_reason = CASE WHEN status = 2 THEN 'sending' ELSE status_reason END"
        " WHERE id = $1 AND frozen_at IS NULL AND status IN (2, 3)",
        campaign_id,
        clock.now(),
        state.rows,
    )
    progress.changed("campaign", campaign_id)
    await lanes.wake(campaign_id, clock.now())
    return state.result


async def _if_varied(context: JobContext, state: Checkpoint, plan: Plan, clock: Clock) -> Plan | None:
    """Return the plan if its texts are as varied as the limit asks for; else make the campaign a draft again.

    A campaign that changes while it is measured is measured anew. Without a limit this costs one look at it.
    """
    campaign_id = context.subject_id
    current: Plan | None = plan
    while current is not None:
        limit = current.entropy or await entropy_limit(current.user_id)
        if limit.max_share is None:
            return current
        sample = await sample_audience(campaign_id, current.names, clock.now())
        messages = [await measure(step, sample) for step in (await load_steps(campaign_id)).values()]
        found = gather((campaign_id, current.version), sample, messages, limit, clock.now())
        if not found.too_uniform:
            state.result = {"entropy": msgspec.to_builtins(found)}
            return current
        async with database.unit_of_work():
            version = await database.fetch_value(REFUSE, campaign_id, clock.now(), current.version)
            if isinstance(version, int):
                await tell(campaign_id)
                measured = msgspec.structs.replace(found, version=version)
                state.result = {"refused": "too_uniform", "entropy": msgspec.to_builtins(measured)}
                state.refused = True
                await context.checkpoint(msgspec.to_builtins(state))
                return None
        current = await read_plan(campaign_id, clock.now(), STARTED, own=OWN_PARAMETERS)
    return None


async def _is_wanted(campaign_id: int) -> bool:
    """Whether the campaign was not cancelled; the lock orders each batch with a cancellation, which skips its rows."""
    found = await database.fetch_value(
        "SELECT id FROM campaigns WHERE id = $1 AND status IN (2, 3) FOR SHARE", campaign_id
    )
    return found is not None


async def _fail(campaign_id: int, now: datetime) -> None:
    """End a campaign whose audience or labels were deleted between its start and now."""
    async with database.unit_of_work():
        failed = await database.execute(
            "UPDATE campaigns SET status = 6, status_reason = 'audience_gone', version = version + 1, updated_at = $2"
            " WHERE id = $1 AND status IN (2, 3)",
            campaign_id,
            now,
        )
        if failed:
            await tell(campaign_id)


async def _batch(campaign_id: int, plan: Plan, state: Checkpoint, now: datetime) -> int:
    """Write the rows of the next contacts and return how many contacts there were."""
    areas = await _areas(campaign_id, plan, state) if plan.areas else {}
    used = used_room(plan, state, BATCH_CONTACTS)
    row = await database.fetch_row(
        INSERT.format(
            audience=plan.audience,
            used=used,
            addressed=addressed(plan),
            variables=variables_of(plan.names, "$15"),
        ),
        *judged_args(plan, state, BATCH_CONTACTS, areas, now),
        campaign_id,
        plan.names,
        *plan.audience_args,
    )
    if row is None or row["last_id"] is None:
        return 0
    contacts: int = row["contacts"]
    messages = len(plan.message_ids)
    skipped = (contacts - row["included"]) * messages
    state.last_id = row["last_id"]
    state.contacts += contacts
    state.rows += contacts * messages
    state.included += row["included"]
    if skipped:
        await database.execute(
            "INSERT INTO campaign_counters AS k (campaign_id, shard, skipped) VALUES ($1, 0, $2)"
            " ON CONFLICT (campaign_id, shard) DO UPDATE SET skipped = k.skipped + excluded.skipped",
            campaign_id,
            skipped,
        )
    return contacts


async def _areas(campaign_id: int, plan: Plan, state: Checkpoint) -> dict[str, str]:
    """Find the zones of the next contacts' numbers, by ``digits:prefix``, and keep them with the campaign."""
    areas = await find_zones(plan, state.last_id, BATCH_CONTACTS)
    zones = sorted({*state.zones, plan.timezone, *areas.values()})
    if zones != state.zones:
        state.zones = zones
        await database.execute(
            "UPDATE campaigns SET zones = $2 WHERE id = $1", campaign_id, database.encode_json(zones)
        )
    return areas
