"""The outbox: what one person is to be told, written in the unit of work of its cause."""

from collections.abc import Mapping

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
