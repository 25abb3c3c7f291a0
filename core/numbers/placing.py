"""Where a new number goes: to the server that was asked for, else to the emptiest one that is well."""

from collections.abc import Sequence

import asyncpg
import msgspec

from core import database
from core.errors import ConflictError, InvalidInputError
from core.plugin import Capabilities
from core.texts import text

# Locked before the numbers are counted, so that two at once do not take the last place.
_LOCK = """
SELECT id FROM servers WHERE deleted_at IS NULL AND ($1::bigint IS NULL OR id = $1)
    AND ($2::text IS NULL OR provider = $2) ORDER BY id FOR UPDATE
"""
# A deleted number keeps its place until it is gone from the server: its removal must not hit a successor.
_CANDIDATES = """
SELECT s.id, s.status, s.capacity, s.capabilities,
    (SELECT count(*) FROM numbers n WHERE n.server_id = s.id AND n.removed_at IS NULL) AS taken,
    -- One that answers and half of whose numbers get nothing acknowledged is not well.
    (SELECT count(*) FILTER (WHERE n.silent_until > now()) * 2 >= greatest(count(*), 1) FROM numbers n
        WHERE n.server_id = s.id AND n.deleted_at IS NULL AND n.connection = 'connected') AS silent
FROM servers s WHERE s.id = ANY($1::bigint[])
"""
_capabilities = msgspec.json.Decoder(Capabilities)


async def place_number(server_id: int | None, provider: str | None = None, *, besides: int | None = None) -> int:
    """Return the server for a number, locked for the present unit of work.

    Without ``server_id`` it is the one whose room is taken least, of those that answered their last probe, get their
    messages acknowledged, are not ``besides`` and, where ``provider`` is named, are of that provider.

    Raises:
        InvalidInputError: There is no such server, or it is of another provider.
        ConflictError: The server has never answered or has no room, or none has any.
    """
    locked = await database.fetch(_LOCK, server_id, provider)
    rows = await database.fetch(_CANDIDATES, [row["id"] for row in locked if row["id"] != besides])
    if server_id is None:
        return _emptiest(rows)
    if not rows:
        raise InvalidInputError({"server_id": [text("no_such_server")]})
    _ensure_room(rows[0])
    return server_id


def _emptiest(rows: Sequence[asyncpg.Record]) -> int:
    def load(row: asyncpg.Record) -> tuple[float, int, int]:
        places = _places(row)
        return (row["taken"] / places if places else 0.0, row["taken"], row["id"])

    fitting = [
        row for row in rows if row["status"] and not row["silent"] and row["capabilities"] != "{}" and _has_room(row)
    ]
    if not fitting:
        raise ConflictError(
            "No server has room for another number: ask an administrator to add one.", code="no_server_free"
        )
    return int(min(map(load, fitting))[2])


def _ensure_room(row: asyncpg.Record) -> None:
    if row["capabilities"] == "{}":
        raise ConflictError(
            "The server has not answered yet, so what it can do is not known: ask an administrator to look at it.",
            code="server_not_ready",
        )
    if not _has_room(row):
        places = _places(row)
        raise ConflictError(
            f"The server has room for {places} numbers, and all are taken: choose another.",
            code="server_full",
            places=places,
        )


def _has_room(row: asyncpg.Record) -> bool:
    places = _places(row)
    return places is None or row["taken"] < places


def _places(row: asyncpg.Record) -> int | None:
    """Return how many numbers a server may hold, ``None`` without a limit."""
    capacity: int | None = row["capacity"]
    return capacity if _capabilities.decode(row["capabilities"]).multi_session else 1
