"""Claim is start: one statement leases as many recipients as there are free send slots.

It takes the pacing slot of each lane by compare-and-set, checks campaign, tenant, contact and block list as they are
at this instant, counts every cap in the fixed order plan, campaign, number, contact, writes the attempts with their
client ids, and is committed before any of the messages is sent.
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
    reach: int
    """Rows to look at, at least ``take``: more where many of those that are due may not be sent."""
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
    day_start: datetime
    day_end: datetime
    """The calendar day in the tenant's zone."""
    recipient_id: int | None = None
    """The one row meant, for which typing was shown."""
    known_only: bool = False
    """Only people who have written to the number."""
    closed: dict[str, datetime] = {}
    """Recipients' time zones in which nothing may be sent now, each with its next opening; ``""`` stands for none."""
    contact_gap: float | None = None
    """Seconds since the last message of another campaign."""
    contact_per_day: int | None = None
    unanswered_max: int | None = None
    contact_wait: float = 0.0
    """Seconds a row may wait for its contact to be free; longer, and it is skipped."""


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
    number_id: int = 0
    """The lane that looked at it."""


class ClaimResult(msgspec.Struct, frozen=True):
    """What one claim brought; lanes without rows had nothing due, or no room under a cap."""

    claimed: list[Claimed]
    ineligible: list[Ineligible]
    postponed: list[int]
    """The lane of each row that is due later now: its contact is not free yet, or its window closed."""


COLUMNS = """m.id, m.user_id, m.campaign_id, m.message_id, m.contact_id, m.address, m.provider_address, m.variables,
               m.failures, m.first_attempt_at, m.previous_claimed_at, m.zone"""
KNOWN = """(NOT w.known_only OR EXISTS (
              SELECT FROM conversations v WHERE v.contact_id = m.contact_id AND v.number_id = w.number_id))"""

