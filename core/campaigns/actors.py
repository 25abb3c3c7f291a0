"""Background work for campaigns. Actors take ids, leave every rule to services, and may run twice."""

import dramatiq

from core import queue
from core.campaigns import dispatching, entropy, events, freeze, lost_statuses, reconcile, reports, resolving
from core.runtime import runtime

__all__ = (
    "dispatch",
    "entropy",
    "events",
    "freeze",
    "look_for_lost_statuses",
    "reconcile_rows",
    "reports",
    "resolving",
)

NEVER_MS = 24 * 3_600_000
"""A dispatch ends by itself; the limit is only there because Dramatiq wants one."""


@dramatiq.actor(actor_name="campaigns.dispatch", queue_name=queue.DISPATCH, max_retries=0, time_limit=NEVER_MS)
async def dispatch() -> None:
    """Send what is due."""
    again = await dispatching.dispatch()
    if again and not runtime().stopping.is_set():
        await queue.send("campaigns.dispatch", queue=queue.DISPATCH)


@dramatiq.actor(actor_name="campaigns.reconcile", queue_name=queue.EVENTS, max_retries=0, time_limit=600_000)
async def reconcile_rows() -> None:
    """Look up rows in doubt until none is due."""
    while not runtime().stopping.is_set():
        if not await reconcile.reconcile_due():
            return


@dramatiq.actor(actor_name=lost_statuses.ACTOR, queue_name=queue.EVENTS, max_retries=0, time_limit=600_000)
async def look_for_lost_statuses() -> None:
    """Look up messages whose acknowledgements may have been lost; a repeated message finds nothing due."""
    await lost_statuses.poll_due()
