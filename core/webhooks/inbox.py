"""The durable end of a webhook: events are committed before they are answered, many deliveries in one statement."""

import asyncio
import contextvars
import hashlib
from collections.abc import Sequence

import asyncpg
import msgspec
import structlog

from core import database
from core.plugin import AnyEvent, GatewayHint

KEY_LENGTH = 160
MAXIMUM_ROWS = 500

_STORE = """
INSERT INTO webhook_events (plugin, number_id, dedupe_key, kind, event, received_at, due_at)
SELECT r.plugin, r.number_id, r.dedupe_key, r.kind, r.event::jsonb, now(), now()
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[])
    AS r(plugin, number_id, dedupe_key, kind, event)
ON CONFLICT (number_id, dedupe_key) DO NOTHING
"""

_log = structlog.get_logger(__name__)


class EventRow(msgspec.Struct, frozen=True, order=True):
    """One event on its way into ``webhook_events``."""

    number_id: int
    dedupe_key: str
    plugin: str
    kind: str
    event: str


class Inbox:
    """Stores events; while one statement is on its way, the deliveries that arrive meanwhile gather for the next."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Sequence[EventRow], asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def store(self, rows: Sequence[EventRow]) -> bool:
        """Return once ``rows`` are committed; raises what the database raises, then nothing of them is stored.

        False says that all of them, and of their neighbours, were there already: nobody has to be told.
        """
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((rows, stored))
        if self._writer is None or self._writer.done():
            # A context of its own: the writer outlives the request whose unit of work or log fields it would inherit.
            self._writer = loop.create_task(self._write(), context=contextvars.Context())
        return await stored

    async def _write(self) -> None:
        while self._waiting:
            taken = self._take()
            try:
                new = await insert([row for rows, _ in taken for row in rows])
            except Exception as error:  # noqa: BLE001 - every delivery gets its own answer
                await self._write_singly(taken, error)
            else:
                for _, stored in taken:
                    _settle(stored, new=new > 0)

    def _take(self) -> list[tuple[Sequence[EventRow], asyncio.Future[bool]]]:
        """Take the oldest deliveries, at least one, up to ``MAXIMUM_ROWS`` events."""
        count = 0
        for position, (rows, _) in enumerate(self._waiting, start=1):
            count += len(rows)
            if count >= MAXIMUM_ROWS:
                taken, self._waiting = self._waiting[:position], self._waiting[position:]
                return taken
        taken, self._waiting = self._waiting, []
        return taken

    async def _write_singly(
        self, taken: Sequence[tuple[Sequence[EventRow], asyncio.Future[bool]]], error: Exception
    ) -> None:
        """Keep one delivery that the database refuses from failing its neighbours."""
        alone = len(taken) == 1 or not isinstance(error, asyncpg.DataError)
        for rows, stored in taken:
            if alone:
                _settle(stored, error)
                continue
            try:
                new = await insert(rows)
            except Exception as own:  # noqa: BLE001 - every delivery gets its own answer
                _settle(stored, own)
            else:
                _settle(stored, new=new > 0)


def _settle(stored: asyncio.Future[bool], error: Exception | None = None, *, new: bool = False) -> None:
    if stored.done():
        return
    if error is None:
        stored.set_result(new)
    else:
        stored.set_exception(error)


async def insert(rows: Sequence[EventRow]) -> int:
    """Insert what is new with one statement and return how many rows that were.

    Sorted by the unique key, so that two processes with the same deliveries wait for each other and never in a ring.
    """
    ordered = sorted(rows)
    return await database.execute(
        _STORE,
        [row.plugin for row in ordered],
        [row.number_id for row in ordered],
        [row.dedupe_key for row in ordered],
        [row.kind for row in ordered],
        [row.event for row in ordered],
    )


def build_row(plugin: str, number_id: int, event: AnyEvent | GatewayHint) -> EventRow:
    """Put an event into the form PostgreSQL can hold: no NUL, no lone surrogates, a key of bounded length."""
    try:
        encoded = msgspec.json.encode(event).decode()
    except UnicodeEncodeError:
        encoded = _encode_clean(event)
    if "\\u0000" in encoded:
        encoded = _encode_clean(event)
    return EventRow(
        number_id=number_id,
        dedupe_key=_bounded(_clean_text(event.dedupe_key)),
        plugin=plugin,
        kind=kind_of(event),
        event=encoded,
    )


def kind_of(event: AnyEvent | GatewayHint) -> str:
    """Return the event's tag, by which handlers are found."""
    return str(type(event).__struct_config__.tag)


def _bounded(key: str) -> str:
    return key if len(key) <= KEY_LENGTH else hashlib.sha256(key.encode()).hexdigest()


def _encode_clean(event: AnyEvent | GatewayHint) -> str:
    return database.encode_json(_clean(msgspec.to_builtins(event)))


def _clean(value: object) -> object:
    match value:
        case str():
            return _clean_text(value)
        case dict():
            return {_clean_text(str(key)): _clean(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_clean(inner) for inner in value]
    return value


def _clean_text(value: str) -> str:
    return value.encode("utf-8", "replace").decode().replace("\0", "")
