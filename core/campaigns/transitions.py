"""Every change of a recipient row after its claim, in one statement with all that follows from it.

A transition applies only to its own attempt, or to any when it says that the message was taken, and only from the
states it names, so a late or repeated answer changes nothing. Counters, the next step's due time, given-back caps
and the attempt's own record change with the row.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from core import database
from core.campaigns.claims import Cap
from core.campaigns.message_events import tell_changed
from core.campaigns.tables import RecipientState
from core.events.catalogue import MessageUpdated
from core.live import progress
from core.webhooks.outgoing.subscriptions import subscribers_of

_BITS: dict[str, int] = {state: 1 << place for place, state in enumerate(RecipientState)}


def mask(*states: RecipientState) -> int:
    """Name a set of states as bits."""
    return sum(_BITS[state] for state in states)


FROM_LEASED = mask(RecipientState.LEASED)
FROM_IN_DOUBT = mask(RecipientState.LEASED, RecipientState.UNKNOWN)
FROM_NOT_TAKEN = FROM_IN_DOUBT | mask(RecipientState.PENDING, RecipientState.SKIPPED)
"""Also what waits to be sent again, or fell with its campaign, when the answer of an earlier attempt comes late."""
FROM_UNSETTLED = mask(RecipientState.LEASED, RecipientState.UNKNOWN, RecipientState.ACCEPTED)
FROM_ANY_ATTEMPT = mask(
    RecipientState.LEASED,
    RecipientState.UNKNOWN,
    RecipientState.ACCEPTED,
    RecipientState.SENT,
    RecipientState.FAILED,
    RecipientState.PENDING,
    RecipientState.SKIPPED,
)


class Transition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one recipient row becomes; ``attempt`` 0 stands for a change outside any attempt."""

    id: int
    attempt: int
    allowed: int
    """States it may come from, from ``mask``."""
    state: RecipientState
    reason: str = ""
    code: str = ""
    outcome: str = ""
    """Name of the outcome, kept with the attempt; empty leaves the attempt's record alone."""
    provider_id: str | None = None
    due_at: datetime | None = None
    """When a pending row may be claimed again."""
    look_at: datetime | None = None
    """When an accepted or unknown row has to be looked up."""
    accepted_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    burnt: int = 0
    """1 when the attempt counts against the allowed five."""
    requeued: int = 0
    release_number: bool = False
    """Give an unsent row back to every number of the campaign."""
    not_sent: bool = False
    """The claim counted a message for the contact that was certainly not sent."""


class Changed(msgspec.Struct, frozen=True):
    """A row that a transition changed."""

    id: int
    campaign_id: int
    number_id: int | None
    old: RecipientState
    new: RecipientState
    next_due_at: datetime | None
    news: bool
    """Its state changed, or it was delivered or read now."""


