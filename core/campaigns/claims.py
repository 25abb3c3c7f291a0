"""Claim is start: one statement leases as many recipients as there are free send slots.

It takes the pacing slot of each lane by compare-and-set, checks campaign, tenant, contact and block list as they are
at this instant, counts every cap in the fixed order plan, campaign, number, writes the attempts with their client
ids, and is committed before any of the messages is sent.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from core import database


class Cap(msgspec.Struct, frozen=True, order=True):
    """One counter a claim has to fit under; ``scope`` orders as plan, campaign, number."""

    rank: int
    scope: str
    scope_id: int
    period: str
    limit: int


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """What one lane asks for."""

    number_id: int
    user_id: int
    campaign_id: int
    slot: int
    take: int
    paced: bool
    next_at: datetime
    """When a paced number may send again after this message."""
    burst: int
    """Messages since the last rest, this one included; 0 when the pause after it is the rest."""
    lease_until: datetime
    stop_on_reply: bool
    caps: tuple[Cap, ...]
    client_ids: tuple[str, ...]
    """``take`` fresh ids of the provider."""
    ids_are_final: bool
    """The service will send under the client id, so acknowledgements can be matched before its answer."""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """One leased recipient row."""

    id: int
    attempt: int
    number_id: int
    campaign_id: int
    message_id: int
    contact_id: int
    version: int
    address: str
    provider_address: str | None
    variables: dict[str, str] | None
    """Frozen values by name; ``None`` when the message uses no variable."""
    client_id: str
    failures: int
    first_attempt_at: datetime


class Ineligible(msgspec.Struct, frozen=True):
    """A row that was due and must not be sent any more."""

    id: int
    reason: str


class ClaimResult(msgspec.Struct, frozen=True):
    """What one claim brought; lanes without rows had nothing due, or no room under a cap."""

    claimed: list[Claimed]
    ineligible: list[Ineligible]


CLAIM = """
WITH want AS MATERIALIZED (
    SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[], $8::bool[], $9::bool[],
                         $10::int[], $11::bool[], $12::timestamptz[], $19::timestamptz[], $20::int[], $21::int[])
        AS w(number_id, user_id, campaign_id, slot, take, paced, stop_on_reply, first_id, ids_are_final, lease_until,
             next_at, burst, passed_over)
), campaign AS MATERIALIZED (
    SELECT k.id, k.version FROM campaigns k JOIN users u ON u.id = k.user_id
    WHERE k.id IN (SELECT campaign_id FROM want) AND k.status = 2 AND k.deleted_at IS NULL
      AND u.status = 'active' AND u.deleted_at IS NULL AND (u.due_access_at IS NULL OR u.due_access_at > $1)
    ORDER BY k.id FOR SHARE OF k
), lane AS (
    UPDATE lanes l SET slot = l.slot + 1, pause_until = CASE WHEN w.paced THEN greatest(w.lease_until, w.next_at) END,
        burst = CASE WHEN w.paced THEN w.burst ELSE l.burst END
    FROM want w JOIN campaign k ON k.id = w.campaign_id
    WHERE l.number_id = w.number_id AND l.slot = w.slot AND l.holder = $2 AND l.lease_until > $1
    RETURNING w.*, k.version
), picked AS MATERIALIZED (
    SELECT w.number_id, w.version, w.first_id, w.ids_are_final, w.stop_on_reply, w.lease_until, r.*
    FROM lane w CROSS JOIN LATERAL (
        SELECT m.id, m.user_id, m.campaign_id, m.message_id, m.contact_id, m.address, m.provider_address, m.variables,
               m.failures, m.first_attempt_at, m.previous_claimed_at
        FROM message_by_contacts m
        WHERE m.campaign_id = w.campaign_id AND m.number_id = w.number_id AND m.state = 'pending' AND m.due_at <= $1
        ORDER BY m.due_at, m.id LIMIT w.take FOR UPDATE SKIP LOCKED
    ) r
), filled AS MATERIALIZED (
    SELECT * FROM picked
    UNION ALL
    SELECT w.number_id, w.version, w.first_id, w.ids_are_final, w.stop_on_reply, w.lease_until, r.*
    FROM lane w CROSS JOIN LATERAL (
        SELECT m.id, m.user_id, m.campaign_id, m.message_id, m.contact_id, m.address, m.provider_address, m.variables,
               m.failures, m.first_attempt_at, m.previous_claimed_at
        FROM message_by_contacts m
        WHERE m.campaign_id = w.campaign_id AND m.number_id IS NULL AND m.state = 'pending' AND m.due_at <= $1
        -- The whole key of the index: behind IS NULL the planner does not see that the rest of it is in order already.
        ORDER BY m.number_id, m.due_at, m.id
        -- A lock does not hide a row from its own statement: the second lane of a campaign begins behind the first.
        LIMIT w.take - (SELECT count(*) FROM picked p WHERE p.number_id = w.number_id) OFFSET w.passed_over
        FOR UPDATE SKIP LOCKED
    ) r
), judged AS MATERIALIZED (
    SELECT f.*, CASE
        WHEN c.id IS NULL OR c.deleted_at IS NOT NULL THEN 'contact_deleted'
        WHEN c.status <> 1 THEN 'contact_inactive'
        WHEN c.blocked_at IS NOT NULL THEN 'opted_out'
        WHEN b.id IS NOT NULL THEN 'blocked'
        WHEN f.stop_on_reply AND c.last_inbound_at > f.previous_claimed_at THEN 'replied'
    END AS skip
    FROM (SELECT DISTINCT ON (id) * FROM filled ORDER BY id, number_id) f
    LEFT JOIN contacts c ON c.id = f.contact_id AND c.user_id = f.user_id
    LEFT JOIN block_contacts b ON b.user_id = f.user_id AND b.number = c.number
), ranked AS MATERIALIZED (
    SELECT j.*,
           row_number() OVER (PARTITION BY user_id ORDER BY id) AS user_rank,
           row_number() OVER (PARTITION BY campaign_id ORDER BY id) AS campaign_rank,
           row_number() OVER (PARTITION BY number_id ORDER BY id) AS number_rank
    FROM judged j WHERE skip IS NULL
), cap AS MATERIALIZED (
    SELECT s.id, c.scope, c.scope_id, c.cap - s.used AS room
    FROM unnest($13::int[], $14::text[], $15::bigint[], $16::text[], $17::bigint[])
        AS c(rank, scope, scope_id, period, cap)
    JOIN send_counters s ON s.scope = c.scope AND s.scope_id = c.scope_id AND s.period = c.period
    ORDER BY c.rank, c.scope_id, c.period FOR UPDATE OF s
), granted AS MATERIALIZED (
    -- A counter that is missing grants nothing: a mistake costs a round, never a cap.
    SELECT r.* FROM ranked r WHERE (SELECT count(*) FROM cap) = cardinality($13::int[]) AND NOT EXISTS (
        SELECT FROM cap WHERE (scope = 'plan' AND scope_id = r.user_id AND room < r.user_rank)
            OR (scope = 'campaign' AND scope_id = r.campaign_id AND room < r.campaign_rank)
            OR (scope = 'number' AND scope_id = r.number_id AND room < r.number_rank))
), counted AS (
    UPDATE send_counters s SET used = s.used + n.n
    FROM cap JOIN (
        SELECT 'plan' AS scope, user_id AS scope_id, count(*) AS n FROM granted GROUP BY user_id
        UNION ALL SELECT 'campaign', campaign_id, count(*) FROM granted GROUP BY campaign_id
        UNION ALL SELECT 'number', number_id, count(*) FROM granted GROUP BY number_id
    ) n ON n.scope = cap.scope AND n.scope_id = cap.scope_id
    WHERE s.id = cap.id
), claimed AS (
    UPDATE message_by_contacts m
    SET state = 'leased', attempt = m.attempt + 1, number_id = g.number_id, lease_until = g.lease_until,
        claimed_at = $1, first_attempt_at = coalesce(m.first_attempt_at, $1), updated_at = $1
    FROM granted g WHERE m.id = g.id
    RETURNING m.id, m.attempt, ($18::text[])[g.first_id + g.number_rank] AS client_id, g.ids_are_final, g.version,
              m.first_attempt_at
), attempts AS (
    INSERT INTO message_attempts (recipient_id, attempt, number_id, client_id, provider_id, claimed_at)
    SELECT c.id, c.attempt, g.number_id, c.client_id, CASE WHEN c.ids_are_final THEN c.client_id END, $1
    FROM claimed c JOIN granted g ON g.id = c.id
)
SELECT json_build_object(
    'claimed', (SELECT coalesce(json_agg(json_build_object('id', g.id, 'attempt', c.attempt, 'number_id', g.number_id,
        'campaign_id', g.campaign_id, 'message_id', g.message_id, 'contact_id', g.contact_id, 'version', c.version,
        'address', g.address, 'provider_address', g.provider_address, 'variables', g.variables,
        'client_id', c.client_id, 'failures', g.failures, 'first_attempt_at', c.first_attempt_at)), '[]')
        FROM granted g JOIN claimed c ON c.id = g.id),
    'ineligible', (SELECT coalesce(json_agg(json_build_object('id', j.id, 'reason', j.skip)), '[]')
        FROM judged j WHERE j.skip IS NOT NULL))
