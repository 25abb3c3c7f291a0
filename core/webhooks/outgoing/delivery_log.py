"""What the administration sees of outgoing webhooks in ``webhooks_log``: what failed for good, the rest on request."""

from core import database
from core.webhooks.log import switch, write_entry
from core.webhooks.outgoing.claims import Outcome, Recorded

OUTGOING = "outgoing"
"""Begins the type of an entry; the event's follows."""
MOST_ENDED = 1_000
"""Entries of what waited for an endpoint when it was switched off: a hundred thousand may, and would hide the rest."""

_END = """
WITH ended AS (
    UPDATE webhook_deliveries SET status = 'failed', error = 'endpoint_disabled', finished_at = now(),
        lease_until = NULL
    WHERE endpoint_id = $1 AND status = 'pending' RETURNING id, user_id, event_id, type, attempts, error
)
INSERT INTO webhooks_log (created_at, type, url, payload, response_body)
SELECT now(), left($3 || ':' || type, 60), $2, jsonb_build_object('user_id', user_id, 'endpoint_id', $1,
    'delivery_id', id, 'event', event_id, 'attempts', attempts, 'error', error), '' FROM ended ORDER BY id LIMIT $4
"""


async def write_delivered(delivery: Recorded, url: str, outcome: Outcome) -> None:
    """Keep that an endpoint took an event, where the setting asks for that."""
    if await switch.is_on():
        await _write(delivery, url, outcome)


async def write_undelivered(delivery: Recorded, url: str, outcome: Outcome) -> None:
    """Keep that an endpoint could not be told of an event for as long as that was tried."""
    await _write(delivery, url, outcome)


async def end_pending(endpoint_id: int, url: str, *, logged: int) -> None:
    """Let all that waits for an endpoint fail for good, and keep that of the first ``logged`` events."""
    await database.execute(_END, endpoint_id, _shown(url), OUTGOING, logged)


def _shown(url: str) -> str:
    # What stands behind the question mark may be a tenant's secret.
    return url.partition("?")[0]


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
    await write_entry(f"{OUTGOING}:{delivery.type}", _shown(url), content, outcome.status, outcome.body)
