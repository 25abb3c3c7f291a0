"""A worker process: the broker, the plugins and every actor, in one Dramatiq worker with one event loop.

Dramatiq's own command line forks processes and ends them all when one dies; here each process stands alone, is
watched by whoever started it, and on a signal lets messages in the air come home before it ends.
"""

import asyncio
import importlib
import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dramatiq
import structlog
import uvloop
from dramatiq.asyncio import EventLoopThread, set_event_loop_thread

from core import queue
from core.campaigns.dispatching import keep_dispatching
from core.campaigns.progress import campaign_progress
from core.campaigns.restored import pause_after_restore
from core.config import PlatformConfig
from core.heartbeat import keep_beating
from core.jobs.progress import job_progress
from core.live import progress, relaying
from core.numbers.event_polling import keep_polling
from core.runtime import runtime
from core.signals import caught
from core.startup import start_process, stop_process
from core.webhooks.outgoing.delivering import keep_delivering

ACTOR_MODULES = (
    "core.jobs.actors",
    "core.contacts.actors",
    "core.numbers.actors",
    "core.media.actors",
    "core.campaigns.actors",
    "core.payments.actors",
    "core.webhooks.actors",
    "core.notifications.actors",
    "core.privacy.actors",
)
PROGRESS: Mapping[progress.Kind, progress.Reader] = {"campaign": campaign_progress, "job": job_progress}
"""Who reads where rows stand that changed."""
LANDING_SECONDS = 7.5
"""How long messages in the air may take to come home after a signal to end."""
LOOP_SECONDS = 5.0
"""How long the thread of the event loop may take to run."""

_log = structlog.get_logger(__name__)
_beats: list[asyncio.Task[None]] = []
"""What the process does beside its messages; kept, so that no task is collected."""


async def _start(config: PlatformConfig) -> None:
    await start_process(config)
    _beats.append(asyncio.create_task(keep_beating(runtime().redis, runtime().stopping)))
    # Messages left in the queue may come before the scheduler has looked at the database.
    await pause_after_restore()
    _beats.append(asyncio.create_task(keep_dispatching()))
    _beats.append(asyncio.create_task(keep_polling()))
    _beats.append(asyncio.create_task(progress.keep_telling(PROGRESS)))
    _beats.append(asyncio.create_task(relaying.keep_relaying()))
    _beats.append(asyncio.create_task(keep_delivering()))


async def _stop() -> None:
    _, unfinished = await asyncio.wait(_beats, timeout=LANDING_SECONDS)
    for task in unfinished:
        task.cancel()
    await stop_process()


def load_actors() -> None:
    """Import every module with actors or handlers, so that they register."""
    for module in ACTOR_MODULES:
        importlib.import_module(module)


def run(config: PlatformConfig) -> None:
    """Work until SIGTERM or SIGINT; raises what keeps the process from starting."""
    uvloop.install()
    broker = queue.connect_broker(config)
    load_actors()
    with caught(signal.SIGTERM, signal.SIGINT) as wait_for_signal, _event_loop() as loop:
        # Before the worker exists: Dramatiq takes messages although a middleware failed to start.
        loop.run_coroutine(_start(config))
        worker = dramatiq.Worker(broker, worker_threads=config.worker.threads, worker_timeout=200)
        worker.start()
        _log.info("worker_started", threads=config.worker.threads, send_slots=config.worker.send_slots)
        wait_for_signal()
        # Take nothing new, let what is in the air come home, then stop.
        loop.loop.call_soon_threadsafe(runtime().stopping.set)
        worker.stop(timeout=int(LANDING_SECONDS * 1000))
        loop.run_coroutine(_stop())
    _log.info("worker_stopped")


@contextmanager
def _event_loop() -> Iterator[EventLoopThread]:
    """Run the event loop on which every actor of this process works."""
    thread = EventLoopThread(logging.getLogger("dramatiq.worker"))
    thread.start(timeout=LOOP_SECONDS)
    set_event_loop_thread(thread)
    try:
        yield thread
    finally:
        set_event_loop_thread(None)
        thread.stop()  # type: ignore[no-untyped-call] # Dramatiq leaves it untyped
