"""What services tell about messages: acknowledgements, failures and people who write back."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from core import database
from core.campaigns import lanes
from core.campaigns.outcomes import ACKNOWLEDGEMENT_TIMER, storable
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_ANY_ATTEMPT, FROM_NOT_TAKEN, FROM_UNSETTLED, Transition, apply
from core.campaigns.waiting import begin_connected
from core.clock import synced_clock
from core.numbers.changes import connection_listener
from core.plugin import MessageInEvent, MessageStatus, MessageStatusEvent
from core.queue import DISPATCH, enqueue
from core.webhooks.handlers import StoredEvent, event_handler

SHARD = 16
"""Acknowledgements have a counter row of their own."""

_PROGRESS = {status: place for place, status in enumerate(MessageStatus)}


class _Match(msgspec.Struct):
    """The furthest that the present batch says of one recipient row."""

    attempt: int
    status: MessageStatus
    at: datetime
    error: str


@event_handler("message_status")
async def apply_statuses(batch: Sequence[StoredEvent]) -> set[int]:
    """Advance the rows that ``batch`` names; events whose message is not known yet stay open."""
    wanted = [(stored, stored.event) for stored in batch if isinstance(stored.event, MessageStatusEvent)]
    rows = await database.fetch(
        "SELECT e.event_id, a.recipient_id, a.attempt FROM unnest($1::bigint[], $2::bigint[], $3::text[])"
        " AS e(event_id, number_id, provider_id)"
        " JOIN message_attempts a ON a.provider_id = e.provider_id AND a.number_id = e.number_id",
        [stored.id for stored, event in wanted for _ in event.ids],
        [stored.number_id for stored, event in wanted for _ in event.ids],
        [provider_id for _, event in wanted for provider_id in event.ids],
    )
    found = {row["event_id"]: (row["recipient_id"], row["attempt"]) for row in rows}
    furthest: dict[int, _Match] = {}
    for stored, event in wanted:
        if stored.id in found:
            _merge(furthest, *found[stored.id], event)
    clock = await synced_clock()
    transitions = [_transition(recipient_id, match, clock.now()) for recipient_id, match in furthest.items()]
    if transitions:
        changed = await apply(clock.now(), transitions, shard=SHARD)
        due = [(row.number_id, row.next_due_at) for row in changed if row.number_id and row.next_due_at]
        await lanes.wake_numbers(due)
    return set(found)


def _merge(furthest: dict[int, _Match], recipient_id: int, attempt: int, event: MessageStatusEvent) -> None:
    status = MessageStatus(event.status)
    before = furthest.get(recipient_id)
    if before is None or _PROGRESS[status] > _PROGRESS[before.status]:
        furthest[recipient_id] = _Match(attempt, status, event.at, event.error)


def _transition(recipient_id: int, match: _Match, now: datetime) -> Transition:
    status = match.status
    if status is MessageStatus.FAILED:
        return Transition(
            id=recipient_id,
            attempt=match.attempt,
            allowed=FROM_UNSETTLED,
            state=RecipientState.FAILED,
            reason=storable(match.error) or "failed_by_network",
            burnt=1,
        )
    if status is MessageStatus.ACCEPTED:
        # Says nothing new of a row that waits for its acknowledgement, and proves a doubtful one was taken.
        return Transition(
            id=recipient_id,
            attempt=match.attempt,
            allowed=FROM_UNSETTLED | FROM_NOT_TAKEN,
            state=RecipientState.ACCEPTED,
            accepted_at=match.at,
            # By our clock: a service whose clock is ahead would put the look-up off for as long.
            look_at=now + ACKNOWLEDGEMENT_TIMER,
        )
    delivered = status in {MessageStatus.DELIVERED, MessageStatus.READ}
    return Transition(
        id=recipient_id,
        attempt=0,
        allowed=FROM_ANY_ATTEMPT,
        state=RecipientState.SENT,
        sent_at=match.at,
        delivered_at=match.at if delivered else None,
        read_at=match.at if status is MessageStatus.READ else None,
    )


REPLIES = """
WITH e AS MATERIALIZED (
    SELECT e.number_id, n.user_id, s.provider, e.phone, e.address, e.received_at
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS e(number_id, phone, address, received_at)
    JOIN numbers n ON n.id = e.number_id JOIN servers s ON s.id = n.server_id
), heard AS (
    SELECT c.id, c.user_id, e.number_id, e.received_at FROM e
    JOIN contacts c ON c.user_id = e.user_id AND c.deleted_at IS NULL AND c.number = e.phone WHERE e.phone <> ''
    UNION
    SELECT c.id, c.user_id, e.number_id, e.received_at FROM e JOIN number_checks a ON a.address = e.address AND a.found
    JOIN contacts c ON c.number = a.number AND c.user_id = e.user_id AND c.deleted_at IS NULL WHERE e.address <> ''
    UNION
    SELECT c.id, c.user_id, e.number_id, e.received_at FROM e
    JOIN contact_addresses a ON a.address = e.address AND a.provider = e.provider
    JOIN contacts c ON c.id = a.contact_id AND c.user_id = e.user_id AND c.deleted_at IS NULL AND c.type = 1
        AND a.number IN ('', c.number) WHERE e.address <> ''
), person AS (
    SELECT id, max(received_at) AS received_at FROM heard GROUP BY id ORDER BY id
), stamped AS (
    UPDATE contacts c SET last_inbound_at = greatest(c.last_inbound_at, p.received_at), updated_at = now()
    FROM person p WHERE c.id = p.id
), talked AS (
    INSERT INTO conversations AS v (user_id, contact_id, number_id, last_inbound_at)
    SELECT user_id, id, number_id, max(received_at) FROM heard GROUP BY user_id, id, number_id ORDER BY id, number_id
    ON CONFLICT (contact_id, number_id) DO UPDATE SET last_inbound_at = greatest(v.last_inbound_at,
        excluded.last_inbound_at) RETURNING v.number_id
), settled AS (
    -- A message that was claimed after they wrote is not answered yet.
    UPDATE contact_activity a
    SET unanswered = CASE WHEN a.last_at > p.received_at THEN least(a.unanswered, 1) ELSE 0 END
    FROM person p WHERE a.contact_id = p.id AND a.unanswered > 0
), answered AS (
    UPDATE message_by_contacts m SET replied_at = last.received_at FROM (
        SELECT DISTINCT ON (r.contact_id) r.id, h.received_at FROM heard h
        JOIN contacts c ON c.id = h.id
        JOIN campaigns k ON k.user_id = c.user_id AND k.status IN (2, 3, 4)
            AND k.started_at > now() - interval '30 days'
        JOIN messages g ON g.campaign_id = k.id
        JOIN message_by_contacts r ON r.message_id = g.id AND r.contact_id = h.id AND r.number_id = h.number_id
            AND r.state IN ('accepted', 'sent') AND r.claimed_at < h.received_at
        ORDER BY r.contact_id, r.claimed_at DESC) last
    WHERE m.id = last.id AND m.replied_at IS NULL RETURNING m.campaign_id
), counted AS (
    INSERT INTO campaign_counters AS k (campaign_id, shard, replied)
    SELECT campaign_id, $5, count(*) FROM answered GROUP BY campaign_id
    ON CONFLICT (campaign_id, shard) DO UPDATE SET replied = k.replied + excluded.replied
)
SELECT DISTINCT t.number_id FROM talked t JOIN numbers n ON n.id = t.number_id WHERE n.restricted_until > now()
"""


@event_handler("message_in")
async def apply_replies(batch: Sequence[StoredEvent]) -> set[int]:
    """Stamp who wrote back: the contact (for the rules that count on replies), the number, and the row it answers.

    The moment is that of the delivery, which may have waited: what came before a message is no reply to it.
    """
    wanted = [(stored, stored.event) for stored in batch if isinstance(stored.event, MessageInEvent)]
    restricted = await database.fetch(
        REPLIES,
        [stored.number_id for stored, _ in wanted],
        [event.phone for _, event in wanted],
        [event.address for _, event in wanted],
        [stored.received_at for stored, _ in wanted],
        SHARD,
    )
    if restricted:
        # To whoever wrote, a restricted number may write back.
        clock = await synced_clock()
        await lanes.wake_numbers([(row["number_id"], clock.now()) for row in restricted])
    return {stored.id for stored, _ in wanted}


@connection_listener
async def wake_lanes(number_ids: Collection[int]) -> None:
    """Look at the lanes of numbers that gained or lost their connection, and begin what waited for one."""
    clock = await synced_clock()
    await begin_connected(clock.now())
    await lanes.wake_numbers([(number_id, clock.now()) for number_id in number_ids])
    enqueue("campaigns.dispatch", queue=DISPATCH)
