"""Background work of the inbox."""

import dramatiq

from core import queue
from core.webhooks import applying
from core.webhooks.hints import ACTOR


@dramatiq.actor(actor_name=ACTOR, queue_name=queue.EVENTS, max_retries=3)
async def apply(line: str) -> None:
    """Apply the open events of ``line``, ``inbound`` or ``events``; a repeated message finds nothing left to do."""
    await applying.apply(line)
