"""Background work of the notifications."""

import dramatiq

from core import queue
from core.notifications import delivering, outbox, planning


# The sweep repeats what is lost, so Dramatiq itself must not.
@dramatiq.actor(actor_name=outbox.ACTOR, queue_name=queue.NOTIFICATIONS, max_retries=0)
async def plan() -> None:
    """Plan what waits for it; a repeated message finds nothing left to do."""
    await planning.plan()


@dramatiq.actor(actor_name=planning.DELIVER, queue_name=queue.NOTIFICATIONS, max_retries=0)
async def deliver(lane: str) -> None:
    """Deliver what is due in ``lane``; a repeated message finds nothing left to do."""
    await delivering.deliver(lane)
