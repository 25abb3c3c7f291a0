"""Lists of rows that are read in three ways by one filter: page by page, by cursor, and whole as CSV."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar.params import QueryParameter
from litestar.response import Stream

from core import database
from core.errors import InvalidInputError
from core.pagination import (
    Page,
    PageQuery,
    RowPlace,
    Scroll,
    build_page,
    build_scroll,
    read_cursor,
    write_cursor,
)
from core.request import AnyRequest
from core.spreadsheets import download, write_structs
from core.texts import text
from core.validation import MAXIMUM_BIGINT

EXPORTED_AT_ONCE = 1000
"""Rows of a download that are in memory at one time."""

R = TypeVar("R", bound=msgspec.Struct)

_MOMENT = {"format": "date-time"}
SinceQuery = Annotated[str | None, QueryParameter(name="from", description="The first moment.", schema_extra=_MOMENT)]
UntilQuery = Annotated[
    str | None, QueryParameter(name="to", description="The first moment after it.", schema_extra=_MOMENT)
]
"""Plain texts, which ``read_moment`` reads: Litestar would call a wrong one by another name in its error."""
SearchQuery = Annotated[str | None, QueryParameter(max_length=200, description="Text that the rows must contain.")]
UserIdQuery = Annotated[
    int | None, QueryParameter(ge=1, le=MAXIMUM_BIGINT, description="Only what belongs to this user.")
]


def read_moment(name: str, written: str | None) -> datetime | None:
    """Return the moment that the parameter ``name`` says in RFC 3339 with its zone.

    Raises:
        InvalidInputError: It says something else.
    """
    if written is None:
        return None
    found = parse_moment(written)
    if found is None:
        raise InvalidInputError({name: [text("datetime")]})
    return found


def parse_moment(written: str) -> datetime | None:
    """Return the moment that an address names in RFC 3339, or ``None``: a number of seconds is none, nor is a date.

    Nor is one that leaves the years 1 to 9999 in UTC, which the database could not take.
    """
    try:
        found: datetime = msgspec.convert(written, Annotated[datetime, msgspec.Meta(tz=True)])
        return found.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def read_search(written: str | None) -> str | None:
    """Return what to search for; spaces alone are nothing."""
    return (written or "").strip() or None


class Listing(msgspec.Struct, Generic[R], frozen=True, kw_only=True):
    """How rows of one kind are selected, narrowed, ordered and read.

    ``conditions`` maps fields of a filter to SQL with ``{}`` for the value; fields that are ``None`` do not narrow.
    ``key`` is the SQL of the bigint id, which the selected columns hold as ``id``.
    """

    kind: type[R]
    read: Callable[[Mapping[str, Any]], R]
    columns: str
    source: str
    """What stands after ``FROM``."""
    counted: str | None = None
    """What stands there where rows are counted: ``source`` without what adds columns alone."""
    always: str = "true"
    """What holds for every row."""
    conditions: Mapping[str, str]
    sorts: Mapping[str, str]
    default: str = "-id"
    key: str = "id"

    async def page(self, query: PageQuery, wanted: msgspec.Struct) -> tuple[Sequence[R], int]:
        """Return one page and how many rows there are; ``query.search`` is for ``wanted`` to hold."""
        where, args = self._where(wanted)
        order = query.order_by(self.sorts, self.default, tie=self.key)
        rows = await database.fetch(
            f"SELECT {self.columns} FROM {self.source} WHERE {where} ORDER BY {order}"
            f" LIMIT ${len(args) + 1} OFFSET ${len(args) + 2}",
            *args,
            query.limit,
            query.offset,
        )
        total = await database.fetch_value(f"SELECT count(*) FROM {self.counted or self.source} WHERE {where}", *args)
        return [self.read(row) for row in rows], total if isinstance(total, int) else 0

    async def scroll(self, query: PageQuery, wanted: msgspec.Struct, cursor: str) -> tuple[Sequence[R], str | None]:
        """Return the rows after ``cursor``, the newest first, and the cursor of those that follow; nothing is counted.

        Raises:
            InvalidInputError: The cursor is none of this list, or another order is asked for.
        """
        if query.sort not in {None, "-id"}:
            raise InvalidInputError({"sort": [text("cursor_order", order="-id")]})
        place = read_cursor(cursor, RowPlace)
        rows = await self._before(place.id if place is not None else None, wanted, query.limit + 1)
        following = write_cursor(RowPlace(rows[query.limit - 1]["id"])) if len(rows) > query.limit else None
        return [self.read(row) for row in rows[: query.limit]], following

    async def answer_page(self, request: AnyRequest, query: PageQuery, wanted: msgspec.Struct) -> Page[R]:
        """Return what a route answers with that reads page by page."""
        rows, total = await self.page(query, wanted)
        return build_page(rows, total, query, request)

    async def answer(
        self, request: AnyRequest, query: PageQuery, wanted: msgspec.Struct, cursor: str | None
    ) -> Page[R] | Scroll[R]:
        """Return what a route answers with that takes a cursor as well."""
        if cursor is None:
            return await self.answer_page(request, query, wanted)
        rows, following = await self.scroll(query, wanted, cursor)
        return build_scroll(rows, query.per_page, following, request)

    async def portions(self, wanted: msgspec.Struct) -> AsyncIterator[Sequence[R]]:
        """Yield all rows, the newest first, some of them at a time.

        Each portion is a statement of its own: a reader who takes an hour holds no connection and no old row version.
        """
        last: int | None = None
        while rows := await self._before(last, wanted, EXPORTED_AT_ONCE):
            last = rows[-1]["id"]
            yield [self.read(row) for row in rows]

    async def download(self, name: str, wanted: msgspec.Struct) -> Stream:
        """Return what a route answers with that sends all rows as CSV."""
        return await download(name, write_structs(self.kind, self.portions(wanted)))

    async def _before(self, last: int | None, wanted: msgspec.Struct, limit: int) -> Sequence[Mapping[str, Any]]:
        where, args = self._where(wanted)
        if last is not None:
            args.append(last)
            where += f" AND {self.key} < ${len(args)}"
        return await database.fetch(
            f"SELECT {self.columns} FROM {self.source} WHERE {where} ORDER BY {self.key} DESC LIMIT ${len(args) + 1}",
            *args,
            limit,
        )

    def _where(self, wanted: msgspec.Struct) -> tuple[str, list[object]]:
        args: list[object] = []
        parts = [self.always]
        for name, condition in self.conditions.items():
            value = getattr(wanted, name)
            if value is not None:
                args.append(value)
                parts.append(condition.format(f"${len(args)}"))
        return " AND ".join(parts), args
