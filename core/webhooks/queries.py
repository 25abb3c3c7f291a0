"""What the administration reads of ``webhooks_log``."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.errors import ConflictError, NotFoundError
from core.listing import Listing
from core.webhooks.outgoing import deliveries
from core.webhooks.outgoing.delivery_log import OUTGOING
from core.webhooks.schemas import WebhookLogRead


def _read(row: Mapping[str, Any]) -> WebhookLogRead:
    return msgspec.convert({**row, "payload": msgspec.json.decode(row["payload"])}, WebhookLogRead)


WEBHOOKS_LOG = Listing(
    kind=WebhookLogRead,
    read=_read,
    columns="id, type, url, payload, response_code, response_body, created_at",
    source="webhooks_log",
    conditions={
        "type": "starts_with(type, {})",
        "response_code": "response_code = {}",
        "number_id": "payload @> jsonb_build_object('number_id', {}::bigint)",
        "since": "created_at >= {}",
        "until": "created_at < {}",
        "search": "strpos(lower(type || ' ' || payload::text || ' ' || response_body), lower({})) > 0",
    },
    sorts={"id": "id", "created_at": "created_at", "type": "type", "response_code": "response_code"},
)
"""The log of deliveries."""


async def replay(actor_id: int, entry_id: int) -> None:
    """Apply an event once more that was given up, or send one to its endpoint once more.

    What a service delivered and was refused, or was applied, cannot be repeated: nobody vouches for it, or it is done.

    Raises:
        NotFoundError: There is no such entry.
        ConflictError: It is neither, or it is gone, or its endpoint is disabled.
    """
    async with database.unit_of_work():
        row = await database.fetch_row("SELECT type, payload FROM webhooks_log WHERE id = $1", entry_id)
        if row is None:
            raise NotFoundError("entry", entry_id)
        payload = msgspec.json.decode(row["payload"])
        if row["type"].startswith(f"{OUTGOING}:"):
            delivery_id = payload["delivery_id"]
            await deliveries.replay_for_administrator(delivery_id)
            facts = {"entry_id": entry_id, "delivery_id": delivery_id}
            await audit.record("webhook.replayed", user_id=actor_id, account_id=payload["user_id"], facts=facts)
            return
        event_id = payload.get("event_id") if isinstance(payload, dict) else None
        reopened = event_id is not None and await database.execute(
            "UPDATE webhook_events SET applied_at = NULL, attempts = 0, due_at = now()"
            " WHERE id = $1 AND event <> '{}'::jsonb",
            event_id,
        )
        if not reopened:
            raise ConflictError("Only an event that was given up can be applied again.", code="not_replayable")
        await audit.record("webhook.replayed", user_id=actor_id, facts={"entry_id": entry_id, "event_id": event_id})
