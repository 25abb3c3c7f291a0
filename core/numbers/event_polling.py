"""Asking services for the events of numbers where they call no webhook: one process at a time for each number.

It runs as a task of every worker process, beside its messages. A long poll inside an actor would hold one of the few
threads that dispatch and jobs need, would end with the queue's time limit, and would be forgotten with a flushed Redis;
in the scheduler it would share one process with the sweeps. Here PostgreSQL alone says who asks: each number has a row
in ``event_cursors``, leased to a process that renews all of its leases with one statement a second. A process that
dies renews none, and another goes on from the stored cursor once they are over.

What a poll gave goes into the webhook inbox in the transaction that moves the cursor, and only while the process still
holds the number. So nothing is lost where a process dies in between, and nothing counts twice where two of them took
the number for theirs.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import structlog

from core import database
from core.jobs.leasing import holder_name
from core.numbers.senders import mark_stopped, senders
from core.plugin import EventPolling, MisconfiguredError, Polled, ProviderError, RefusedError, UnavailableError
from core.runtime import providers, runtime
from core.webhooks.services import announce_events, store_events

WAIT_SECONDS = 25.0
"""How long a service may wait for something to happen; proxies cut connections that are silent for a minute."""
ANSWER_SECONDS = 15.0
"""How much later than that a poll counts as unanswered."""
LOOK_SECONDS = 1.0
LEASE = timedelta(seconds=10)
"""Longer than a look that waits for the database; after it another process takes the numbers of a dead one."""
MAX_NUMBERS = 1000
"""Numbers that one process asks for; each holds a connection of its provider."""
TAKEN_AT_ONCE = 100
"""Numbers taken with one look, so that processes which start together share them."""
SHORTEST_SECONDS = 1.0
"""From one poll to the next where the service did not wait although nothing happened."""
LONGEST_BACK_OFF_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 600.0
"""What a service that asks to be spared is granted."""

_WANTED = (
    "n.deleted_at IS NULL AND n.connection = 'connected'"
    " AND s.provider = ANY($1::text[]) AND s.capabilities ->> 'inbound' = 'poll'"
)
_OPEN = f"""
INSERT INTO event_cursors (number_id, cursor, updated_at)
SELECT n.id, '', now() FROM numbers n JOIN servers s ON s.id = n.server_id
WHERE {_WANTED} AND NOT EXISTS (SELECT FROM event_cursors c WHERE c.number_id = n.id)
ON CONFLICT (number_id) DO NOTHING
"""
_RENEW = f"""
UPDATE event_cursors c SET lease_until = now() + $3::interval
FROM numbers n JOIN servers s ON s.id = n.server_id
WHERE c.holder = $2 AND n.id = c.number_id AND {_WANTED} RETURNING c.number_id, c.cursor
"""
_TAKE = f"""
UPDATE event_cursors SET holder = $2, lease_until = now() + $3::interval WHERE number_id IN (
    SELECT c.number_id FROM event_cursors c JOIN numbers n ON n.id = c.number_id JOIN servers s ON s.id = n.server_id
    WHERE {_WANTED} AND (c.holder IS NULL OR c.lease_until < now()) LIMIT $4 FOR UPDATE OF c SKIP LOCKED)
