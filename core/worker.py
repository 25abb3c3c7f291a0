"""A worker process: the broker, the plugins and every actor, in one Dramatiq worker with one event loop.

Dramatiq's own command line forks processes and ends them all when one dies; here each process stands alone, is
watched by whoever started it, and on a signal lets messages in the air come home before it ends.
"""

import importlib
import signal
import threading
from collections.abc import Awaitable

import dramatiq
import structlog
import uvloop
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import AsyncIO, Middleware

from core import queue
from core.campaigns.restored import pause_after_restore
from core.config import PlatformConfig
from core.runtime import runtime
from core.startup import start_process, stop_process

ACTOR_MODULES = (
    "core.jobs.actors",
    "core.contacts.actors",
    "core.numbers.actors",
    "core.campaigns.actors",
    "core.webhooks.actors",
)
LANDING_SECONDS = 7.5
"""How long messages in the air may take to come home after a signal to end."""

_log = structlog.get_logger(__name__)


class ProcessRuntime(Middleware):
    """Opens the process's pool and providers on the worker's event loop, and closes them there."""

    def __init__(self, config: PlatformConfig) -> None:
        self._config = config
        self.failure: Exception | None = None
        """Why the process could not start: Dramatiq logs what a middleware raises and goes on without it."""

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start what actors need, before the first message is taken."""
        del broker, worker
        try:
            _on_loop(self._start())
        except Exception as error:
            self.failure = error
            raise

    async def _start(self) -> None:
        await start_process(self._config)
        # Messages left in the queue may come before the scheduler has looked at the database.
        await pause_after_restore()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Close it, once no actor runs any more."""
        del broker, worker
        if self.failure is None:
            _on_loop(stop_process())


def _on_loop(coroutine: Awaitable[object]) -> None:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("the worker has no event loop yet")
    thread.run_coroutine(coroutine)


def load_actors() -> None:
    """Import every module with actors or handlers, so that they register."""
    for module in ACTOR_MODULES:
        importlib.import_module(module)


def run(config: PlatformConfig) -> None:
    """Work until SIGTERM or SIGINT; raises what kept the process from starting."""
    uvloop.install()
    broker = queue.connect_broker(config)
    # Middleware ends in reverse order, so behind AsyncIO the runtime opens after its event loop and closes before it.
    process = ProcessRuntime(config)
    broker.add_middleware(process, after=AsyncIO)
    load_actors()
    worker = dramatiq.Worker(broker, worker_threads=config.worker.threads, worker_timeout=200)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    worker.start()
    if process.failure is not None:
        worker.stop()
        raise process.failure
    _log.info("worker_started", threads=config.worker.threads, send_slots=config.worker.send_slots)
    ending.wait()
    _finish(worker)


def _finish(worker: dramatiq.Worker) -> None:
    """Take nothing new, let what is in the air come home, then stop."""
    thread = get_event_loop_thread()
    if thread is not None:
        thread.loop.call_soon_threadsafe(runtime().stopping.set)
    worker.stop(timeout=int(LANDING_SECONDS * 1000))
    _log.info("worker_stopped")
