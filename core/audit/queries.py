"""Read the audit log."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core.audit.schemas import LogRead, OwnLogRead
from core.listing import Listing

_SEARCHED = "l.action || ' ' || l.description || ' ' || l.data::text || ' ' || l.changes::text"
_COLUMNS = (
    "l.*, u.email AS user_email, a.email AS actor_email, l.actor_id IS NOT NULL"
    " OR (l.user_id IS NOT NULL AND l.user_id IS DISTINCT FROM l.account_id) AS by_administrator"
)
_SOURCE = "logs l LEFT JOIN users u ON u.id = l.user_id LEFT JOIN users a ON a.id = l.actor_id"
_SORTS = {"id": "l.id", "created_at": "l.created_at", "action": "l.action", "entity": "l.entity"}
_CONDITIONS = {
    "account_id": "l.account_id = {}",
    "user_id": "(l.user_id = {0} OR l.account_id = {0})",
    "actor_id": "coalesce(l.actor_id, l.user_id) = {}",
    "action": "starts_with(l.action, {})",
    "entity": "l.entity = {}",
    "entity_id": "l.entity_id = {}",
    "since": "l.created_at >= {}",
    "until": "l.created_at < {}",
    "search": f"strpos(lower({_SEARCHED}), lower({{}})) > 0",
}


def _read_log(row: Mapping[str, Any]) -> LogRead:
    return LogRead(**_decoded(row, LogRead))


def _read_own_log(row: Mapping[str, Any]) -> OwnLogRead:
    """Leave out where an administrator was."""
    fields = _decoded(row, OwnLogRead)
    return OwnLogRead(**{**fields, "address": "" if row["by_administrator"] else row["address"]})


def _decoded(row: Mapping[str, Any], kind: type[OwnLogRead]) -> dict[str, Any]:
    fields = {name: row[name] for name in kind.__struct_fields__}
    return {**fields, "data": msgspec.json.decode(row["data"]), "changes": msgspec.json.decode(row["changes"])}


LOGS = Listing(
    kind=LogRead,
    read=_read_log,
    columns=_COLUMNS,
    source=_SOURCE,
    conditions=_CONDITIONS,
    sorts=_SORTS,
    key="l.id",
)
"""The log as administrators see it."""
OWN_LOGS = Listing(
    kind=OwnLogRead,
    read=_read_own_log,
    columns=_COLUMNS,
    source=_SOURCE,
    conditions=_CONDITIONS,
    sorts=_SORTS,
    key="l.id",
)
"""The log as the user sees it whose account it concerns."""