RETURNING number_id, cursor
"""
_RELEASE = """
UPDATE event_cursors SET holder = NULL, lease_until = NULL WHERE holder = $1 AND NOT number_id = ANY($2::bigint[])
"""
_MOVE = "UPDATE event_cursors SET cursor = $3, updated_at = now() WHERE number_id = $1 AND holder = $2 AND cursor = $4"

_log = structlog.get_logger(__name__)


class _LeaseLostError(Exception):
    """Another process asks for the number now, or its cursor begins anew."""


class EventPoller:
    """The polls of one process."""

    def __init__(self) -> None:
        self._holder = holder_name()
        self._polls: dict[int, asyncio.Task[None]] = {}

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers that this process asks for."""
        return frozenset(self._polls)

    async def look(self) -> None:
        """Renew the leases, take numbers that nobody asks for, and let go of those that are no longer to be asked for.

        Call it every ``LOOK_SECONDS``.
        """
        names = [name for name, found in providers().messaging_by_name.items() if isinstance(found, EventPolling)]
        if not names and not self._polls:
            return
        await database.execute(_OPEN, names)
        held = await self._renew(names)
        lost = [number_id for number_id in self._polls if number_id not in held]
        await self._end(lost)
        if lost:
            await database.execute(_RELEASE, self._holder, list(held))
        for number_id, cursor in held.items():
            if number_id not in self._polls or self._polls[number_id].done():
                self._polls[number_id] = asyncio.create_task(self._keep_polling(number_id, cursor))

    async def close(self) -> None:
        """End every poll and leave the numbers to other processes."""
        await self._end(list(self._polls))
        await database.execute(_RELEASE, self._holder, [])

    async def _renew(self, names: Sequence[str]) -> Mapping[int, str]:
        """Return the cursors of all numbers that this process holds from now on."""
        rows = list(await database.fetch(_RENEW, names, self._holder, LEASE))
        room = min(MAX_NUMBERS - len(rows), TAKEN_AT_ONCE)
        if room > 0:
            rows += await database.fetch(_TAKE, names, self._holder, LEASE, room)
        return {row["number_id"]: row["cursor"] for row in rows}

    async def _end(self, number_ids: Sequence[int]) -> None:
        ended = [self._polls.pop(number_id) for number_id in number_ids]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    async def _keep_polling(self, number_id: int, cursor: str) -> None:
        """Ask again and again, until the task is cancelled or the number belongs to somebody else."""
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                polled = await self._poll(number_id, cursor)
            except _LeaseLostError:
                return
            except Exception as error:  # noqa: BLE001 - a plugin may raise anything, and the database may be away
                failures += 1
                await _tell_failure(number_id, error, failures)
                await asyncio.sleep(_back_off(error, failures))
                continue
            failures = 0
            if polled == cursor:
                await asyncio.sleep(max(0.0, SHORTEST_SECONDS - (time.monotonic() - begun)))
            cursor = polled

    async def _poll(self, number_id: int, cursor: str) -> str:
        """Ask once, store what happened and return the cursor that follows."""
        route = (await senders([number_id])).get(number_id)
        if route is None or not isinstance(route.provider, EventPolling):
            raise MisconfiguredError("The number has no route: see the log for what its server lacks.")
        async with asyncio.timeout(WAIT_SECONDS + ANSWER_SECONDS):
            polled = await route.provider.poll(route.sender, cursor, wait_seconds=WAIT_SECONDS)
        if polled.events or polled.cursor != cursor:
            await self._store(route.provider.name, number_id, cursor, polled)
        return polled.cursor

    async def _store(self, plugin: str, number_id: int, cursor: str, polled: Polled) -> None:
        async with database.unit_of_work():
            if not await database.execute(_MOVE, number_id, self._holder, polled.cursor, cursor):
                raise _LeaseLostError
            kinds = await store_events(plugin, number_id, polled.events)
        announce_events(kinds)


async def keep_polling() -> None:
    """Ask for the events of numbers until the process ends; whatever fails is tried again."""
    stopping = runtime().stopping
    poller = EventPoller()
    try:
        while not stopping.is_set():
            try:
                await poller.look()
            except Exception:  # noqa: BLE001 - whatever failed, the next look may not
                _log.exception("event_polling_failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await stopping.wait()
    finally:
        await poller.close()


async def forget_cursor(number_id: int) -> None:
    """Begin anew with a number that another service or nobody is asked for from now on."""
    await database.execute("DELETE FROM event_cursors WHERE number_id = $1", number_id)


async def _tell_failure(number_id: int, error: Exception, failures: int) -> None:
    """Log why a poll failed; what only a person can mend stops the number, whose state is asked for a minute later."""
    expected = isinstance(error, ProviderError | TimeoutError)
    reason = str(error) if isinstance(error, ProviderError) else type(error).__name__
    _log.warning("event_poll_failed", number_id=number_id, reason=reason, failures=failures, exc_info=not expected)
    if isinstance(error, MisconfiguredError | RefusedError):
        try:
            await mark_stopped(number_id, error.code, until=None, scope="sender")
        except Exception:  # noqa: BLE001 - the next poll fails as this one, and marks it then
            _log.exception("number_not_marked", number_id=number_id)


def _back_off(error: Exception, failures: int) -> float:
    """Return the seconds until the next try: twice as many with each failure, of which chance takes up to a half."""
    usual = min(LONGEST_BACK_OFF_SECONDS, 2.0 ** min(failures, 10)) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
    asked = error.retry_after if isinstance(error, UnavailableError) and error.retry_after else 0.0
    return max(usual, min(asked, LONGEST_PAUSE_SECONDS))
