"""What the administration reads of ``webhooks_log``."""

from collections.abc import Sequence

import msgspec

from core import database
from core.audit import services as audit
from core.errors import ConflictError, NotFoundError
from core.pagination import PageQuery
from core.webhooks.schemas import WebhookLogRead

_FILTER = "($1::text IS NULL OR starts_with(type, $1)) AND ($2::int IS NULL OR response_code = $2)"
_SORTS = {"id": "id", "created_at": "created_at", "type": "type"}


async def list_log(query: PageQuery, response_code: int | None) -> tuple[Sequence[WebhookLogRead], int]:
    """Return one page of the log and how many entries fit; ``search`` looks at the start of the type."""
    order = query.order_by(_SORTS, "-id")
    rows = await database.fetch(
        "SELECT id, type, url, payload, response_code, response_body, created_at, count(*) OVER () AS total"
        f" FROM webhooks_log WHERE {_FILTER}"
        f" ORDER BY {order} LIMIT $3 OFFSET $4",
        query.search,
        response_code,
        query.limit,
        query.offset,
    )
    total = rows[0]["total"] if rows else await _count(query, response_code)
    return [_read(dict(row)) for row in rows], total


async def replay(actor_id: int, entry_id: int) -> None:
    """Apply an event once more that was given up after every attempt.

    What a service delivered and was refused, or was applied, cannot be repeated: nobody vouches for it, or it is done.

    Raises:
        NotFoundError: There is no such entry.
        ConflictError: It is no event that was given up, or it is gone.
    """
    async with database.unit_of_work():
        row = await database.fetch_row("SELECT payload FROM webhooks_log WHERE id = $1", entry_id)
        if row is None:
            raise NotFoundError("entry", entry_id)
        payload = msgspec.json.decode(row["payload"])
        event_id = payload.get("event_id") if isinstance(payload, dict) else None
        reopened = event_id is not None and await database.execute(
            "UPDATE webhook_events SET applied_at = NULL, attempts = 0, due_at = now()"
            " WHERE id = $1 AND event <> '{}'::jsonb",
            event_id,
        )
        if not reopened:
            raise ConflictError("Only an event that was given up can be applied again.", code="not_replayable")
        await audit.record("webhook.replayed", user_id=actor_id, facts={"entry_id": entry_id, "event_id": event_id})


async def _count(query: PageQuery, response_code: int | None) -> int:
    total = await database.fetch_value(
        f"SELECT count(*) FROM webhooks_log WHERE {_FILTER}",
        query.search,
        response_code,
    )
    return int(str(total))


def _read(row: dict[str, object]) -> WebhookLogRead:
    row.pop("total")
    row["payload"] = msgspec.json.decode(str(row["payload"]))
    return msgspec.convert(row, WebhookLogRead)
