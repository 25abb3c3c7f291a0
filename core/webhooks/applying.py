"""Open events meet their handlers, batch by batch, each batch in one unit of work with its marks."""

from collections.abc import Collection, Sequence

import asyncpg
import msgspec
import structlog

from core import database
from core.plugin import AnyEvent, GatewayHint
from core.runtime import runtime
from core.webhooks import log
from core.webhooks.handlers import StoredEvent, handlers_of
from core.webhooks.hints import INBOUND

BATCH = 500
MAXIMUM_ATTEMPTS = 8
OPEN_FOR = "24 hours"
"""How long an event that matches nothing yet is kept open."""

_CLAIM = """
SELECT id, plugin, number_id, kind, event, received_at, attempts FROM webhook_events
WHERE applied_at IS NULL AND kind {condition} 'message_in' AND due_at <= now()
ORDER BY due_at, id LIMIT {limit} FOR UPDATE SKIP LOCKED
"""
_FINISH = """
UPDATE webhook_events SET
    applied_at = CASE WHEN id = ANY($1::bigint[]) OR received_at < now() - interval '{open_for}' THEN now() END,
    event = CASE WHEN id = ANY($1::bigint[]) THEN '{{}}'::jsonb ELSE event END,
    due_at = now() + least(greatest((now() - received_at) / 2, interval '1 second'), interval '1 hour')
WHERE id = ANY($2::bigint[])
"""
_decoder = msgspec.json.Decoder[AnyEvent | GatewayHint](AnyEvent | GatewayHint)
_log = structlog.get_logger(__name__)
_busy: dict[str, bool] = {}


async def apply(line: str) -> None:
    """Apply every event of ``line`` that is due; while this process is at it already, that run looks once more.

    ``line`` is ``inbound`` for what people wrote and ``events`` for the rest.
    """
    if line in _busy:
        _busy[line] = True
        return
    _busy[line] = True
    try:
        while _busy[line] and not runtime().stopping.is_set():
            _busy[line] = False
            while await apply_batch(line) and not runtime().stopping.is_set():
                pass
    finally:
        del _busy[line]


async def apply_batch(line: str, *, limit: int = BATCH) -> int:
    """Apply the oldest due events and return how many were taken.

    A batch whose handler fails is rolled back and its events are taken one by one, so that only those at fault wait.
    """
    try:
        return await _apply_some(line, limit)
    except Exception:  # noqa: BLE001 - a handler may raise anything
        _log.exception("webhook_batch_failed", line=line)
    taken = 0
    for _ in range(limit):
        done = await _apply_one(line)
        taken += done
        if not done:
            break
    return taken


async def _apply_some(line: str, limit: int) -> int:
    async with database.unit_of_work():
        rows = await _claim(line, limit)
        if rows:
            done = await _handle(rows)
            await _finish(rows, done)
        return len(rows)


async def _apply_one(line: str) -> int:
    """Apply one event; a failure costs it an attempt, the last of them closes it."""
    failed: asyncpg.Record | None = None
    try:
        async with database.unit_of_work():
            rows = await _claim(line, 1)
            failed = rows[0] if rows else None
            if rows:
                await _finish(rows, await _handle(rows))
            return len(rows)
    except Exception:
        if failed is None:
            raise
        await _count_failure(failed)
        return 1


async def _claim(line: str, limit: int) -> Sequence[asyncpg.Record]:
    return await database.fetch(_CLAIM.format(condition="=" if line == INBOUND else "<>", limit=limit))


async def _handle(rows: Sequence[asyncpg.Record]) -> Collection[int]:
    """Hand the events to their handlers, kind by kind; return the ids that every handler is done with."""
    done: set[int] = set()
    by_kind: dict[str, list[asyncpg.Record]] = {}
    for row in sorted(rows, key=lambda row: row["id"]):
        by_kind.setdefault(row["kind"], []).append(row)
    for kind, group in by_kind.items():
        events = [_decode(row) for row in group]
        finished = {event.id for event in events}
        for handler in handlers_of(kind):
            finished &= set(await handler(events))
        done |= finished
    return done


def _decode(row: asyncpg.Record) -> StoredEvent:
    return StoredEvent(
        id=row["id"],
        plugin=row["plugin"],
        number_id=row["number_id"],
        received_at=row["received_at"],
        event=_decoder.decode(row["event"]),
    )


async def _finish(rows: Sequence[asyncpg.Record], done: Collection[int]) -> None:
    """Close what is done, emptied of its content, and set when the rest is looked at again."""
    await database.execute(_FINISH.format(open_for=OPEN_FOR), list(done), [row["id"] for row in rows])


async def _count_failure(row: asyncpg.Record) -> None:
    attempts = row["attempts"] + 1
    given_up = attempts >= MAXIMUM_ATTEMPTS
    _log.exception("webhook_event_failed", event_id=row["id"], kind=row["kind"], attempts=attempts, given_up=given_up)
    await database.execute(
        "UPDATE webhook_events SET attempts = $2::int, applied_at = CASE WHEN $3 THEN now() END,"
        " due_at = now() + make_interval(secs => least(2 ^ $2::int, 600)) WHERE id = $1 AND applied_at IS NULL",
        row["id"],
        attempts,
        given_up,
    )
    if given_up:
        await log.write_given_up(row["plugin"], row["number_id"], row["kind"], row["id"])
