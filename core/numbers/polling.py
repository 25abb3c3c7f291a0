"""Asking servers now and then: webhooks of messaging servers are lost when those restart, and servers come and go."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from core import database, queue
from core.errors import PlatformError
from core.numbers import health, recovery, removing, upkeep
from core.numbers.calls import calling
from core.numbers.checks import forget_old
from core.numbers.senders import load_route
from core.numbers.states import last_event_at, write_report
from core.numbers.tokens import StateTelling
from core.plugin import SenderState

ACTOR = "numbers.sweep"
BATCH = 200
AT_ONCE = 16
CLAIMED_FOR = "2 minutes"
"""A claimed number that nobody finished, since its process died, is due again after this long."""

NUMBER_DUE = "n.poll_at <= now() AND n.removed_at IS NULL"
SERVER_DUE = """
s.deleted_at IS NULL AND (s.checked_at IS NULL
    OR s.checked_at < now() - CASE WHEN s.status THEN interval '15 minutes' ELSE interval '1 minute' END)
"""

_log = structlog.get_logger(__name__)


async def sweep() -> None:
    """Wake a worker when a server or a number is due to be asked."""
    due = await database.fetch_value(
        f"SELECT EXISTS (SELECT FROM servers s WHERE {SERVER_DUE}) OR EXISTS (SELECT FROM numbers n WHERE {NUMBER_DUE})"
    )
    if due:
        await queue.send(ACTOR, queue=queue.JOBS)


async def poll() -> int:
    """Probe the servers and ask for the numbers that are due; return how many were asked.

    Any number of processes may do this at once: what one has claimed is not due for the others.
    """
    servers = await _claim(
        "UPDATE servers SET checked_at = now() WHERE id IN (SELECT s.id FROM servers s"
        f" WHERE {SERVER_DUE} LIMIT {BATCH} FOR UPDATE SKIP LOCKED) RETURNING id"
    )
    await _each(servers, health.examine_server)
    live = await _claim(_claim_numbers(deleted=False))
    await _each(live, _poll_number)
    deleted = await _claim(_claim_numbers(deleted=True))
    await _each(deleted, removing.remove)
    if servers:
        await forget_old()
        await health.forget_old()
    return len(servers) + len(live) + len(deleted)


def _claim_numbers(*, deleted: bool) -> str:
    return (
        f"UPDATE numbers SET poll_at = now() + interval '{CLAIMED_FOR}' WHERE id IN (SELECT n.id FROM numbers n"
        f" WHERE {NUMBER_DUE} AND (n.deleted_at IS NOT NULL) = {deleted}"
        f" ORDER BY n.poll_at LIMIT {BATCH} FOR UPDATE SKIP LOCKED) RETURNING id"
    )


async def _claim(statement: str) -> list[int]:
    return [row["id"] for row in await database.fetch(statement)]


async def _poll_number(number_id: int) -> None:
    """Ask for the state; a server that does not answer leaves the number as it was, due again soon."""
    route = await load_route(number_id)
    if isinstance(route.provider, StateTelling):
        known_at = await last_event_at(number_id)
        async with calling(route.provider.name, "asking for a number's state"):
            report = await route.provider.state(route.sender)
        await write_report(number_id, report, known_at)
        await recovery.recover_if_failed(number_id, report)
        if report.state is SenderState.CONNECTED:
            await upkeep.repair_if_due(number_id)


async def _each(ids: list[int], work: Callable[[int], Awaitable[object]]) -> None:
    """Run ``work`` for every id, some at once; one that fails does not keep the others from their turn."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(identifier: int) -> None:
        async with free:
            try:
                await work(identifier)
            except (PlatformError, LookupError) as error:
                _log.info("poll_failed", id=identifier, reason=str(error))

    async with asyncio.TaskGroup() as group:
        for identifier in ids:
            group.create_task(one(identifier))
