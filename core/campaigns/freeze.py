"""Freezing an audience: one recipient row for each message and contact, as everything stands at this moment.

Runs as a job in batches of contacts; each batch commits its rows, its counters and its checkpoint together, and
sending may begin with the first. Whoever is left out gets a row too, skipped with the reason.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from core import database
from core.campaigns import lanes
from core.campaigns.frozen import NAME_VARIABLES, NUMBER_VARIABLES, variables_of
from core.campaigns.pacing import period_key
from core.campaigns.rendering import compile_template
from core.campaigns.schemas import CampaignSettings
from core.campaigns.tables import CampaignStatus
from core.clock import synced_clock
from core.contacts.audience import audience_query
from core.contacts.zones import PREFIX_DIGITS, zone_of
from core.errors import InvalidInputError, NotFoundError
from core.jobs.services import JobContext, job_handler

BATCH_CONTACTS = 20_000
EVERYBODY = 2**31 - 1
STARTED = (CampaignStatus.RUNNING, CampaignStatus.PAUSED)
FOUND_FOR = timedelta(days=30)
ABSENT_FOR = timedelta(days=1)
"""How long the answer of a number check counts; people join, so an absent number is asked about sooner."""

AREAS = """
SELECT DISTINCT left(c.number, $4) AS prefix, length(c.number) AS digits FROM (
    SELECT number FROM contacts WHERE user_id = $1 AND id IN ({audience}) AND id > $2 ORDER BY id LIMIT $3) c
WHERE c.number <> ''
"""

JUDGED = """
WITH c AS MATERIALIZED (
    SELECT id, number, name, variables, status, blocked_at, type FROM contacts
    WHERE user_id = $2 AND id IN ({audience}) AND id > $3 ORDER BY id LIMIT $4
), resolved AS (
    SELECT c.*, CASE WHEN c.type = 2 THEN g.address WHEN a.found THEN a.address END AS known_address,
        NOT a.found AS absent, b.id IS NOT NULL AS is_blocked
    FROM c
    LEFT JOIN number_checks a ON a.provider = $5 AND a.number = c.number
        AND a.checked_at > $1::timestamptz - CASE WHEN a.found THEN $6::interval ELSE $7::interval END
    LEFT JOIN contact_addresses g ON c.type = 2 AND g.contact_id = c.id AND g.provider = $5
    LEFT JOIN block_contacts b ON b.user_id = $2 AND b.number = c.number
), judged AS (
    SELECT r.*, CASE
        WHEN status <> 1 THEN 'contact_inactive'
        WHEN blocked_at IS NOT NULL THEN 'opted_out'
        WHEN is_blocked THEN 'blocked'
        WHEN type = 2 AND coalesce(known_address, '') = '' THEN 'no_address'
        WHEN type = 1 AND coalesce(number, '') = '' THEN 'no_number'
        WHEN absent THEN 'no_whatsapp'
    END AS refused
    FROM resolved r
), single AS (
    SELECT j.*, CASE WHEN refused IS NOT NULL THEN refused
        WHEN known_address <> '' AND (
            row_number() OVER (PARTITION BY known_address, refused IS NULL ORDER BY id) > 1
            OR EXISTS (SELECT FROM message_by_contacts d
                       WHERE d.message_id = ($8::bigint[])[1] AND d.provider_address = j.known_address)
        ) THEN 'duplicate_address'
    END AS skip
    FROM judged j
), counted AS (
    SELECT j.*, $9::bigint - cardinality($8::bigint[])
        * (count(*) FILTER (WHERE skip IS NULL) OVER (ORDER BY id)) AS room_after
    FROM single j
), final AS (
    SELECT *, coalesce(skip, CASE WHEN room_after < 0 THEN 'over_plan' END) AS reason,
        CASE WHEN $11::text IS NOT NULL THEN
            coalesce($12::jsonb ->> (length(number) || ':' || left(number, $13::int)), $11::text) END AS zone,
        CASE WHEN skip IS NULL AND room_after >= 0 AND cardinality($10::bigint[]) > 0 THEN (
            SELECT v.number_id FROM conversations v WHERE v.contact_id = counted.id
                AND v.number_id = ANY($10::bigint[])
            ORDER BY v.last_inbound_at DESC LIMIT 1) END AS sticky_id
    FROM counted
)
"""
"""Judges every contact of an audience: the plan of a draft asks it too, so that both leave out the same people."""

INSERT = f"""{JUDGED}, inserted AS (
    INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, position, number_id, state, reason,
        address, provider_address, variables, zone, attempt, failures, requeues, due_at, created_at, updated_at)
    SELECT $2, $14, m.id, f.id, m.position,
        f.sticky_id,
        CASE WHEN f.reason IS NULL THEN 'pending' ELSE 'skipped' END,
        coalesce(f.reason, ''), coalesce(f.number, f.known_address, ''),
        CASE WHEN f.reason IS NULL THEN nullif(f.known_address, '') END,
        CASE WHEN f.reason IS NULL AND cardinality($15::text[]) > 0 THEN {variables_of("$15", "$16", "$17")} END,
        f.zone,
        0, 0, 0, CASE WHEN m.position = 1 AND f.reason IS NULL THEN $1::timestamptz END, $1, $1
    FROM final f CROSS JOIN unnest($8::bigint[]) WITH ORDINALITY AS m(id, position)
    ORDER BY m.position, f.id
    ON CONFLICT (message_id, contact_id) DO NOTHING
    RETURNING state
)
SELECT (SELECT max(id) FROM c) AS last_id, (SELECT count(*) FROM c) AS contacts,
       (SELECT count(*) FROM inserted) AS rows, (SELECT count(*) FROM inserted WHERE state = 'skipped') AS skipped,
       (SELECT count(*) FROM final WHERE reason IS NULL) AS included
