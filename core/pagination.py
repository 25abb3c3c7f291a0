"""The two envelopes of every answer, ``{"data": ...}`` and the page of a list, and the parameters of a list."""

import base64
from collections.abc import Mapping, Sequence
from typing import Annotated, Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from litestar.params import QueryParameter

from core.errors import InvalidInputError
from core.request import AnyRequest
from core.texts import text

T = TypeVar("T")

DEFAULT_PER_PAGE = 20
MAXIMUM_PER_PAGE = 100
MAXIMUM_PAGE = 10**9
"""Keeps the offset within PostgreSQL's bigint."""


class Resource(msgspec.Struct, Generic[T], frozen=True):
    """One resource."""

    data: T


class Links(msgspec.Struct, frozen=True):
    """Addresses of other pages of the same list, relative to the host."""

    first: Annotated[str, msgspec.Meta(examples=["/api/plans?page=1&per_page=20"])]
    last: Annotated[str, msgspec.Meta(examples=["/api/plans?page=3&per_page=20"])]
    prev: Annotated[str | None, msgspec.Meta(examples=["/api/plans?page=1&per_page=20"])]
    next: Annotated[str | None, msgspec.Meta(examples=["/api/plans?page=3&per_page=20"])]


class Meta(msgspec.Struct, frozen=True):
    """Where a page stands in its list."""

    current_page: Annotated[int, msgspec.Meta(examples=[2])]
    per_page: Annotated[int, msgspec.Meta(examples=[20])]
    last_page: Annotated[int, msgspec.Meta(examples=[3])]
    total: Annotated[int, msgspec.Meta(examples=[42])]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list."""

    data: Sequence[T]
    links: Links
    meta: Meta


class ScrollLinks(msgspec.Struct, frozen=True):
    """Addresses of other parts of a scrolled list, relative to the host."""

    first: str
    next: str | None


class ScrollMeta(msgspec.Struct, frozen=True):
    """Where a part stands in a scrolled list, which is not counted."""

    per_page: int
    next_cursor: str | None


class Scroll(msgspec.Struct, Generic[T], frozen=True):
    """One part of a list that is read by cursor."""

    data: Sequence[T]
    links: ScrollLinks
    meta: ScrollMeta


class PageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page of a list is asked for, in which order, and what it should contain."""

    page: int = 1
    per_page: int = DEFAULT_PER_PAGE
    sort: str | None = None
    search: str | None = None

    @property
    def limit(self) -> int:
        """Rows to read."""
        return self.per_page

    @property
    def offset(self) -> int:
        """Rows to pass over."""
        return (self.page - 1) * self.per_page

    def order_by(self, columns: Mapping[str, str], default: str, tie: str = "id") -> str:
        """Return the ``ORDER BY`` terms for ``sort``: a key of ``columns``, descending with a leading minus.

        ``columns`` maps the names a client may sort by to SQL expressions; the column ``tie`` makes the order whole.
        ``default`` is written like ``sort``.

        Raises:
            InvalidInputError: ``sort`` names something else.
        """
        wanted = self.sort or default
        name = wanted.removeprefix("-")
        if name not in columns:
            raise InvalidInputError({"sort": [text("choice", allowed=", ".join(columns))]})
        direction = "DESC" if wanted.startswith("-") else "ASC"
        return f"{columns[name]} {direction}, {tie} {direction}"


def page_query(
    page: Annotated[int, QueryParameter(ge=1, le=MAXIMUM_PAGE, description="Page to return, from 1.")] = 1,
    per_page: Annotated[
        int, QueryParameter(ge=1, le=MAXIMUM_PER_PAGE, description="Rows of a page.")
    ] = DEFAULT_PER_PAGE,
    sort: Annotated[
        str | None, QueryParameter(max_length=60, description="Field to sort by; a leading minus sorts downwards.")
    ] = None,
    search: Annotated[
        str | None, QueryParameter(max_length=200, description="Text that the rows must contain.")
    ] = None,
) -> PageQuery:
    """Provide ``page_query: PageQuery`` to handlers; wrong values are 422 and named."""
    return PageQuery(page=page, per_page=per_page, sort=sort or None, search=(search or "").strip() or None)


Cursor = Annotated[
    str | None, QueryParameter(max_length=2000, description="Read the list by cursor instead of page; empty to begin.")
]
P = TypeVar("P", bound=msgspec.Struct)


class RowPlace(msgspec.Struct, frozen=True, array_like=True):
    """The place of a row in a list in the order of ids."""

    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


def write_cursor(place: object) -> str:
    """Write the place of a row in its list down as an opaque text."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read_cursor(cursor: str, kind: type[P]) -> P | None:
    """Return the place that ``write_cursor`` wrote down; ``None`` for the beginning of the list.

    Raises:
        InvalidInputError: It is no cursor of this list.
    """
    if not cursor:
        return None
    try:
        plain = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(plain, type=kind)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidInputError({"cursor": [text("cursor")]}) from None


def build_scroll(items: Sequence[T], per_page: int, following: str | None, request: AnyRequest) -> Scroll[T]:
    """Put one part of a scrolled list into its envelope; ``following`` is the cursor of the next."""
    raw_query = request.scope["query_string"].decode("latin-1")
    others = [(key, value) for key, value in parse_qsl(raw_query) if key != "cursor"]

    def link(cursor: str) -> str:
        return f"{quote(request.scope['path'])}?{urlencode([*others, ('cursor', cursor)])}"

    links = ScrollLinks(link(""), None if following is None else link(following))
    return Scroll(items, links, ScrollMeta(per_page, following))


def build_page(items: Sequence[T], total: int, query: PageQuery, request: AnyRequest) -> Page[T]:
    """Put one page of ``total`` rows into its envelope; links keep the request's other parameters."""
    last = max(1, -(-total // query.per_page))
    raw_query = request.scope["query_string"].decode("latin-1")
    others = [(key, value) for key, value in parse_qsl(raw_query) if key not in {"page", "per_page"}]

    def link(page: int) -> str:
        return f"{quote(request.scope['path'])}?{urlencode([*others, ('page', page), ('per_page', query.per_page)])}"

    links = Links(
        first=link(1),
        last=link(last),
        prev=link(min(query.page - 1, last)) if query.page > 1 else None,
        next=link(query.page + 1) if query.page < last else None,
    )
    return Page(items, links, Meta(query.page, query.per_page, last, total))
