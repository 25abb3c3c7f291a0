"""The list of contacts of a tenant who has a million of them, beside that of one who has ten thousand."""

import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from core import database
from core.contacts import queries
from core.contacts.filters import ContactFilter, LabelFilter
from core.pagination import PageQuery

MANY, FEW = 1_000_000, 10_000
PARTS = 40
"""Parts of a list that are read one behind the other, from the beginning again where it ends."""
NAMES = """
INSERT INTO contacts (user_id, number, name, variables, labels, status, blocked_at, created_at, updated_at,
    last_inbound_at)
SELECT $1, (5511900000000 + n * 37::bigint)::text,
    (array['José', 'Maria', 'Ana', 'João', 'Antônio', 'Luíza', 'Pedro', 'Mariana', 'Zoë', 'Íris'])[1 + n % 10] || ' '
        || (array['Silva', 'Souza', 'Araújo', 'Gonçalves', 'Müller', 'Peña', 'Oliveira'])[1 + n % 7] || ' '
        || substr(md5(n::text), 1, 6),
    jsonb_build_object('cidade', 'Cidade ' || n % 500),
    CASE WHEN n % 1000 = 0 THEN jsonb_build_array($2::bigint) WHEN n % 2 = 0 THEN jsonb_build_array($3::bigint)
        ELSE '[]' END,
    CASE WHEN n % 500 = 0 THEN 2 ELSE 1 END, CASE WHEN n % 800 = 0 THEN now() END, now() - n * interval '1 second',
    now() - n::bigint * 7919 % 1000000 * interval '1 second',
    CASE WHEN n % 3 = 0 THEN now() - n * interval '1 minute' END
FROM generate_series(1, $4::int) n
"""


class Book(msgspec.Struct, frozen=True):
    """A tenant with contacts."""

    user_id: int
    size: int
    rare: int
    """A label of one in a thousand."""
    common: int
    """A label of every second."""
    audience: int
    """Has every second contact."""


class Way(msgspec.Struct, frozen=True):
    """One way of reading a tenant's list."""

    book: Book
    name: str
    wanted: ContactFilter = ContactFilter()
    query: PageQuery = PageQuery()
    public_id: int | None = None


class Read(msgspec.Struct, frozen=True):
    """One way of reading the list: the 95th percentiles in milliseconds for many and for few contacts."""

    name: str
    many: float
    few: float

    @property
    def ratio(self) -> float:
        """How much longer it takes for many."""
        return self.many / self.few


async def measure() -> list[Read]:
    """Make both tenants and read their lists in every order and by every filter, by turns."""
    many, few = await _make(MANY), await _make(FEW)
    await database.execute("VACUUM ANALYZE contacts, public_by_contacts")
    return [
        Read(one.name, *[_late(taken) for taken in await _by_turns(one, other)])
        for one, other in zip(_ways(many), _ways(few), strict=True)
    ]


def _ways(book: Book) -> Iterator[Way]:
    for sort in ("-id", "name", "-name", "number", "-created_at", "-updated_at", "-last_inbound_at", "status"):
        yield Way(book, f"sort {sort}", query=PageQuery(sort=sort))
    # Names of many, of one in ten, of one in four thousand, of nobody; and parts of numbers.
    for search in ("mari", "joa", "f0f", "a1b2", "qqq", "000370"):
        yield Way(book, f"search {search}", ContactFilter(search=search))
    yield Way(book, "search a1b2 by name", ContactFilter(search="a1b2"), PageQuery(sort="name"))
    yield Way(book, "label of few", ContactFilter(labels=LabelFilter(any=[book.rare])))
    yield Way(book, "label of many", ContactFilter(labels=LabelFilter(any=[book.common])))
    yield Way(book, "not a label", ContactFilter(labels=LabelFilter(all=[book.rare], none=[book.common])))
    yield Way(book, "status 2", ContactFilter(status=2))
    yield Way(book, "blocked", ContactFilter(blocked=True))
    yield Way(book, "groups", ContactFilter(type=2))
    oldest = datetime.now(UTC) - timedelta(seconds=book.size * 0.99)
    yield Way(book, "created first", ContactFilter(created_to=oldest))
    yield Way(book, "audience", public_id=book.audience)
    yield Way(book, "audience and search", ContactFilter(search="f0f"), public_id=book.audience)


async def _by_turns(*ways: Way) -> tuple[list[float], ...]:
    """Return the seconds of each part of each way."""
    taken: tuple[list[float], ...] = tuple([] for _ in ways)
    cursors = [""] * len(ways)
    for place in range(2 * PARTS):
        for turn, way in enumerate(ways):
            begun = time.perf_counter()
            _, following = await queries.scroll_contacts(
                way.book.user_id, way.query, way.wanted, way.public_id, cursors[turn]
            )
            # The first of them find nothing in memory, nor a plan for their statement.
            if place >= PARTS:
                taken[turn].append(time.perf_counter() - begun)
            cursors[turn] = following or ""
    return taken


def _late(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.95) - 1] * 1000


async def make_contacts(size: int) -> tuple[int, int, int]:
    """Write a tenant with contacts; return the tenant and the labels of few and of many."""
    user_id = await _id(
        "INSERT INTO users (email, name, password) VALUES ($1, 'Bench', '') RETURNING id",
        f"{secrets.token_hex(8)}@example.com",
    )
    rare, common = [
        await _id("INSERT INTO labels (user_id, name) VALUES ($1, $2) RETURNING id", user_id, name)
        for name in ("rare", "common")
    ]
    await database.execute(NAMES, user_id, rare, common, size)
    return user_id, rare, common


async def _make(size: int) -> Book:
    user_id, rare, common = await make_contacts(size)
    audience = await _id("INSERT INTO publics (user_id, name, type) VALUES ($1, 'Half', 1) RETURNING id", user_id)
    await database.execute(
        "INSERT INTO public_by_contacts (public_id, contact_id) SELECT $2, id FROM contacts WHERE user_id = $1"
        " AND id % 2 = 0",
        user_id,
        audience,
    )
    return Book(user_id, size, rare, common, audience)


async def _id(statement: str, *args: object) -> int:
    return int(str(await database.fetch_value(statement, *args)))
