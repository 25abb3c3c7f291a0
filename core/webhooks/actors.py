"""Background work of the inbox and of outgoing webhooks."""

import dramatiq

from core import queue
from core.webhooks import applying
from core.webhooks.hints import ACTOR
from core.webhooks.outgoing import delivering, queueing

NEVER_MS = 24 * 3_600_000
"""A run of deliveries ends by itself; the limit is only there because Dramatiq wants one."""


@dramatiq.actor(actor_name=ACTOR, queue_name=queue.EVENTS, max_retries=3)
async def apply(line: str) -> None:
    """Apply the open events of ``line``, ``inbound`` or ``events``; a repeated message finds nothing left to do."""
    await applying.apply(line)


@dramatiq.actor(actor_name=queueing.ACTOR, queue_name=queue.NOTIFICATIONS, max_retries=0, time_limit=NEVER_MS)
async def deliver() -> None:
    """Deliver what endpoints are due; a process that does so already looks again."""
    await delivering.deliver_due()
