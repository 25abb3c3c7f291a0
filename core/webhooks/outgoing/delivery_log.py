"""What the administration sees of outgoing webhooks in ``webhooks_log``: what failed for good, the rest on request."""

from core.webhooks.log import switch, write_entry
from core.webhooks.outgoing.claims import Outcome, Recorded

OUTGOING = "outgoing"
"""Begins the type of an entry; the event's follows."""


async def write_delivered(delivery: Recorded, url: str, outcome: Outcome) -> None:
    """Keep that an endpoint took an event, where the setting asks for that."""
    if await switch.is_on():
        await _write(delivery, url, outcome)


async def write_undelivered(delivery: Recorded, url: str, outcome: Outcome) -> None:
    """Keep that an endpoint could not be told of an event for as long as that was tried."""
    await _write(delivery, url, outcome)


async def _write(delivery: Recorded, url: str, outcome: Outcome) -> None:
    # What the event says stays with the delivery, which goes with whom it is about.
    content = {
        "user_id": delivery.user_id,
        "endpoint_id": delivery.endpoint_id,
        "delivery_id": delivery.id,
        "event": delivery.event_id,
        "attempts": delivery.attempts,
        "error": outcome.error,
    }
    # What stands behind the question mark may be a tenant's secret.
    await write_entry(f"{OUTGOING}:{delivery.type}", url.partition("?")[0], content, outcome.status, outcome.body)