CLAIM = f"""
WITH want AS MATERIALIZED (
    SELECT number_id, user_id, campaign_id, slot, take, reach, paced, stop_on_reply, first_id, ids_are_final,
        lease_until, next_at, burst, passed_over, recipient_id, coalesce(known_only, false) AS known_only, closed,
        day_start, day_end, make_interval(secs => contact_gap) AS contact_gap, contact_per_day, unanswered_max,
        make_interval(secs => contact_wait) AS contact_wait
    FROM json_to_recordset($3::json) AS w(number_id bigint, user_id bigint, campaign_id bigint, slot bigint, take int,
        reach int, paced bool, stop_on_reply bool, first_id int, ids_are_final bool, lease_until timestamptz,
        next_at timestamptz, burst int, passed_over int, recipient_id bigint, known_only bool, closed jsonb,
        day_start timestamptz, day_end timestamptz, contact_gap float8, contact_per_day int, unanswered_max int,
        contact_wait float8)
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
), chosen AS MATERIALIZED (
    SELECT w.number_id AS lane_id, r.* FROM lane w CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM message_by_contacts m
        WHERE m.id = w.recipient_id AND m.campaign_id = w.campaign_id AND m.state = 'pending' AND m.due_at <= $1
          AND (m.number_id = w.number_id OR m.number_id IS NULL) AND {KNOWN}
        FOR UPDATE OF m SKIP LOCKED
    ) r
), own AS MATERIALIZED (
    SELECT w.number_id AS lane_id, r.* FROM lane w CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM message_by_contacts m
        WHERE m.campaign_id = w.campaign_id AND m.number_id = w.number_id AND m.state = 'pending' AND m.due_at <= $1
          AND {KNOWN}
        ORDER BY m.due_at, m.id LIMIT w.reach FOR UPDATE OF m SKIP LOCKED
    ) r WHERE w.recipient_id IS NULL
), filled AS MATERIALIZED (
    SELECT * FROM chosen UNION ALL SELECT * FROM own
    UNION ALL
    SELECT w.number_id, r.* FROM lane w CROSS JOIN LATERAL (
        SELECT {COLUMNS} FROM message_by_contacts m
        WHERE m.campaign_id = w.campaign_id AND m.number_id IS NULL AND m.state = 'pending' AND m.due_at <= $1
          AND {KNOWN}
        -- The whole key of the index: behind IS NULL the planner does not see that the rest of it is in order already.
        ORDER BY m.number_id, m.due_at, m.id
        -- A lock does not hide a row from its own statement: the second lane of a campaign begins behind the first.
        LIMIT w.reach - (SELECT count(*) FROM own p WHERE p.lane_id = w.number_id) OFFSET w.passed_over
        FOR UPDATE OF m SKIP LOCKED
    ) r WHERE w.recipient_id IS NULL
), known AS MATERIALIZED (
    SELECT f.*, w.take, w.version, w.first_id, w.ids_are_final, w.lease_until, w.day_start, a.claims,
        CASE WHEN c.id IS NULL OR c.deleted_at IS NOT NULL THEN 'contact_deleted'
             WHEN c.status <> 1 THEN 'contact_inactive'
             WHEN c.blocked_at IS NOT NULL THEN 'opted_out'
             WHEN b.id IS NOT NULL THEN 'blocked'
             WHEN w.stop_on_reply AND c.last_inbound_at > f.previous_claimed_at THEN 'replied'
             WHEN a.unanswered >= w.unanswered_max AND c.type = 1 THEN 'unanswered_cap' END AS ended,
        (w.closed ->> coalesce(f.zone, ''))::timestamptz AS opens_at,
        CASE WHEN a.campaign_id = f.campaign_id THEN a.other_at ELSE a.last_at END + w.contact_gap AS gap_ends_at,
        CASE WHEN a.day_start = w.day_start AND a.day_used >= w.contact_per_day THEN w.day_end END AS day_ends_at,
        $1 + w.contact_wait AS waits_until
    FROM (SELECT DISTINCT ON (id) * FROM filled ORDER BY id, lane_id) f
    JOIN lane w ON w.number_id = f.lane_id
    LEFT JOIN contacts c ON c.id = f.contact_id AND c.user_id = f.user_id
    LEFT JOIN block_contacts b ON b.user_id = f.user_id AND b.number = c.number
    LEFT JOIN contact_activity a ON a.contact_id = f.contact_id
), judged AS MATERIALIZED (
    SELECT k.*, f.free_at, coalesce(k.ended, CASE WHEN f.free_at > k.waits_until AND k.opens_at IS NULL
            THEN f.fatigue END) AS skip,
        CASE WHEN k.ended IS NULL THEN coalesce(k.opens_at, CASE WHEN f.free_at <= k.waits_until THEN f.free_at END)
            END AS later,
        CASE WHEN k.opens_at IS NOT NULL THEN 'outside_window' ELSE f.fatigue END AS later_reason
    FROM known k CROSS JOIN LATERAL (
        SELECT CASE WHEN greatest(gap_ends_at, day_ends_at) > $1 THEN greatest(gap_ends_at, day_ends_at) END AS free_at,
            CASE WHEN day_ends_at IS NULL OR gap_ends_at >= day_ends_at THEN 'contact_gap'
                ELSE 'contact_day_cap' END AS fatigue) f
), single AS (
    SELECT DISTINCT ON (contact_id) * FROM judged WHERE skip IS NULL AND later IS NULL ORDER BY contact_id, id
), ranked AS MATERIALIZED (
    SELECT * FROM (
        SELECT s.*, row_number() OVER (PARTITION BY lane_id ORDER BY id) AS lane_rank FROM single s) s
    WHERE lane_rank <= take
), placed AS MATERIALIZED (
    SELECT r.*, row_number() OVER (PARTITION BY user_id ORDER BY id) AS user_rank,
        row_number() OVER (PARTITION BY campaign_id ORDER BY id) AS campaign_rank
    FROM ranked r
), cap AS MATERIALIZED (
    SELECT s.id, c.scope, c.scope_id, c.cap - s.used AS room
    FROM unnest($4::int[], $5::text[], $6::bigint[], $7::text[], $8::bigint[])
        AS c(rank, scope, scope_id, period, cap)
    JOIN send_counters s ON s.scope = c.scope AND s.scope_id = c.scope_id AND s.period = c.period
    ORDER BY c.rank, c.scope_id, c.period FOR UPDATE OF s
), allowed AS MATERIALIZED (
    -- A counter that is missing grants nothing: a mistake costs a round, never a cap.
    SELECT r.* FROM placed r WHERE (SELECT count(*) FROM cap) = cardinality($4::int[]) AND NOT EXISTS (
        SELECT FROM cap WHERE (scope = 'plan' AND scope_id = r.user_id AND room < r.user_rank)
            OR (scope = 'campaign' AND scope_id = r.campaign_id AND room < r.campaign_rank)
            OR (scope = 'number' AND scope_id = r.lane_id AND room < r.lane_rank))
), person AS (
    -- Whoever was claimed by somebody else since the reading above is left for the next claim.
    INSERT INTO contact_activity AS a
        (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id, last_at)
    SELECT contact_id, user_id, coalesce(claims, 0) + 1, day_start, 1, 1, campaign_id, $1
    FROM allowed ORDER BY contact_id
    ON CONFLICT (contact_id) DO UPDATE SET claims = excluded.claims, day_start = excluded.day_start,
        day_used = CASE WHEN a.day_start = excluded.day_start THEN a.day_used + 1 ELSE 1 END,
        unanswered = a.unanswered + 1, campaign_id = excluded.campaign_id, last_at = excluded.last_at,
        other_at = CASE WHEN a.campaign_id = excluded.campaign_id THEN a.other_at ELSE a.last_at END,
        before_campaign_id = a.campaign_id, before_at = a.last_at, before_other_at = a.other_at
    WHERE a.claims = excluded.claims - 1
    RETURNING contact_id
), granted AS MATERIALIZED (
    SELECT a.* FROM allowed a JOIN person p ON p.contact_id = a.contact_id
), counted AS (
    UPDATE send_counters s SET used = s.used + n.n
    FROM cap JOIN (
        SELECT 'plan' AS scope, user_id AS scope_id, count(*) AS n FROM granted GROUP BY user_id
        UNION ALL SELECT 'campaign', campaign_id, count(*) FROM granted GROUP BY campaign_id
        UNION ALL SELECT 'number', lane_id, count(*) FROM granted GROUP BY lane_id
    ) n ON n.scope = cap.scope AND n.scope_id = cap.scope_id
    WHERE s.id = cap.id
), claimed AS (
    UPDATE message_by_contacts m
    SET state = 'leased', attempt = m.attempt + 1, number_id = g.lane_id, lease_until = g.lease_until,
        claimed_at = $1, first_attempt_at = coalesce(m.first_attempt_at, $1), updated_at = $1
    FROM granted g WHERE m.id = g.id
    RETURNING m.id, m.attempt, ($9::text[])[g.first_id + g.lane_rank] AS client_id, g.ids_are_final, g.version,
              m.first_attempt_at
), postponed AS (
    UPDATE message_by_contacts m SET due_at = j.later, reason = j.later_reason, updated_at = $1
    FROM judged j WHERE m.id = j.id AND j.skip IS NULL AND j.later IS NOT NULL RETURNING j.lane_id
), attempts AS (
    INSERT INTO message_attempts (recipient_id, attempt, number_id, client_id, provider_id, claimed_at)
    SELECT c.id, c.attempt, g.lane_id, c.client_id, CASE WHEN c.ids_are_final THEN c.client_id END, $1
    FROM claimed c JOIN granted g ON g.id = c.id
)
SELECT json_build_object(
    'claimed', (SELECT coalesce(json_agg(json_build_object('id', g.id, 'attempt', c.attempt, 'number_id', g.lane_id,
        'campaign_id', g.campaign_id, 'message_id', g.message_id, 'contact_id', g.contact_id, 'version', c.version,
        'address', g.address, 'provider_address', g.provider_address, 'variables', g.variables,
        'client_id', c.client_id, 'failures', g.failures, 'first_attempt_at', c.first_attempt_at)), '[]')
        FROM granted g JOIN claimed c ON c.id = g.id),
    'ineligible', (SELECT coalesce(json_agg(json_build_object('id', j.id, 'reason', j.skip, 'number_id', j.lane_id)),
        '[]') FROM judged j WHERE j.skip IS NOT NULL),
    'postponed', (SELECT coalesce(json_agg(lane_id), '[]') FROM postponed))
"""

# The answer is one JSON text: reading it costs this process a quarter of the CPU that a row of columns does.
_result = msgspec.json.Decoder(ClaimResult)


_encode = msgspec.json.Encoder().encode


async def claim(now: datetime, holder: str, wants: Sequence[Want]) -> ClaimResult:
    """Lease rows for ``wants`` (one a lane) at ``now``; a want whose slot or lane was lost brings nothing."""
    caps = sorted({cap for want in wants for cap in want.caps})
    asked: list[dict[str, object]] = []
    client_ids: list[str] = []
    passed_over: dict[int, int] = {}
    for want in wants:
        fields = msgspec.structs.asdict(want)
        del fields["caps"], fields["client_ids"]
        skipped = passed_over.get(want.campaign_id, 0)
        asked.append({**fields, "first_id": len(client_ids), "passed_over": skipped})
        passed_over[want.campaign_id] = skipped + want.reach
        client_ids.extend(want.client_ids)
    found = await database.fetch_value(
        CLAIM,
        now,
        holder,
        _encode(asked).decode(),
        [cap.rank for cap in caps],
        [cap.scope for cap in caps],
        [cap.scope_id for cap in caps],
        [cap.period for cap in caps],
        [cap.limit for cap in caps],
        client_ids,
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
