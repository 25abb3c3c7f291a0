"""Background work for campaigns. Actors take ids, leave every rule to services, and may run twice."""

import dramatiq
import structlog

from core import queue
from core.campaigns import entropy, events, freeze, reconcile, resolving
from core.campaigns.dispatch import Dispatcher
from core.runtime import runtime

__all__ = ("dispatch", "entropy", "events", "freeze", "reconcile_rows", "resolving")

NEVER_MS = 24 * 3_600_000
"""A dispatch ends by itself; the limit is only there because Dramatiq wants one."""

_running: Dispatcher | None = None
_log = structlog.get_logger(__name__)


@dramatiq.actor(actor_name="campaigns.dispatch", queue_name=queue.DISPATCH, max_retries=0, time_limit=NEVER_MS)
async def dispatch() -> None:
    """Send what is due; one run in each process, further messages only make it look again."""
    global _running  # noqa: PLW0603 - the process's one dispatcher
    if _running is not None:
        _running.nudge()
        return
    held = runtime()
    _running = Dispatcher(held.config.worker.send_slots, held.stopping)
    try:
        again = await _running.run()
    finally:
        _running = None
    if again and not held.stopping.is_set():
        await queue.send("campaigns.dispatch", queue=queue.DISPATCH)


@dramatiq.actor(actor_name="campaigns.reconcile", queue_name=queue.EVENTS, max_retries=0, time_limit=600_000)
async def reconcile_rows() -> None:
    """Look up rows in doubt until none is due."""
    while not runtime().stopping.is_set():
        if not await reconcile.reconcile_due():
            return
