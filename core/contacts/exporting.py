"""Contacts as a table that an import reads back by itself: portions of CSV that PostgreSQL writes.

Cells are guarded, quoted and joined by the database. Each portion is a statement of its own, so that a reader who takes
an hour holds no connection and no old row version.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from core import database
from core.contacts.addresses import CURRENT
from core.contacts.audience import filter_conditions, public_conditions
from core.contacts.filters import BLOCKED, LIVE, ContactFilter, Parameters
from core.contacts.importing.headers import EXPORTED_HEADERS, LABELS, NAME, NUMBER, variable_header
from core.contacts.importing.rows import join_label
from core.contacts.schemas import MAXIMUM_VARIABLES
from core.contacts.variables import list_names
from core.spreadsheets import BYTE_ORDER_MARK, guarded_in_sql
from core.validation import MAXIMUM_BIGINT

FIRST_ROWS, MOST_ROWS = 500, 50_000
"""Of a portion: few at first, so that a file begins at once."""
PORTION_BYTES = 4 * 2**20
"""About as long a portion is."""
MOST_PORTION_BYTES = 16 * 2**20
"""What is stored of its rows never takes more than that, unless it is one row."""
PORTIONS_AHEAD = 2
"""Portions that are read at the same time, each by a connection that it gives back when it is read."""
_ADDRESSES = (
    "CASE WHEN c.number IS NULL THEN (SELECT string_agg(a.provider || ':' || a.address, ', ' ORDER BY a.provider)"
    f" FROM contact_addresses a WHERE a.contact_id = c.id AND {CURRENT}) END"
)
_OTHER_BYTES = 100
"""Of a row's cells beside the variables, about."""
# A size that is not compressed is known without looking at the value.
_SIZE = (
    "CASE WHEN pg_column_compression(c.variables) IS NULL THEN pg_column_size(c.variables)"
    " ELSE octet_length(c.variables::text) END"
)


