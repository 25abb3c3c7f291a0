"""The outbox: what one person is to be told, written in the unit of work of its cause."""

from collections.abc import Mapping
from datetime import datetime

from core import database
from core.crypto import encrypt

SEAL = "notifications.detail"


async def put(kind: str, user_id: int, key: str, detail: Mapping[str, object]) -> bool:
    """Have a user told of ``kind``, once for each ``key``; return whether it is new.

    It joins the present unit of work, so that it stands or falls with its cause.
    """
    added = await database.execute(
        "INSERT INTO notifications (key, kind, user_id, detail, created_at) VALUES ($1, $2, $3, $4, now())"
        " ON CONFLICT (key) DO NOTHING",
        key[:160],
        kind,
        user_id,
        encrypt(database.encode_json(detail), purpose=SEAL),
    )
    return added == 1


async def forget_sent(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` notifications that were sent before a moment; return how many."""
    return await database.execute(
        "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications WHERE sent_at < $1 ORDER BY sent_at"
        " LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before,
        limit,
    )
