"""Periodic work: sweeps, due schedules, completion; any number may run, one leads at a time.

The leader holds an advisory lock of PostgreSQL on a connection of its own. When it dies, so does the connection,
and the next one takes over within a second.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import asyncpg
import structlog
import uvloop

from core import database, retention
from core.accounts import lockouts, one_time, sessions
from core.campaigns import restored, sweep, watching
from core.campaigns import scheduling as campaigns
from core.clock import DatabaseClock
from core.config import PlatformConfig
from core.contacts import bulk, sync
from core.contacts.importing import undo as import_undo
from core.contacts.importing import upload_files
from core.idempotency import services as idempotency
from core.jobs import leasing
from core.notifications import notifier_states
from core.notifications import sweeping as notifications
from core.numbers import polling, seeding
from core.payments import actions, checkouts, fetches, sweeping
from core.privacy import exports
from core.runtime import runtime
from core.startup import running_process
from core.watch import Watch
from core.webhooks import services as webhooks
from core.worker import load_actors

LOCK_KEY = 0x72636473
"""Advisory lock: "rcds" in ASCII."""
ROUND_SECONDS = 1.0
LEAD_SECONDS = 1.0

Task = Callable[[datetime], Awaitable[object]]

EVERY_ROUND: tuple[Task, ...] = (
    lambda _: leasing.sweep(),
    campaigns.start_due,
    sweep.sweep,
    lambda _: webhooks.sweep(),
    lambda _: polling.sweep(),
    lambda _: fetches.sweep(),
    lambda _: actions.sweep(),
    lambda _: notifications.sweep(),
)
_machine = Watch()
EVERY_MINUTE: tuple[Task, ...] = (watching.watch, retention.sweep, sweeping.sweep, checkouts.sweep, _machine.look)
NOW_AND_THEN: tuple[Task, ...] = (
    lambda _: idempotency.clean_up(),
    lambda _: sessions.clean_up(),
    lambda _: one_time.clean_up(),
    lambda _: lockouts.clean_up(),
    upload_files.clean_up,
    import_undo.clean_up,
    lambda _: sync.clean_up(),
    lambda _: bulk.clean_up(),
    exports.clean_up,
    fetches.reconcile,
)
PERIODS: tuple[tuple[timedelta, Sequence[Task]], ...] = (
    (timedelta(0), EVERY_ROUND),
    (timedelta(minutes=1), EVERY_MINUTE),
    (timedelta(minutes=10), NOW_AND_THEN),
)
"""How often each group of tasks has its turn; all of them at once when a process begins to lead."""

_log = structlog.get_logger(__name__)


def run(config: PlatformConfig) -> None:
    """Lead, or wait to lead, until SIGTERM or SIGINT."""
    uvloop.run(_run(config))


async def _run(config: PlatformConfig) -> None:
    async with running_process(config) as held:
        load_actors()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, held.stopping.set)
        while not held.stopping.is_set():
            try:
                await _lead(config)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                _log.exception("scheduler_lost_database")
            await _pause(LEAD_SECONDS)
        await _machine.finish()


async def _lead(config: PlatformConfig) -> None:
    """Do the rounds for as long as this process holds the lock."""
    if config.database.url is None:
        raise database.DatabaseNotConfiguredError
    connection = await asyncpg.connect(config.database.url.reveal())
    try:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
            return
        _log.info("scheduler_leads")
        await restored.pause_after_restore()
        await seeding.seed_servers()
        await notifier_states.resume_all()
        clock = DatabaseClock()
        last: dict[timedelta, datetime] = {}
        while not runtime().stopping.is_set():
            await connection.execute("SELECT 1")
            await clock.sync()
            now = clock.now()
            for period, tasks in PERIODS:
                if period not in last or now - last[period] >= period:
                    last[period] = now
                    await _run_all(tasks, now)
            await _pause(ROUND_SECONDS)
    finally:
        await connection.close()


async def _run_all(tasks: Sequence[Task], now: datetime) -> None:
    """Run every task once; one that fails does not keep the others from running."""
    for task in tasks:
        try:
            await task(now)
        except Exception:  # noqa: BLE001 - a round goes on whatever one task raises
            _log.exception("sweep_failed")


async def _pause(seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await runtime().stopping.wait()
    except TimeoutError:
        return
