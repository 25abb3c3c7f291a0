"""Write the audit log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from core import database
from core.audit.masking import safe, safe_changes
from core.trail import present_trail

_INSERT = """
INSERT INTO logs (user_id, action, description, data, account_id, actor_id, api_key_id, entity, entity_id, changes,
    address, request_id, created_at)
VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7, $8, $9, $10::jsonb, $11, $12, now())
"""


async def record(  # noqa: PLR0913 - one for each column that a caller may know
    action: str,
    *,
    user_id: int | UnsetType | None = UNSET,
    description: str = "",
    facts: Mapping[str, object] | None = None,
    entity: str = "",
    entity_id: int | None = None,
    changes: Mapping[str, object] | None = None,
    account_id: int | None = None,
) -> None:
    """Add one line to ``logs``, in the present unit of work when there is one, so that it stands or falls with it.

    ``action`` is ``<noun>.<verb>``, such as ``user.signed_in``; ``user_id`` is who did it, ``None`` the platform,
    absent whoever sent the request.
    ``entity`` and ``entity_id`` name the row it is about: without them the noun, and the fact ``<noun>_id``.
    ``changes`` maps each changed field to ``[before, after]``, see ``differences``; a change of nothing is not written.
    ``account_id`` is whose account it
    concerns: without it the user that ``entity`` is, else ``user_id``. The administrator who acts for a user, the API
    key, the address and the request's id come from the request by themselves. Secrets are masked.
    """
    if changes is not None and not changes and not facts:
        return
    trail = present_trail()
    who = trail.user_id if user_id is UNSET else user_id
    kind = entity or action.partition(".")[0]
    known = dict(facts or {})
    subject = known.get(f"{kind}_id") if entity_id is None else entity_id
    row_id = subject if isinstance(subject, int) else None
    if account_id is None:
        account_id = row_id if kind == "user" and row_id is not None else who
    await database.execute(
        _INSERT,
        who,
        action,
        description,
        _encode(safe(known)),
        account_id,
        trail.actor_id,
        trail.api_key_id,
        kind[:40],
        row_id,
        _encode(safe_changes(changes or {})),
        trail.address,
        trail.request_id,
    )


async def forget_lines(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` lines from before a moment, the oldest first; return how many."""
    return await database.execute(
        "DELETE FROM logs WHERE id IN (SELECT id FROM logs WHERE created_at < $1 ORDER BY created_at LIMIT $2)",
        before,
        limit,
    )


def differences(before: object, after: object, *fields: str) -> dict[str, list[object]]:
    """Return the fields in which two states of a row differ, each with both values; of ``fields`` alone where named.

    Structs, rows and mappings are compared by the names they share; when the row changed is left out.
    """
    old, new = _fields(before), _fields(after)
    names = fields or tuple(name for name in new if name != "updated_at")
    return {
        name: [old.get(name), new[name]]
        for name in names
        if name in new and new[name] is not UNSET and old.get(name) != new[name]
    }


def _fields(state: object) -> dict[str, Any]:
    fields = (
        msgspec.structs.asdict(state) if isinstance(state, msgspec.Struct) else dict(cast("Mapping[str, Any]", state))
    )
    return {name: msgspec.to_builtins(value) for name, value in fields.items() if value is not UNSET}


def _encode(value: object) -> str:
    # jsonb holds no NUL; the log is for reading, so the sign is replaced instead of refused.
    return database.encode_json(value).replace("\\u0000", "\\ufffd")
