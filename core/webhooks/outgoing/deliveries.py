"""What was delivered to an endpoint and what was not; sent again on request; forgotten after some days."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.errors import ConflictError, NotFoundError
from core.events.catalogue import WebhookTest
from core.listing import Listing
from core.webhooks.outgoing.endpoints import lock_endpoint
from core.webhooks.outgoing.queueing import GIVE_UP_AFTER, hint, queue_for
from core.webhooks.outgoing.schemas import DeliveryRead, EndpointRead, EventRead
from core.webhooks.tables import EndpointStatus

_COLUMNS = (
    "id, endpoint_id, event_id, type, status, attempts, response_code, response_body, error, body, attempted_at,"
    " CASE WHEN status = 'pending' THEN due_at END AS next_attempt_at, finished_at, created_at"
)
# An attempt in the air is told by its lease and goes on; its answer still counts. What is pending keeps its end, or
# somebody who replays it day after day would have it tried for ever.
_REPLAY = """
UPDATE webhook_deliveries SET status = 'pending', due_at = now(),
    give_up_at = CASE WHEN status = 'pending' THEN give_up_at ELSE now() + $2::interval END,
    attempts = CASE WHEN status = 'pending' THEN attempts ELSE 0 END, error = '', finished_at = NULL, lease_until = NULL
WHERE id = $1 AND (lease_until IS NULL OR lease_until <= now())
"""


def _read(row: Mapping[str, Any]) -> DeliveryRead:
    return msgspec.convert({**row, "body": msgspec.json.decode(row["body"], type=EventRead)}, DeliveryRead)


DELIVERIES = Listing(
    kind=DeliveryRead,
    read=_read,
    columns=_COLUMNS,
    source="webhook_deliveries",
    conditions={"endpoint_id": "endpoint_id = {}", "status": "status = {}", "type": "starts_with(type, {})"},
    sorts={"id": "id", "created_at": "created_at"},
)
"""The deliveries of one endpoint."""


async def send_test(user_id: int, endpoint_id: int) -> DeliveryRead:
    """Have an endpoint told of ``webhook.test``, whatever it subscribed.

    Raises:
        NotFoundError: The tenant has no such endpoint.
        ConflictError: It is disabled.
    """
    async with database.unit_of_work():
        ensure_active(await lock_endpoint(user_id, endpoint_id))
        delivery_id = await queue_for(endpoint_id, WebhookTest(endpoint_id=endpoint_id))
        await audit.record("webhook_endpoint.tested", user_id=user_id, entity_id=endpoint_id)
        return await _get(delivery_id)


async def replay(user_id: int, endpoint_id: int, delivery_id: int) -> DeliveryRead:
    """Send a delivery once more, under the same id, now and for a day; one that waits is attempted now, in its own day.

    Raises:
        NotFoundError: The tenant has no such endpoint, or it no such delivery.
        ConflictError: The endpoint is disabled.
    """
    async with database.unit_of_work():
        ensure_active(await lock_endpoint(user_id, endpoint_id))
        found = await database.fetch_value(
            "SELECT id FROM webhook_deliveries WHERE id = $1 AND endpoint_id = $2", delivery_id, endpoint_id
        )
        if found is None:
            raise NotFoundError("delivery", delivery_id)
        await _reopen(delivery_id)
        facts = {"delivery_id": delivery_id}
        await audit.record("webhook_delivery.replayed", user_id=user_id, entity_id=endpoint_id, facts=facts)
        return await _get(delivery_id)


async def replay_for_administrator(delivery_id: int) -> None:
    """Send anybody's delivery once more, in the present unit of work.

    Raises:
        ConflictError: It is gone, or its endpoint is disabled.
    """
    row = await database.fetch_row("SELECT user_id, endpoint_id FROM webhook_deliveries WHERE id = $1", delivery_id)
    if row is None:
        raise ConflictError("The delivery is not kept any more.", code="delivery_gone")
    ensure_active(await lock_endpoint(row["user_id"], row["endpoint_id"]))
    await _reopen(delivery_id)


async def forget_deliveries(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` deliveries that were made before a moment and are over; return how many."""
    return await database.execute(
        "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE created_at < $1"
        " AND (status <> 'pending' OR give_up_at < now() - interval '1 day') ORDER BY created_at LIMIT $2)",
        before,
        limit,
    )


def ensure_active(endpoint: EndpointRead) -> None:
    """Raise ``ConflictError`` where an endpoint is disabled."""
    if endpoint.status is not EndpointStatus.ACTIVE:
        raise ConflictError("The webhook endpoint is disabled: enable it first.", code="webhook_endpoint_disabled")


async def _reopen(delivery_id: int) -> None:
    await database.execute(_REPLAY, delivery_id, GIVE_UP_AFTER)
    hint()


async def _get(delivery_id: int) -> DeliveryRead:
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM webhook_deliveries WHERE id = $1", delivery_id)
    if row is None:
        raise NotFoundError("delivery", delivery_id)
    return _read(row)
