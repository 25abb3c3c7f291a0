"""The dispatcher of a worker process: begun by a message, or by a look at the lanes where no message came."""

import asyncio

import structlog

from core.campaigns import lanes
from core.campaigns.dispatch import Dispatcher
from core.clock import synced_clock
from core.heartbeat import say_idle
from core.runtime import runtime

LOOK_SECONDS = 1.0

_running: Dispatcher | None = None
_log = structlog.get_logger(__name__)


async def dispatch() -> bool:
    """Send what is due; one run in each process, and whoever asks for another makes it look again.

    Returns whether the run was cut short, with more to do.
    """
    global _running  # noqa: PLW0603 - the process's one dispatcher
    if _running is not None:
        _running.nudge()
        return False
    held = runtime()
    _running = Dispatcher(held.config.worker.send_slots, held.stopping)
    try:
        return await _running.run()
    finally:
        _running = None


async def keep_dispatching() -> None:
    """Begin to send, every second, if lanes are due that nobody holds, until the process ends.

    A message goes to one process, which may be busy already; and where Redis is away there is none.
    """
    stopping = runtime().stopping
    while not stopping.is_set():
        try:
            if _running is None:
                await _look()
        except Exception:  # noqa: BLE001 - whatever failed, the next look may not
            _log.exception("dispatch_failed")
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stopping.wait()
        except TimeoutError:
            continue


async def _look() -> None:
    if await lanes.any_due((await synced_clock()).now()):
        await dispatch()
    else:
        await say_idle(runtime().redis)
