"""Which sign-ins still stand, for connections that stay open longer than one request."""

from collections.abc import Collection

from core import database

_SESSIONS = """
SELECT s.id FROM user_sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = ANY($1::bigint[]) AND s.revoked_at IS NULL AND s.expires_at > now()
  AND u.status = 'active' AND u.deleted_at IS NULL
"""
_KEYS = """
SELECT k.id FROM api_keys k JOIN users u ON u.id = k.user_id
WHERE k.id = ANY($1::bigint[]) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
  AND u.status = 'active' AND u.deleted_at IS NULL
"""


async def living(session_ids: Collection[int], key_ids: Collection[int]) -> tuple[set[int], set[int]]:
    """Return the sessions and the API keys among these that a request could come in with now; none is prolonged."""
    sessions = await database.fetch(_SESSIONS, list(session_ids)) if session_ids else ()
    keys = await database.fetch(_KEYS, list(key_ids)) if key_ids else ()
    return {row["id"] for row in sessions}, {row["id"] for row in keys}
