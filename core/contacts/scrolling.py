"""Lists of contacts in any order, read part by part from a place on, with an effort that does not grow with the table.

Most filters find a page among the first contacts of the order: those are looked through first. Where they hold too
few, matches are rare, and an index finds all of them sooner than a walk would. PostgreSQL cannot choose between the
two: how often a part of a name occurs is not in its statistics.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from core import database
from core.contacts.filters import LIVE, Moment, Parameters
from core.errors import InvalidInputError
from core.pagination import read_cursor, write_cursor
from core.texts import text
from core.validation import MAXIMUM_BIGINT

WALKED = 10_000
"""Contacts that are looked through before an index is asked."""
MAXIMUM_KEY = 1000

Rows = Sequence[Mapping[str, Any]]

Text = Annotated[str, msgspec.Meta(max_length=MAXIMUM_KEY, pattern=r"^[^\x00]*$")]
Whole = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_BIGINT)]


class Order(msgspec.Struct, frozen=True):
    """What an order compares, never null and written as its index has it, and the type of that in Python."""

    key: str
    kind: Any


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a part of a list ended: in which order, and at which key and id."""

    sort: str
    key: Any
    id: Whole


ORDERS: Mapping[str, Order] = {
    "id": Order("c.id", Whole),
    "name": Order('c.name_folded COLLATE "C"', Text),
    "number": Order("coalesce(c.number, '') COLLATE \"C\"", Text),
    "status": Order("c.status", Annotated[int, msgspec.Meta(ge=-(2**15), lt=2**15)]),
    "created_at": Order("c.created_at", Moment),
    "updated_at": Order("c.updated_at", Moment),
    "last_inbound_at": Order("coalesce(c.last_inbound_at, 'epoch')", Moment),
}
NEWEST = "-id"


class Line:
    """The order in which contacts are listed, as an address asks for it: the name of an order, a minus turns it round.

    Raises:
        InvalidInputError: There is no such order.
    """

    def __init__(self, sort: str | None) -> None:
        self.sort = sort or NEWEST
        name = self.sort.removeprefix("-")
        if name not in ORDERS:
            raise InvalidInputError({"sort": [text("choice", allowed=", ".join(ORDERS))]})
        self.key, self._kind = ORDERS[name].key, ORDERS[name].kind
        self._direction, self._beyond = ("DESC", "<") if self.sort.startswith("-") else ("ASC", ">")

    @property
    def terms(self) -> str:
        """What stands after ``ORDER BY``."""
        return self.terms_of(self.key, "c.id")

    def terms_of(self, key: str, id_column: str) -> str:
        """Return what stands after ``ORDER BY`` where the key and the id have other names."""
        if key == id_column:
            return f"{key} {self._direction}"
        return f"{key} {self._direction}, {id_column} {self._direction}"

    def read(self, cursor: str) -> Place | None:
        """Return the place a cursor names, ``None`` for the beginning; ``InvalidInputError`` when it is of no use."""
        place = read_cursor(cursor, Place)
        if place is None:
            return None
        if place.sort != self.sort:
            raise InvalidInputError({"cursor": [text("cursor")]})
        try:
            return Place(self.sort, msgspec.convert(place.key, self._kind), place.id)
        except msgspec.ValidationError:
            raise InvalidInputError({"cursor": [text("cursor")]}) from None

    def after(self, place: Place | None, parameters: Parameters) -> str:
        """Return the condition on ``contacts c`` that holds behind a place."""
        if place is None:
            return "true"
        beyond = parameters.bind(place.id)
        if self.key == "c.id":
            return f"c.id {self._beyond} {beyond}"
        return f"({self.key}, c.id) {self._beyond} ({parameters.bind(place.key)}, {beyond})"

    def place_of(self, row: Mapping[str, Any]) -> Place:
        """Return the place of a row that was read with ``key``."""
        return Place(self.sort, row["key"], row["id"])


class ContactList(msgspec.Struct, frozen=True):
    """A tenant's contacts in an order: those that ``conditions`` describe, as ``filters.contact_conditions`` does."""

    user_id: int
    line: Line
    columns: str
    """Of ``contacts c``; ``id`` is among them."""
    conditions: str
    parameters: Parameters
    """Those of ``conditions``."""
    few: str = ""
    """What also holds for them, with ``{user}`` for the tenant, and leads to them where they are few."""

    async def part(self, place: Place | None, limit: int) -> tuple[Rows, str | None]:
        """Return up to ``limit`` contacts behind ``place`` and the cursor of those that follow, if there are any."""
        rows = [*await self._walk(place, limit + 1)]
        if len(rows) <= limit:
            reached = await self._reached(place)
            if reached is not None:
                rows += await self._find(reached, limit + 1 - len(rows))
        following = write_cursor(self.line.place_of(rows[limit - 1])) if len(rows) > limit else None
        return rows[:limit], following

    async def _walk(self, place: Place | None, limit: int) -> Rows:
        """Return the first matches among the next contacts of the line."""
        parameters = self.parameters.copy()
        live = LIVE.format(user=parameters.bind(self.user_id))
        following = (
            f"SELECT c.*, {self.line.key} AS key FROM contacts c WHERE {live} AND {self.line.after(place, parameters)}"
            f" ORDER BY {self.line.terms} LIMIT {WALKED}"
        )
        return await database.fetch(
            f"SELECT {self.columns}, c.key FROM ({following}) AS c WHERE {self.conditions}"
            f" ORDER BY {self.line.terms_of('c.key', 'c.id')} LIMIT {parameters.bind(limit)}",
            *parameters.values,
        )

    async def _reached(self, place: Place | None) -> Place | None:
        """Return the place of the last contact that a walk sees, ``None`` when there are no more behind it."""
        parameters = Parameters()
        live = LIVE.format(user=parameters.bind(self.user_id))
        row = await database.fetch_row(
            f"SELECT c.id, {self.line.key} AS key FROM contacts c"
            f" WHERE {live} AND {self.line.after(place, parameters)}"
            f" ORDER BY {self.line.terms} OFFSET {WALKED - 1} LIMIT 1",
            *parameters.values,
        )
        return None if row is None else self.line.place_of(row)

    async def _find(self, place: Place, limit: int) -> Rows:
        """Return the first matches behind a place, by whichever index finds all of them."""
        parameters = self.parameters.copy()
        few = self.few.format(user=parameters.bind(self.user_id)) if self.few else "true"
        # Were the order part of this statement, PostgreSQL would walk on for its sake.
        found = (
            f"SELECT c.id, {self.line.key} AS key FROM contacts c"
            f" WHERE {self.conditions} AND {few} AND {self.line.after(place, parameters)}"
        )
        first = (
            f"SELECT f.id FROM found f ORDER BY {self.line.terms_of('f.key', 'f.id')} LIMIT {parameters.bind(limit)}"
        )
        return await database.fetch(
            f"WITH found AS MATERIALIZED ({found}) SELECT {self.columns}, {self.line.key} AS key FROM contacts c"
            f" WHERE c.id = ANY(ARRAY({first})) ORDER BY {self.line.terms}",
            *parameters.values,
        )
