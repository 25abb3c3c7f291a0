"""Acknowledgements that never came as events: messages are looked up for them, a few at a time for each number.

Webhooks of messaging servers live in memory and vanish when those restart, so a second source is needed for right
statuses. Every message is looked at twice: after half an hour when it is not delivered by then, and after a day when
it is not read. Rows in doubt are the business of ``core.campaigns.reconcile``.
"""

import asyncio
from datetime import datetime, timedelta

import msgspec

from core import database
from core.campaigns.reconcile import Doubt, ask
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_ANY_ATTEMPT, Transition, apply
from core.clock import synced_clock
from core.numbers import senders
from core.numbers.senders import SenderRoute
from core.plugin import Found, MessageStatus

ACTOR = "campaigns.lost_statuses"
SHARD = 24
PASSES = ((1, timedelta(minutes=30), "delivered_at"), (2, timedelta(hours=24), "read_at"))
"""Number of the pass, the age at which a message is looked at, and what it lacks."""
_NUMBERS_OF_PASSES = [number for number, _, _ in PASSES]
LOOKS = 20
"""Look-ups for one number and pass a minute: they go to the server's own store, not to the network."""
AT_ONCE = 8
NUMBERS = 100
AGAIN_BUSY = timedelta(minutes=1)
AGAIN_IDLE = timedelta(minutes=5)
CLAIMED_FOR = timedelta(minutes=3)
REACHES_BACK = timedelta(days=2)

_UNWATCHED = """
FROM numbers n JOIN servers s ON s.id = n.server_id CROSS JOIN unnest($2::smallint[]) AS p(pass_number)
WHERE n.deleted_at IS NULL AND n.status_connection AND s.capabilities->>'receipts' IN ('delivered', 'read')
    AND NOT EXISTS (SELECT FROM status_polls q WHERE q.number_id = n.id AND q.pass_number = p.pass_number)
"""
_OPEN = f"""
INSERT INTO status_polls (number_id, pass_number, seen_until, seen_id, due_at)
SELECT n.id, p.pass_number, $1::timestamptz - $3::interval, 0, $1 {_UNWATCHED}
ON CONFLICT (number_id, pass_number) DO NOTHING
"""
_CLAIM = """
UPDATE status_polls SET due_at = $2 WHERE id IN (
    SELECT q.id FROM status_polls q JOIN numbers n ON n.id = q.number_id
    WHERE q.due_at <= $1 AND n.deleted_at IS NULL AND n.status_connection
    ORDER BY q.due_at LIMIT $3 FOR UPDATE OF q SKIP LOCKED)
RETURNING id, number_id, pass_number, seen_until, seen_id
"""
_LACKING = """
SELECT m.id, m.campaign_id, m.message_id, m.contact_id, a.attempt, m.requeues, m.state, a.number_id,
    coalesce(m.provider_address, m.address) AS address, a.client_id, a.provider_id, a.claimed_at,
    coalesce(n.moved_at > a.claimed_at, false) AS moved, a.id AS attempt_id
FROM message_attempts a JOIN message_by_contacts m ON m.id = a.recipient_id AND m.attempt = a.attempt
LEFT JOIN numbers n ON n.id = a.number_id
WHERE a.number_id = $1 AND (a.claimed_at, a.id) > ($2, $5::bigint) AND a.claimed_at <= $3 AND a.provider_id IS NOT NULL
    AND m.state = 'sent' AND m.{lacks} IS NULL
ORDER BY a.claimed_at, a.id LIMIT $4
"""


class _Poll(msgspec.Struct, frozen=True):
    id: int
    number_id: int
    pass_number: int
    seen_until: datetime
    seen_id: int


async def poll_due() -> int:
    """Look up what is due; return how many messages were. What one process has claimed is not due for the others."""
    clock = await synced_clock()
    now = clock.now()
    await database.execute(_OPEN, now, _NUMBERS_OF_PASSES, REACHES_BACK)
    rows = await database.fetch(_CLAIM, now, now + CLAIMED_FOR, NUMBERS)
    polls = [_Poll(**row) for row in rows]
    routes = await senders.senders(sorted({poll.number_id for poll in polls}))
    at_once = asyncio.Semaphore(AT_ONCE)
    looked = 0
    for poll in polls:
        route = routes.get(poll.number_id)
        if route is not None and route.sender.capabilities.receipts in {"delivered", "read"}:
            looked += await _poll(poll, route, now, at_once)
    return looked


async def any_due(now: datetime) -> bool:
    """Whether a number's messages are due to be looked up, or a number is not watched yet."""
    found = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM status_polls q JOIN numbers n ON n.id = q.number_id WHERE q.due_at <= $1"
        f" AND n.status_connection AND n.deleted_at IS NULL) OR EXISTS (SELECT {_UNWATCHED})",
        now,
        _NUMBERS_OF_PASSES,
    )
    return bool(found)


async def _poll(poll: _Poll, route: SenderRoute, now: datetime, at_once: asyncio.Semaphore) -> int:
    _, age, lacks = PASSES[poll.pass_number - 1]
    if lacks == "read_at" and route.sender.capabilities.receipts != "read":
        lacks = "delivered_at"
    statement = _LACKING.format(lacks=lacks)
    rows = await database.fetch(statement, poll.number_id, poll.seen_until, now - age, LOOKS, poll.seen_id)
    doubts = [msgspec.convert(dict(row), Doubt) for row in rows]

    async def look_up(doubt: Doubt) -> Transition | None:
        async with at_once:
            return None if doubt.moved else _advance(doubt, await ask(doubt, route), now)

    found = [transition for transition in await asyncio.gather(*map(look_up, doubts)) if transition is not None]
    busy = len(doubts) == LOOKS
    async with database.unit_of_work():
        if found:
            await apply(now, found, shard=SHARD)
        await database.execute(
            "UPDATE status_polls SET seen_until = $2, seen_id = $3, due_at = $4 WHERE id = $1",
            poll.id,
            doubts[-1].claimed_at if busy else max(now - age, poll.seen_until),
            rows[-1]["attempt_id"] if busy else 0,
            now + (AGAIN_BUSY if busy else AGAIN_IDLE),
        )
    return len(doubts)


def _advance(doubt: Doubt, finding: object, now: datetime) -> Transition | None:
    """Return how a message that was found got further than was known; a look-up never takes anything back."""
    if not isinstance(finding, Found) or finding.status not in {MessageStatus.DELIVERED, MessageStatus.READ}:
        return None
    return Transition(
        id=doubt.id,
        attempt=0,
        allowed=FROM_ANY_ATTEMPT,
        state=RecipientState.SENT,
        sent_at=now,
        delivered_at=now,
        read_at=now if finding.status is MessageStatus.READ else None,
    )
