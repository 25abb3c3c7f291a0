"""Background work on servers and numbers, and the handlers of their events."""

import dramatiq

from core import queue
from core.numbers import events, polling

HANDLERS = (events.apply_statuses, events.apply_identities)
"""Registered by their import; a worker that imports this module applies them."""


@dramatiq.actor(actor_name=polling.ACTOR, queue_name=queue.JOBS, max_retries=0)
async def sweep() -> None:
    """Ask the servers and for the numbers that are due; a repeated message finds nothing due."""
    await polling.poll()
