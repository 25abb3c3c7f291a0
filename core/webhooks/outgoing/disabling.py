"""Switching an endpoint off: its open deliveries end, and its tenant is told where it was not by their own hand."""

from datetime import timedelta
from functools import partial

from core import database
from core.audit import services as audit
from core.events.catalogue import WebhookDisabled, seal
from core.live import stream
from core.notifications import outbox
from core.webhooks.outgoing import delivery_log
from core.webhooks.outgoing.schemas import DisabledReason

FAILING_FOR = timedelta(hours=23)
"""An endpoint that took nothing for so long when a delivery fails for good after 24 hours took nothing at all."""

_DISABLE = """
UPDATE webhook_endpoints e SET status = 'disabled', disabled_at = now(), disabled_reason = $2, updated_at = now()
WHERE e.id = $1 AND e.status = 'active' AND ($3::interval IS NULL OR e.failing_since <= now() - $3::interval)
RETURNING e.user_id, e.disabled_at, coalesce(e.url, (SELECT n.webhook_url FROM numbers n WHERE n.id = e.number_id)) url
"""


async def disable(endpoint_id: int, reason: DisabledReason, *, failing_for: timedelta | None = None) -> bool:
    """Switch an endpoint off in the present unit of work, if it has taken nothing ``failing_for`` so long.

    Return whether it was on until now.
    """
    row = await database.fetch_row(_DISABLE, endpoint_id, reason, failing_for)
    if row is None:
        return False
    url = row["url"] or ""
    await delivery_log.end_pending(endpoint_id, url, logged=0 if reason == "by_hand" else delivery_log.MOST_ENDED)
    if reason == "by_hand":
        return True
    event = WebhookDisabled(endpoint_id=endpoint_id, url=url, reason=reason)
    key = f"webhook_disabled:{endpoint_id}:{row['disabled_at'].isoformat()}"
    if await outbox.put("webhook_disabled", row["user_id"], key, event):
        database.after_commit(partial(stream.publish, [(row["user_id"], seal(event))]))
    await audit.record(
        "webhook_endpoint.disabled",
        user_id=None,
        account_id=row["user_id"],
        entity_id=endpoint_id,
        facts={"reason": reason},
    )
    return True