APPLY = """
WITH t AS MATERIALIZED (
    SELECT id, attempt, allowed, state, coalesce(reason, '') AS reason, coalesce(code, '') AS code,
        coalesce(outcome, '') AS outcome, provider_id, due_at, look_at, accepted_at, sent_at, delivered_at, read_at,
        coalesce(burnt, 0) AS burnt, coalesce(requeued, 0) AS requeued,
        coalesce(release_number, false) AS release_number, coalesce(not_sent, false) AS not_sent
    FROM json_to_recordset($2::json) AS t(id bigint, attempt smallint, allowed int, state text, reason text, code text,
        outcome text, provider_id text, due_at timestamptz, look_at timestamptz, accepted_at timestamptz,
        sent_at timestamptz, delivered_at timestamptz, read_at timestamptz, burnt smallint, requeued smallint,
        release_number boolean, not_sent boolean)
), recorded AS (
    UPDATE message_attempts a
    SET outcome = t.outcome, code = t.code, provider_id = coalesce(t.provider_id, a.provider_id), ended_at = $1
    FROM t WHERE t.outcome <> '' AND a.recipient_id = t.id AND a.attempt = t.attempt
), before AS MATERIALIZED (
    SELECT m.id, m.state, m.delivered_at, m.read_at
    FROM message_by_contacts m JOIN t ON t.id = m.id
    -- A positive word about any attempt wins.
    WHERE (t.attempt IN (0, m.attempt) OR t.state IN ('accepted', 'sent'))
      AND t.allowed & CASE m.state WHEN 'pending' THEN 1 WHEN 'leased' THEN 2 WHEN 'accepted' THEN 4 WHEN 'sent' THEN 8
                      WHEN 'failed' THEN 16 WHEN 'unknown' THEN 32 ELSE 64 END <> 0
    ORDER BY m.id FOR UPDATE OF m
), changed AS (
    UPDATE message_by_contacts m
    SET state = t.state, reason = t.reason, due_at = t.due_at, lease_until = t.look_at,
        accepted_at = coalesce(m.accepted_at, t.accepted_at), sent_at = coalesce(m.sent_at, t.sent_at),
        delivered_at = coalesce(m.delivered_at, t.delivered_at), read_at = coalesce(m.read_at, t.read_at),
        failures = m.failures + t.burnt, requeues = m.requeues + t.requeued,
        number_id = CASE WHEN t.release_number AND m.position = 1 AND m.failures + m.requeues + t.burnt = 0
                         THEN NULL ELSE m.number_id END,
        updated_at = $1
    FROM t, before b WHERE m.id = t.id AND b.id = m.id
    RETURNING m.id, m.campaign_id, m.contact_id, m.position, m.number_id, m.claimed_at, m.reason, b.state AS old,
        m.state AS new,
        (m.delivered_at IS NOT NULL AND b.delivered_at IS NULL)::int AS delivered,
        (m.read_at IS NOT NULL AND b.read_at IS NULL)::int AS read
), counted AS (
    INSERT INTO campaign_counters AS k (campaign_id, shard, accepted, sent, delivered, read, failed, unknown, skipped)
    SELECT campaign_id, $3::smallint,
        sum((new = 'accepted')::int - (old = 'accepted')::int), sum((new = 'sent')::int - (old = 'sent')::int),
        sum(delivered), sum(read),
        sum((new = 'failed')::int - (old = 'failed')::int), sum((new = 'unknown')::int - (old = 'unknown')::int),
        sum((new = 'skipped')::int - (old = 'skipped')::int)
    FROM changed GROUP BY campaign_id ORDER BY campaign_id
    ON CONFLICT (campaign_id, shard) DO UPDATE SET accepted = k.accepted + excluded.accepted,
        sent = k.sent + excluded.sent, delivered = k.delivered + excluded.delivered, read = k.read + excluded.read,
        failed = k.failed + excluded.failed, unknown = k.unknown + excluded.unknown,
        skipped = k.skipped + excluded.skipped
), given_back AS (
    UPDATE send_counters s SET used = greatest(0, s.used - g.n)
    FROM (SELECT k.id, g.n
          FROM (SELECT rank, scope, scope_id, period, count(*) AS n
                FROM unnest($4::int[], $5::text[], $6::bigint[], $7::text[], $9::bigint[])
                    AS g(rank, scope, scope_id, period, recipient_id)
                WHERE g.recipient_id IN (SELECT id FROM changed)
                GROUP BY rank, scope, scope_id, period) g
          JOIN send_counters k ON k.scope = g.scope AND k.scope_id = g.scope_id AND k.period = g.period
          ORDER BY g.rank, g.scope_id, g.period FOR UPDATE OF k) g
    WHERE s.id = g.id
), uncounted AS (
    UPDATE contact_activity a
    SET day_used = CASE WHEN n.claimed_at >= a.day_start THEN greatest(0, a.day_used - 1) ELSE a.day_used END,
        unanswered = CASE WHEN n.is_unanswered THEN greatest(0, a.unanswered - 1) ELSE a.unanswered END,
        campaign_id = CASE WHEN n.is_last THEN coalesce(a.before_campaign_id, a.campaign_id) ELSE a.campaign_id END,
        last_at = CASE WHEN n.is_last THEN a.before_at ELSE a.last_at END,
        other_at = CASE WHEN n.is_last THEN a.before_other_at ELSE a.other_at END
    FROM (SELECT k.contact_id, c.claimed_at, k.campaign_id = c.campaign_id AND k.last_at = c.claimed_at AS is_last,
              c.claimed_at > coalesce(p.last_inbound_at, '-infinity') AS is_unanswered
          FROM changed c JOIN t ON t.id = c.id AND t.not_sent JOIN contact_activity k ON k.contact_id = c.contact_id
          LEFT JOIN contacts p ON p.id = c.contact_id
          ORDER BY k.contact_id FOR UPDATE OF k) n
    WHERE a.contact_id = n.contact_id
), following AS (
    UPDATE message_by_contacts n
    SET due_at = $1 + make_interval(secs => g.delay), previous_claimed_at = c.claimed_at, updated_at = $1,
        -- The same number again, unless it was taken out of the campaign meanwhile.
        number_id = (SELECT k.number_id FROM campaign_numbers k
                     WHERE k.campaign_id = c.campaign_id AND k.number_id = c.number_id)
    FROM changed c JOIN messages g ON g.campaign_id = c.campaign_id AND g.position = c.position + 1
        AND g.deleted_at IS NULL
    WHERE $8 AND c.old IN ('pending', 'leased', 'unknown', 'failed') AND c.new IN ('accepted', 'sent')
      AND n.message_id = g.id AND n.contact_id = c.contact_id AND n.state = 'pending' AND n.due_at IS NULL
    RETURNING c.id AS previous_id, n.due_at
), dropped AS (
    UPDATE message_by_contacts n SET state = 'skipped', due_at = NULL, updated_at = $1,
        reason = CASE c.new WHEN 'failed' THEN 'previous_failed' ELSE c.reason END
    FROM changed c JOIN messages g ON g.campaign_id = c.campaign_id AND g.position > c.position
    WHERE $8 AND c.new IN ('failed', 'skipped') AND c.old <> c.new
      AND n.message_id = g.id AND n.contact_id = c.contact_id AND n.state = 'pending'
    RETURNING n.campaign_id
), dropped_counted AS (
    INSERT INTO campaign_counters AS k (campaign_id, shard, skipped)
    SELECT campaign_id, $3::smallint + 1, count(*) FROM dropped GROUP BY campaign_id ORDER BY campaign_id
    ON CONFLICT (campaign_id, shard) DO UPDATE SET skipped = k.skipped + excluded.skipped
)
SELECT coalesce(json_agg(json_build_object('id', c.id, 'campaign_id', c.campaign_id, 'number_id', c.number_id,
    'old', c.old, 'new', c.new, 'next_due_at', f.due_at, 'news', c.old <> c.new OR c.delivered + c.read > 0)), '[]')
FROM changed c LEFT JOIN following f ON f.previous_id = c.id
"""