"""

# The answer is one JSON text: reading it costs this process a quarter of the CPU that a row of columns does.
_result = msgspec.json.Decoder(ClaimResult)


async def claim(now: datetime, holder: str, wants: Sequence[Want]) -> ClaimResult:
    """Lease rows for ``wants`` (one a lane) at ``now``; a want whose slot or lane was lost brings nothing."""
    caps = sorted({cap for want in wants for cap in want.caps})
    first_ids: list[int] = []
    passed_over: list[int] = []
    client_ids: list[str] = []
    taken: dict[int, int] = {}
    for want in wants:
        passed_over.append(taken.get(want.campaign_id, 0))
        taken[want.campaign_id] = passed_over[-1] + want.take
        first_ids.append(len(client_ids))
        client_ids.extend(want.client_ids)
    found = await database.fetch_value(
        CLAIM,
        now,
        holder,
        [want.number_id for want in wants],
        [want.user_id for want in wants],
        [want.campaign_id for want in wants],
        [want.slot for want in wants],
        [want.take for want in wants],
        [want.paced for want in wants],
        [want.stop_on_reply for want in wants],
        first_ids,
        [want.ids_are_final for want in wants],
        [want.lease_until for want in wants],
        [cap.rank for cap in caps],
        [cap.scope for cap in caps],
        [cap.scope_id for cap in caps],
        [cap.period for cap in caps],
        [cap.limit for cap in caps],
        client_ids,
        [want.next_at for want in wants],
        [want.burst for want in wants],
        passed_over,
    )
    return _result.decode(str(found))


async def open_counters(caps: Sequence[Cap]) -> dict[tuple[str, int, str], int]:
    """Make sure the counters of ``caps`` exist and return what each has used: (scope, id, period) to messages."""
    await database.execute(
        "INSERT INTO send_counters (scope, scope_id, period, used) "
        "SELECT * , 0 FROM unnest($1::text[], $2::bigint[], $3::text[]) ON CONFLICT DO NOTHING",
        [cap.scope for cap in caps],
        [cap.scope_id for cap in caps],
        [cap.period for cap in caps],
    )
    rows = await database.fetch(
        "SELECT s.scope, s.scope_id, s.period, s.used FROM send_counters s "
        "JOIN unnest($1::text[], $2::bigint[], $3::text[]) AS c(scope, scope_id, period)"
        " USING (scope, scope_id, period)",
        [cap.scope for cap in caps],
        [cap.scope_id for cap in caps],
        [cap.period for cap in caps],
    )
    return {(row["scope"], row["scope_id"], row["period"]): row["used"] for row in rows}