"""


class Checkpoint(msgspec.Struct):
    """How far a freeze came."""

    last_id: int = 0
    contacts: int = 0
    rows: int = 0
    included: int = 0
    zones: list[str] = []


class _Plan(msgspec.Struct, frozen=True):
    """What a freeze reads once."""

    user_id: int
    audience: str
    audience_args: list[object]
    provider: str
    message_ids: list[int]
    names: list[str]
    room: int
    """Messages the tenant's plan has left this month."""
    sticky: list[int]
    """The campaign's numbers, where a contact shall get the one it last wrote to."""
    areas: str
    """The audience once more, for ``AREAS``; empty where nobody asks for recipients' time zones."""
    timezone: str
    """The tenant's, for whoever has no zone of their own."""


@job_handler("campaigns.freeze")
async def freeze(context: JobContext) -> None:
    """Write every recipient row of the campaign ``context.subject_id``, then mark it frozen and wake its lanes."""
    campaign_id = context.subject_id
    clock = await synced_clock()
    try:
        plan = await _read(campaign_id, clock.now())
    except (NotFoundError, InvalidInputError):
        await _fail(campaign_id, clock.now())
        return
    if plan is None:
        return
    state = msgspec.convert(context.state, Checkpoint)
    while True:
        async with database.unit_of_work():
            if not await _is_wanted(campaign_id):
                return
            contacts = await _batch(campaign_id, plan, state, clock.now())
            await context.checkpoint(msgspec.to_builtins(state), done=state.contacts)
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
    await lanes.wake(campaign_id, clock.now())


async def _is_wanted(campaign_id: int) -> bool:
    """Whether the campaign was not cancelled; the lock orders each batch with a cancellation, which skips its rows."""
    found = await database.fetch_value(
        "SELECT id FROM campaigns WHERE id = $1 AND status IN (2, 3) FOR SHARE", campaign_id
    )
    return found is not None


async def _fail(campaign_id: int, now: datetime) -> None:
    """End a campaign whose audience or labels were deleted between its start and now."""
    await database.execute(
        "UPDATE campaigns SET status = 6, status_reason = 'audience_gone', version = version + 1, updated_at = $2"
        " WHERE id = $1 AND status IN (2, 3)",
        campaign_id,
        now,
    )


async def _read(
    campaign_id: int, now: datetime, statuses: Sequence[int] = STARTED, first_parameter: int = 18
) -> _Plan | None:
    row = await database.fetch_row(
        "SELECT k.user_id, k.public_id, k.settings, u.timezone,"
        " (SELECT array_agg(c.number_id) FROM campaign_numbers c WHERE c.campaign_id = k.id) AS number_ids,"
        " CASE WHEN u.profile = 'administrator' OR p.unlimited THEN NULL WHEN p.id IS NULL THEN 0"
        "  ELSE p.monthly_messages END AS monthly_messages,"
        " (SELECT s.provider FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id"
        "  JOIN servers s ON s.id = n.server_id WHERE c.campaign_id = k.id ORDER BY c.id LIMIT 1) AS provider,"
        " (SELECT array_agg(id ORDER BY position) FROM messages m WHERE m.campaign_id = k.id"
        "  AND m.deleted_at IS NULL) AS message_ids,"
        " (SELECT array_agg(content) FROM messages m WHERE m.campaign_id = k.id AND m.deleted_at IS NULL) AS contents"
        " FROM campaigns k JOIN users u ON u.id = k.user_id LEFT JOIN plans p ON p.id = u.plan_id"
        " WHERE k.id = $1 AND k.frozen_at IS NULL AND k.status = ANY($2::smallint[])",
        campaign_id,
        list(statuses),
    )
    if row is None:
        return None
    month = period_key(now, ZoneInfo(row["timezone"]), "month")
    used = await database.fetch_value(
        "SELECT used FROM send_counters WHERE scope = 'plan' AND scope_id = $1 AND period = $2", row["user_id"], month
    )
    allowed = row["monthly_messages"]
    room = 2**62 if allowed is None else allowed - (used if isinstance(used, int) else 0)
    names = sorted(set().union(*(compile_template(content).names for content in row["contents"])))
    settings = msgspec.json.decode(row["settings"], type=CampaignSettings)
    wanted: dict[str, Any] = {
        "user_id": row["user_id"],
        "public_id": row["public_id"],
        "labels": msgspec.to_builtins(settings.labels) if settings.labels is not None else None,
    }
    audience, args = await audience_query(**wanted, first_parameter=first_parameter)
    by_zone = settings.pacing is not None and settings.pacing.window_zone == "recipient"
    number_ids = row["number_ids"] or []
    return _Plan(
        user_id=row["user_id"],
        audience=audience,
        audience_args=args,
        provider=row["provider"],
        message_ids=row["message_ids"],
        names=names,
        room=room,
        sticky=number_ids if settings.sticky and len(number_ids) > 1 else [],
        areas=(await audience_query(**wanted, first_parameter=5))[0] if by_zone else "",
        timezone=row["timezone"],
    )


