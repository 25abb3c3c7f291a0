"""What the administration reads of ``webhooks_log``."""

from collections.abc import Sequence

import msgspec

from core import database
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
