"""Write the audit log."""

from collections.abc import Mapping

from core import database


async def record(
    action: str, *, user_id: int | None, description: str = "", facts: Mapping[str, object] | None = None
) -> None:
    """Add one line to ``logs``, in the present unit of work when there is one, so that it stands or falls with it.

    ``action`` is ``<noun>.<verb>``, such as ``user.signed_in``; ``user_id`` is who did it, ``None`` the platform.
    ``facts`` must hold no secret.
    """
    await database.execute(
        "INSERT INTO logs (user_id, action, description, data, created_at) VALUES ($1, $2, $3, $4::jsonb, now())",
        user_id,
        action,
        description,
        database.encode_json(facts or {}),
    )