async def _batch(campaign_id: int, plan: _Plan, state: Checkpoint, now: datetime) -> int:
    """Write the rows of the next contacts and return how many contacts there were."""
    areas = await _areas(campaign_id, plan, state) if plan.areas else {}
    row = await database.fetch_row(
        INSERT.format(audience=plan.audience),
        *_judged_args(plan, state, BATCH_CONTACTS, areas, now),
        campaign_id,
        plan.names,
        list(NAME_VARIABLES),
        list(NUMBER_VARIABLES),
        *plan.audience_args,
    )
    if row is None or row["last_id"] is None:
        return 0
    state.last_id = row["last_id"]
    state.contacts += row["contacts"]
    state.rows += row["rows"]
    state.included += row["included"]
    if row["skipped"]:
        await database.execute(
            "INSERT INTO campaign_counters AS k (campaign_id, shard, skipped) VALUES ($1, 0, $2)"
            " ON CONFLICT (campaign_id, shard) DO UPDATE SET skipped = k.skipped + excluded.skipped",
            campaign_id,
            row["skipped"],
        )
    contacts: int = row["contacts"]
    return contacts


def _judged_args(
    plan: _Plan, state: Checkpoint, limit: int, areas: dict[str, str], now: datetime
) -> tuple[object, ...]:
    """Return the arguments of ``JUDGED``, the audience's own left out."""
    return (
        now,
        plan.user_id,
        state.last_id,
        limit,
        plan.provider,
        FOUND_FOR,
        ABSENT_FOR,
        plan.message_ids,
        plan.room - state.included * len(plan.message_ids),
        plan.sticky,
        plan.timezone if plan.areas else None,
        database.encode_json(areas),
        PREFIX_DIGITS,
    )


async def _areas(campaign_id: int, plan: _Plan, state: Checkpoint) -> dict[str, str]:
    """Find the zones of the next contacts' numbers, by ``digits:prefix``, and keep them with the campaign."""
    areas = await _zones(plan, state.last_id, BATCH_CONTACTS)
    zones = sorted({*state.zones, plan.timezone, *areas.values()})
    if zones != state.zones:
        state.zones = zones
        await database.execute(
            "UPDATE campaigns SET zones = $2 WHERE id = $1", campaign_id, database.encode_json(zones)
        )
    return areas


async def _zones(plan: _Plan, last_id: int, limit: int) -> dict[str, str]:
    rows = await database.fetch(
        AREAS.format(audience=plan.areas), plan.user_id, last_id, limit, PREFIX_DIGITS, *plan.audience_args
    )
    return {
        f"{row['digits']}:{row['prefix']}": zone_of(row["prefix"].ljust(row["digits"], "0")) or plan.timezone
        for row in rows
    }


async def judge(campaign_id: int, now: datetime, tail: str) -> list[asyncpg.Record]:
    """Judge the audience of a campaign not begun yet as a freeze at ``now`` would, writing nothing.

    ``tail`` is the query over ``final``, which has a row for each contact: ``reason``, ``zone``, ``sticky_id``.

    Raises:
        InvalidInputError: It names neither audience nor labels.
        NotFoundError: Its audience is gone.
    """
    plan = await _read(campaign_id, now, (CampaignStatus.DRAFT, *STARTED), first_parameter=14)
    if plan is None:
        return []
    areas = await _zones(plan, 0, EVERYBODY) if plan.areas else {}
    query = JUDGED.format(audience=plan.audience) + tail
    return list(
        await database.fetch(query, *_judged_args(plan, Checkpoint(), EVERYBODY, areas, now), *plan.audience_args)
    )