class Table(msgspec.Struct, frozen=True):
    """A table's headers, and the statements for the ids that a portion spans and for its rows.

    The last parameters of the first are the id that all are below and how many are wanted; those of the second the
    lowest id, and the one that all are below.
    """

    headers: list[str]
    span: str
    span_values: list[object]
    rows: str
    row_values: list[object]

    async def csv(self) -> AsyncGenerator[bytes, None]:
        """Yield the table as a file of CSV (UTF-8 with a byte order mark), the headers with the first rows."""
        # No header has a sign that would have to be quoted.
        header = f"{BYTE_ORDER_MARK}{','.join(self.headers)}\n".encode()
        async with aclosing(self.portions()) as portions:
            async for portion in portions:
                yield header + portion
                header = b""
        if header:
            yield header

    async def portions(self) -> AsyncGenerator[bytes, None]:
        """Yield the rows as CSV (UTF-8, LF) without the headers, the newest first; whole rows each time.

        A generator that is closed ends what PostgreSQL still does for it.
        """
        reading: deque[asyncio.Task[bytes]] = deque()
        try:
            async for lowest, before in self._spans():
                reading.append(asyncio.create_task(self._read(lowest, before)))
                if len(reading) == PORTIONS_AHEAD:
                    yield await reading.popleft()
            while reading:
                yield await reading.popleft()
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _spans(self) -> AsyncIterator[tuple[int, int]]:
        before, wanted = MAXIMUM_BIGINT, FIRST_ROWS
        while True:
            found = await database.fetch_row(self.span, *self.span_values, before, wanted)
            if found is None or found["lowest"] is None:
                return
            if found["size"] > MOST_PORTION_BYTES and wanted > 1:
                wanted = max(1, wanted // 8)
                continue
            yield found["lowest"], before
            before = found["lowest"]
            wanted = max(1, min(wanted * 8, MOST_ROWS, found["count"] * PORTION_BYTES // found["size"]))

    async def _read(self, lowest: int, before: int) -> bytes:
        pieces: list[bytes] = []

        async def take(piece: bytes) -> None:
            pieces.append(piece)

        async with database.connection() as connection:
            try:
                await connection.copy_from_query(
                    self.rows, *self.row_values, lowest, before, output=take, format="csv", encoding="utf-8"
                )
            except BaseException:
                # asyncpg leaves a COPY that is given up in the middle; nobody else may get its connection.
                connection.terminate()
                raise
        return b"".join(pieces)


async def open_table(
    user_id: int, wanted: ContactFilter, public_id: int | None = None, *, workbook: bool = False
) -> Table:
    """Return the tenant's contacts that are wanted as a table, for CSV or for the cells of a ``workbook``.

    Raises:
        NotFoundError: There is no such audience.
    """
    parameters = Parameters()
    where = await filter_conditions(user_id, wanted, parameters)
    if public_id is not None:
        where += f" AND {await public_conditions(user_id, public_id, parameters)}"
    last, limit = parameters.next, parameters.next + 1
    span = (
        f"SELECT min(id) AS lowest, count(*) AS count, sum(size + {_OTHER_BYTES}) AS size"
        f" FROM (SELECT c.id, {_SIZE} AS size FROM contacts c WHERE {where} AND c.id < ${last}::bigint"
        f" ORDER BY c.id DESC LIMIT ${limit}::int) p"
    )
    span_values = [*parameters.values]
    names = await _variable_names(user_id, where, parameters)
    texts = {
        "name": "c.name",
        "labels": _joined_labels(parameters.bind(database.encode_json(await _label_names(user_id)))),
        **{f"v{place}": f"c.variables ->> {parameters.bind(name)}::text" for place, name in enumerate(names)},
    }
    if await _has_others(user_id):
        texts["addresses"] = _ADDRESSES
    inner = ", ".join(f"{expression} AS {name}" for name, expression in texts.items())
    plus = "+" if workbook else "''+"
    outer = [f"'{plus}' || p.number", *(guarded_in_sql(f"p.{name}", workbook=workbook) for name in texts)]
    if "addresses" not in texts:
        outer.append("NULL")
    outer += [
        "CASE p.status WHEN 1 THEN 'active' ELSE 'inactive' END",
        "CASE WHEN p.blocked THEN 'true' ELSE 'false' END",
        "p.created_at",
        "p.last_inbound_at",
    ]
    # What is inside is computed once; OFFSET keeps PostgreSQL from writing it into every place that reads it.
    lowest, before = parameters.next, parameters.next + 1
    rows = (
        f"SELECT {', '.join(outer)} FROM (SELECT c.number, c.status, {BLOCKED} AS blocked,"
        " c.created_at::timestamp(0) AS created_at, c.last_inbound_at::timestamp(0) AS last_inbound_at,"
        f" {inner} FROM contacts c WHERE {where} AND c.id >= ${lowest}::bigint AND c.id < ${before}::bigint"
        " ORDER BY c.id DESC OFFSET 0) p"
    )
    headers = [NUMBER, NAME, LABELS, *map(variable_header, names), *EXPORTED_HEADERS]
    return Table(headers, span, span_values, rows, parameters.values)


async def _variable_names(user_id: int, where: str, parameters: Parameters) -> Sequence[str]:
    """Return the variables that have a column: all of the tenant's, or where those are many the ones in use."""
    names = await list_names(user_id)
    if len(names) <= MAXIMUM_VARIABLES:
        return names
    rows = await database.fetch(
        f"SELECT DISTINCT jsonb_object_keys(c.variables) AS name FROM contacts c WHERE {where} ORDER BY name",
        *parameters.values,
    )
    return [row["name"] for row in rows]


async def _label_names(user_id: int) -> Mapping[str, str]:
    rows = await database.fetch("SELECT id, name FROM labels WHERE user_id = $1 AND deleted_at IS NULL", user_id)
    return {str(row["id"]): join_label(row["name"]) for row in rows}


def _joined_labels(names: str) -> str:
    """Return SQL for the names of a contact's labels; ``names`` is the parameter that has them by id."""
    several = (
        f"SELECT string_agg({names}::jsonb ->> id, ', ' ORDER BY place)"
        " FROM jsonb_array_elements_text(c.labels) WITH ORDINALITY AS l(id, place)"
    )
    return (
        f"CASE jsonb_array_length(c.labels) WHEN 0 THEN NULL WHEN 1 THEN {names}::jsonb ->> (c.labels ->> 0)"
        f" ELSE ({several}) END"
    )


async def _has_others(user_id: int) -> bool:
    """Whether the tenant has contacts without a number."""
    found = await database.fetch_value(
        f"SELECT EXISTS (SELECT FROM contacts c WHERE {LIVE.format(user='$1')} AND c.number IS NULL)", user_id
    )
    return found is True
