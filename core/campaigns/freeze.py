"""Freezing an audience: one recipient row for each message and contact, as everything stands at this moment.

Runs as a job in batches of contacts; each batch commits its rows, its counters and its checkpoint together, and
sending may begin with the first. Whoever is left out gets a row too, skipped with the reason.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from core import database
from core.campaigns import lanes
from core.campaigns.pacing import period_key
from core.campaigns.rendering import compile_template
from core.clock import DatabaseClock
from core.contacts.audience import audience_query
from core.jobs.services import JobContext, job_handler

BATCH_CONTACTS = 20_000
CHECK_LIFETIME = timedelta(days=30)
"""How long the answer of a number check counts."""

NAME_VARIABLES = ("nome", "name", "nombre")
NUMBER_VARIABLES = ("numero", "number", "telefone", "phone")

INSERT = """
WITH c AS MATERIALIZED (
    SELECT id, number, name, variables, status, blocked_at, type FROM contacts
    WHERE user_id = $2 AND id IN ({audience}) AND id > $3 ORDER BY id LIMIT $4
), resolved AS (
    SELECT c.*, a.address AS known_address, a.id IS NOT NULL AS checked, b.id IS NOT NULL AS is_blocked
    FROM c
    LEFT JOIN contact_addresses a
        ON a.contact_id = c.id AND a.provider = $5 AND a.number = c.number AND a.checked_at > $6
    LEFT JOIN block_contacts b ON b.user_id = $2 AND b.number = c.number
), judged AS (
    SELECT r.*, CASE
        WHEN status <> 1 THEN 'contact_inactive'
        WHEN blocked_at IS NOT NULL THEN 'opted_out'
        WHEN is_blocked THEN 'blocked'
        WHEN coalesce(number, '') = '' THEN 'no_number'
        WHEN checked AND known_address = '' THEN 'no_whatsapp'
        WHEN known_address <> '' AND (
            row_number() OVER (PARTITION BY nullif(known_address, '') ORDER BY id) > 1
            OR EXISTS (SELECT FROM message_by_contacts d
                       WHERE d.message_id = ($7::bigint[])[1] AND d.provider_address = r.known_address)
        ) THEN 'duplicate_address'
    END AS skip
    FROM resolved r
), counted AS (
    SELECT j.*, $8::bigint - cardinality($7::bigint[])
        * (count(*) FILTER (WHERE skip IS NULL) OVER (ORDER BY id)) AS room_after
    FROM judged j
), final AS (
    SELECT *, coalesce(skip, CASE WHEN room_after < 0 THEN 'over_plan' END) AS reason FROM counted
), inserted AS (
    INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, position, number_id, state, reason,
        address, provider_address, variables, attempt, failures, requeues, due_at, created_at, updated_at)
    SELECT $2, $9, m.id, f.id, m.position, NULL, CASE WHEN f.reason IS NULL THEN 'pending' ELSE 'skipped' END,
        coalesce(f.reason, ''), coalesce(f.number, ''),
        CASE WHEN f.reason IS NULL THEN nullif(f.known_address, '') END,
        CASE WHEN f.reason IS NULL AND cardinality($10::text[]) > 0 THEN (
            SELECT jsonb_object_agg(n, coalesce(CASE WHEN n = ANY($11::text[]) THEN f.name
                WHEN n = ANY($12::text[]) THEN f.number ELSE f.variables ->> n END, ''))
            FROM unnest($10::text[]) n) END,
        0, 0, 0, CASE WHEN m.position = 1 AND f.reason IS NULL THEN $1::timestamptz END, $1, $1
    FROM final f CROSS JOIN unnest($7::bigint[]) WITH ORDINALITY AS m(id, position)
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


class _Plan(msgspec.Struct, frozen=True):
    """What a freeze reads once."""

    user_id: int
    public_id: int | None
    settings: str
    provider: str
    message_ids: list[int]
    names: list[str]
    room: int
    """Messages the tenant's plan has left this month."""


@job_handler("campaigns.freeze")
async def freeze(context: JobContext) -> None:
    """Write every recipient row of the campaign ``context.subject_id``, then mark it frozen and wake its lanes."""
    campaign_id = context.subject_id
    clock = DatabaseClock()
    await clock.sync()
    plan = await _read(campaign_id, clock.now())
    if plan is None:
        return
    state = msgspec.convert(context.state, Checkpoint)
    while True:
        async with database.unit_of_work():
            contacts = await _batch(campaign_id, plan, state, clock.now())
            await context.checkpoint(msgspec.to_builtins(state), done=state.contacts)
        if contacts:
            await lanes.wake(campaign_id, clock.now())
        if contacts < BATCH_CONTACTS:
            break
    await database.execute(
        "UPDATE campaigns SET frozen_at = $2, total = $3, updated_at = $2,"
        " status_reason = CASE WHEN status = 2 THEN 'sending' ELSE status_reason END"
        " WHERE id = $1 AND frozen_at IS NULL",
        campaign_id,
        clock.now(),
        state.rows,
    )
    await lanes.wake(campaign_id, clock.now())


async def _read(campaign_id: int, now: datetime) -> _Plan | None:
    row = await database.fetch_row(
        "SELECT k.user_id, k.public_id, k.settings, u.timezone, p.monthly_messages, p.unlimited,"
        " (SELECT s.provider FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id"
        "  JOIN servers s ON s.id = n.server_id WHERE c.campaign_id = k.id ORDER BY c.id LIMIT 1) AS provider,"
        " (SELECT array_agg(id ORDER BY position) FROM messages m WHERE m.campaign_id = k.id"
        "  AND m.deleted_at IS NULL) AS message_ids,"
        " (SELECT array_agg(content) FROM messages m WHERE m.campaign_id = k.id AND m.deleted_at IS NULL) AS contents"
        " FROM campaigns k JOIN users u ON u.id = k.user_id LEFT JOIN plans p ON p.id = u.plan_id"
        " WHERE k.id = $1 AND k.frozen_at IS NULL AND k.status IN (2, 3)",
        campaign_id,
    )
    if row is None:
        return None
    month = period_key(now, ZoneInfo(row["timezone"]), "month")
    used = await database.fetch_value(
        "SELECT used FROM send_counters WHERE scope = 'plan' AND scope_id = $1 AND period = $2", row["user_id"], month
    )
    unlimited = row["unlimited"] or row["monthly_messages"] is None
    room = 2**62 if unlimited else row["monthly_messages"] - (used if isinstance(used, int) else 0)
    names = sorted(set().union(*(compile_template(content).names for content in row["contents"])))
    return _Plan(row["user_id"], row["public_id"], row["settings"], row["provider"], row["message_ids"], names, room)


async def _batch(campaign_id: int, plan: _Plan, state: Checkpoint, now: datetime) -> int:
    """Write the rows of the next contacts and return how many contacts there were."""
    labels = msgspec.json.decode(plan.settings).get("labels")
    audience, args = audience_query(user_id=plan.user_id, public_id=plan.public_id, labels=labels, first_parameter=13)
    row = await database.fetch_row(
        INSERT.format(audience=audience),
        now,
        plan.user_id,
        state.last_id,
        BATCH_CONTACTS,
        plan.provider,
        now - CHECK_LIFETIME,
        plan.message_ids,
        plan.room - state.included * len(plan.message_ids),
        campaign_id,
        plan.names,
        list(NAME_VARIABLES),
        list(NUMBER_VARIABLES),
        *args,
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