# Rows cross as one JSON text each way: binding and reading them as arrays takes four times the CPU of this process.
_encode = msgspec.json.Encoder().encode
_changed = msgspec.json.Decoder(list[Changed])


async def apply(
    now: datetime,
    transitions: Sequence[Transition],
    *,
    shard: int,
    given_back: Sequence[tuple[int, Cap]] = (),
    steps: bool = True,
) -> list[Changed]:
    """Apply ``transitions`` (at most one a row) at ``now`` and return the rows that changed.

    ``shard`` (an even number) picks the counter row this process writes; ``given_back`` names a row and
    a counter for each certain non-send; ``steps`` is false when no campaign concerned has a second message.
    Tenants' webhooks that want it are told in the same unit of work; where nobody does, that costs nothing.
    """
    subscribers = await subscribers_of(MessageUpdated.type)
    if not subscribers:
        return await _apply(now, transitions, shard, given_back, steps=steps)
    async with database.unit_of_work():
        changed = await _apply(now, transitions, shard, given_back, steps=steps)
        await tell_changed([row.id for row in changed if row.news], sorted(subscribers))
    return changed


async def _apply(
    now: datetime,
    transitions: Sequence[Transition],
    shard: int,
    given_back: Sequence[tuple[int, Cap]],
    *,
    steps: bool,
) -> list[Changed]:
    found = await database.fetch_value(
        APPLY,
        now,
        _encode(transitions).decode(),
        shard,
        [cap.rank for _, cap in given_back],
        [cap.scope for _, cap in given_back],
        [cap.scope_id for _, cap in given_back],
        [cap.period for _, cap in given_back],
        steps,
        [recipient_id for recipient_id, _ in given_back],
    )
    rows = _changed.decode(str(found))
    progress.changed("campaign", *{row.campaign_id for row in rows})
    return rows
