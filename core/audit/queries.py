"""Read the audit log."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from core import database
from core.audit.schemas import LogFilter, LogRead, OwnLogRead
from core.pagination import PageQuery, RowPlace, read_cursor, write_cursor
from core.spreadsheets import write_row

EXPORTED_AT_ONCE = 1000

_SORTS = {"id": "l.id", "created_at": "l.created_at", "action": "l.action", "entity": "l.entity"}
_SELECT = """
SELECT l.*, u.email AS user_email, a.email AS actor_email,
    l.actor_id IS NOT NULL OR (l.user_id IS NOT NULL AND l.user_id IS DISTINCT FROM l.account_id) AS by_administrator
FROM logs l LEFT JOIN users u ON u.id = l.user_id LEFT JOIN users a ON a.id = l.actor_id
"""
_SEARCHED = "l.action || ' ' || l.description || ' ' || l.data::text || ' ' || l.changes::text"
_CONDITIONS = (
    ("account_id", "l.account_id = {}"),
    ("user_id", "(l.user_id = {0} OR l.account_id = {0})"),
    ("actor_id", "coalesce(l.actor_id, l.user_id) = {}"),
    ("action", "starts_with(l.action, {})"),
    ("entity", "l.entity = {}"),
    ("entity_id", "l.entity_id = {}"),
    ("since", "l.created_at >= {}"),
    ("until", "l.created_at < {}"),
    ("search", f"strpos(lower({_SEARCHED}), lower({{}})) > 0"),
)

R = TypeVar("R", bound=OwnLogRead)
Read = Callable[[Mapping[str, Any]], R]


async def list_logs(query: PageQuery, wanted: LogFilter, read: Read[R]) -> tuple[Sequence[R], int]:
    """Return one page of the log, the newest first, and how many lines fit."""
    where, args = _where(wanted)
    order = query.order_by(_SORTS, "-id", tie="l.id")
    rows = await database.fetch(
        f"{_SELECT} WHERE {where} ORDER BY {order} LIMIT ${len(args) + 1} OFFSET ${len(args) + 2}",
        *args,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM logs l WHERE {where}", *args)
    return [read(row) for row in rows], total if isinstance(total, int) else 0


async def scroll_logs(limit: int, wanted: LogFilter, cursor: str, read: Read[R]) -> tuple[Sequence[R], str | None]:
    """Return the lines after ``cursor``, the newest first, and the cursor of those that follow; nothing is counted.

    Raises:
        InvalidInputError: The cursor is none of this list.
    """
    place = read_cursor(cursor, RowPlace)
    rows = await _before(place.id if place is not None else None, wanted, limit + 1)
    following = write_cursor(RowPlace(rows[limit - 1]["id"])) if len(rows) > limit else None
    return [read(row) for row in rows[:limit]], following


async def export_logs(wanted: LogFilter) -> AsyncIterator[str]:
    """Yield the log as CSV, the newest line first, some of it at a time."""
    names = LogRead.__struct_fields__
    yield write_row(names)
    last: int | None = None
    while rows := await _before(last, wanted, EXPORTED_AT_ONCE):
        last = rows[-1]["id"]
        yield "".join(write_row([_cell(value) for value in _plain(read_log(row), names)]) for row in rows)


def read_log(row: Mapping[str, Any]) -> LogRead:
    """Turn a row into what administrators see."""
    return LogRead(**_decoded(row, LogRead))


def read_own_log(row: Mapping[str, Any]) -> OwnLogRead:
    """Turn a row into what the user sees whose account it concerns: not where an administrator was."""
    fields = _decoded(row, OwnLogRead)
    return OwnLogRead(**{**fields, "address": "" if row["by_administrator"] else row["address"]})


def _decoded(row: Mapping[str, Any], kind: type[OwnLogRead]) -> dict[str, Any]:
    fields = {name: row[name] for name in kind.__struct_fields__}
    return {**fields, "data": msgspec.json.decode(row["data"]), "changes": msgspec.json.decode(row["changes"])}


async def _before(last: int | None, wanted: LogFilter, limit: int) -> Sequence[Mapping[str, Any]]:
    where, args = _where(wanted)
    if last is not None:
        args.append(last)
        where = f"{where} AND l.id < ${len(args)}"
    return await database.fetch(f"{_SELECT} WHERE {where} ORDER BY l.id DESC LIMIT ${len(args) + 1}", *args, limit)


def _where(wanted: LogFilter) -> tuple[str, list[object]]:
    args: list[object] = []
    parts = ["true"]
    for name, condition in _CONDITIONS:
        value = getattr(wanted, name)
        if value is not None:
            args.append(value)
            parts.append(condition.format(f"${len(args)}"))
    return " AND ".join(parts), args


def _plain(line: LogRead, names: Sequence[str]) -> Sequence[object]:
    fields = msgspec.to_builtins(line)
    return [fields[name] for name in names]


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return database.encode_json(value) if isinstance(value, dict | list) else value
