"""The outbox: what one person is to be told, written in the unit of work of its cause."""

from datetime import datetime

import msgspec

from core import database
from core.crypto import encrypt
from core.notifications.kinds import KINDS
from core.queue import NOTIFICATIONS, enqueue

SEAL = "notifications.detail"
ACTOR = "notifications.plan"

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


async def put(kind: str, user_id: int, key: str, detail: msgspec.Struct) -> bool:
    """Have a user told of ``kind``, once for each ``key``; return whether it is new.

    It joins the present unit of work, so that it stands or falls with its cause. ``detail`` has the shape that the
    kind states in ``core.notifications.kinds``; domains call ``core.announcing.announce`` where an event is told.

    Raises:
        TypeError: ``detail`` has another shape.
    """
    if type(detail) is not KINDS[kind].detail:
        raise TypeError(f"the detail of {kind} is {KINDS[kind].detail.__name__}, not {type(detail).__name__}")
    added = await database.execute(
        "INSERT INTO notifications (key, kind, user_id, detail, created_at) VALUES ($1, $2, $3, $4, now())"
        " ON CONFLICT (key) DO NOTHING",
        key[:160],
        kind,
        user_id,
        encrypt(database.encode_json(detail), purpose=SEAL),
    )
    if added == 1:
        enqueue(ACTOR, queue=NOTIFICATIONS)
    return added == 1


async def forget_sent(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` notifications from before a moment of which nothing is left to tell; return how many."""
    removed = await database.fetch_value(_FORGET, before, limit)
    return int(str(removed))
