"""Background work on subscriptions, and the handler of what gateways report."""

import dramatiq

from core import queue
from core.payments import actions, fetches, fetching, hints

HANDLERS = (hints.want_fetches,)
"""Registered by their import; a worker that imports this module applies them."""


@dramatiq.actor(actor_name=fetches.ACTOR, queue_name=queue.EVENTS, max_retries=0)
async def fetch() -> None:
    """Fetch every subscription that is due; a repeated message finds nothing due."""
    await fetching.work()


@dramatiq.actor(actor_name=actions.ACTOR, queue_name=queue.EVENTS, max_retries=0)
async def act() -> None:
    """Ask the gateways for everything that is due; a repeated message finds nothing due."""
    await actions.work()
