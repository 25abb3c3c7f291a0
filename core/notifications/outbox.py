"""The outbox: what one person is to be told, written in the unit of work of its cause."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from core import database
from core.crypto import encrypt
from core.notifications.kinds import KINDS
from core.queue import NOTIFICATIONS, enqueue

SEAL = "notifications.detail"
ACTOR = "notifications.plan"

LONGEST_KEY = 160

_PUT = """
INSERT INTO notifications (key, kind, topic, user_id, detail, created_at)
SELECT e.*, now()
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[]) AS e(key, kind, topic, user_id, detail)
ON CONFLICT (key) DO NOTHING RETURNING key
"""
_FORGET = """
WITH gone AS (
    DELETE FROM notifications WHERE id IN (
        SELECT n.id FROM notifications n WHERE n.created_at < $1 AND n.planned_at IS NOT NULL
            AND NOT EXISTS (SELECT FROM notification_deliveries d WHERE d.notification_id = n.id
                            AND d.status IN ('pending', 'claimed', 'sending'))
        ORDER BY n.created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id
), deliveries AS (
    DELETE FROM notification_deliveries WHERE notification_id IN (SELECT id FROM gone)
)
SELECT count(*) FROM gone
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell one user, once for each ``key``; ``detail`` has the shape that the kind states."""

    kind: str
    user_id: int
    key: str
    detail: msgspec.Struct


async def put(kind: str, user_id: int, key: str, detail: msgspec.Struct) -> bool:
    """Have a user told of ``kind``, once for each ``key``; return whether it is new.

    It joins the present unit of work, so that it stands or falls with its cause. ``detail`` has the shape that the
    kind states in ``core.notifications.kinds``; domains call ``core.announcing.announce`` where an event is told.

    Raises:
        TypeError: ``detail`` has another shape.
    """
    return bool(await put_all([Entry(kind=kind, user_id=user_id, key=key, detail=detail)]))


async def put_all(entries: Sequence[Entry]) -> Sequence[Entry]:
    """Put several entries at once, as ``put`` does one; return those that are new."""
    for entry in entries:
        expected = KINDS[entry.kind].detail
        if type(entry.detail) is not expected:
            raise TypeError(f"the detail of {entry.kind} is {expected.__name__}, not {type(entry.detail).__name__}")
    # In one order everywhere, so that two that put the same keys wait for each other and do not block each other.
    by_key = {entry.key[:LONGEST_KEY]: entry for entry in sorted(entries, key=lambda entry: entry.key)}
    if not by_key:
        return []
    rows = await database.fetch(
        _PUT,
        list(by_key),
        [entry.kind for entry in by_key.values()],
        [_topic(entry) for entry in by_key.values()],
        [entry.user_id for entry in by_key.values()],
        [encrypt(database.encode_json(entry.detail), purpose=SEAL) for entry in by_key.values()],
    )
    if rows:
        enqueue(ACTOR, queue=NOTIFICATIONS)
    return [by_key[row["key"]] for row in rows]


def _topic(entry: Entry) -> str:
    field = KINDS[entry.kind].topic
    return str(getattr(entry.detail, field)) if field else ""


async def forget_sent(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` notifications from before a moment of which nothing is left to tell; return how many."""
    removed = await database.fetch_value(_FORGET, before, limit)
    return int(str(removed))
