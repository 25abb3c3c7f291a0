"""The deliverer of a worker process: begun by a message, or by a look each second where no message came."""

import asyncio

import structlog

from core import database
from core.runtime import runtime
from core.webhooks.outgoing import claims, delivery_log, sending
from core.webhooks.outgoing.claims import Claimed, Outcome
from core.webhooks.outgoing.disabling import FAILING_FOR, disable

SLOTS = 128
"""Attempts that one process has in the air."""
LOOK_SECONDS = 1.0
GATHER_SECONDS = 0.01
"""Attempts that come home within so short a time make one look."""
LANDING_SECONDS = 5.0
"""How long attempts in the air may take to come home when the process ends; the leases of others run out."""
GONE = 410

_LOCK = "SELECT 1 FROM webhook_endpoints WHERE id = $1 FOR NO KEY UPDATE"
_ADDRESS = """
SELECT coalesce(e.url, n.webhook_url, '') FROM webhook_endpoints e LEFT JOIN numbers n ON n.id = e.number_id
WHERE e.id = $1
"""
_FAILING = "UPDATE webhook_endpoints SET failing_since = now() WHERE id = $1 AND failing_since IS NULL"
_WORKING = """
UPDATE webhook_endpoints e SET failing_since = NULL WHERE e.id = $1 AND e.failing_since IS NOT NULL
    AND coalesce(e.url, (SELECT n.webhook_url FROM numbers n WHERE n.id = e.number_id)) = $2
"""

_log = structlog.get_logger(__name__)


class Deliverer:
    """Attempts what is due until nothing is, with up to ``SLOTS`` attempts in the air."""

    def __init__(self) -> None:
        self._flying: set[asyncio.Task[None]] = set()
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look again, something new may be due."""
        self._nudged.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until nothing is due and nothing is in the air, or the process ends."""
        try:
            while not stopping.is_set():
                self._nudged.clear()
                room = SLOTS - len(self._flying)
                claimed = await claims.claim(room) if room else []
                self._flying |= {asyncio.create_task(deliver(one)) for one in claimed}
                if not self._flying:
                    return
                await self._something()
        finally:
            await self._land()

    async def _something(self) -> None:
        """Wait for an attempt to come home, for a nudge, or for the next look."""
        nudge = asyncio.create_task(self._nudged.wait())
        done, _ = await asyncio.wait({*self._flying, nudge}, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        nudge.cancel()
        if done:
            await asyncio.sleep(GATHER_SECONDS)
        self._flying -= {task for task in self._flying if task.done()}

    async def _land(self) -> None:
        if not self._flying:
            return
        _, late = await asyncio.wait(self._flying, timeout=LANDING_SECONDS)
        for task in late:
            task.cancel()
        self._flying.clear()


_running: Deliverer | None = None


async def deliver_due() -> None:
    """Deliver what is due; one run in each process, and whoever asks for another makes it look again."""
    global _running  # noqa: PLW0603 - the process's one deliverer
    if _running is not None:
        _running.nudge()
        return
    _running = Deliverer()
    try:
        await _running.run(runtime().stopping)
    finally:
        _running = None


async def keep_delivering() -> None:
    """Begin to deliver, every second, if something is due, until the process ends.

    A message goes to one process, which may be busy already; and where Redis is away there is none.
    """
    stopping = runtime().stopping
    while not stopping.is_set():
        try:
            if _running is None and await claims.any_due():
                await deliver_due()
        except Exception:  # noqa: BLE001 - whatever failed, the next look may not
            _log.exception("webhooks_not_delivered")
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stopping.wait()
        except TimeoutError:
            continue


async def deliver(claimed: Claimed) -> None:
    """Attempt one delivery and write down what came of it; its lease repeats it where that fails."""
    try:
        await record(claimed, await sending.attempt(claimed))
    except Exception:  # noqa: BLE001 - whatever failed, the others go on
        _log.exception("webhook_delivery_failed", delivery_id=claimed.id)


async def record(claimed: Claimed, outcome: Outcome) -> None:
    """Write down what came of an attempt, and switch an endpoint off that is gone or takes nothing any more.

    What an address did that is the endpoint's no more says nothing about the endpoint: the delivery goes on to the new.
    """
    async with database.unit_of_work():
        if not outcome.error:
            await database.execute(_WORKING, claimed.endpoint_id, claimed.url)
            recorded = await claims.record_success(claimed, outcome)
            if recorded is not None:
                await delivery_log.write_delivered(recorded, claimed.url, outcome)
            return
        counts = await _is_still_called(claimed)
        gone = counts and outcome.status == GONE
        recorded = await claims.record_failure(claimed, outcome, final=gone)
        if recorded is None:
            return
        if counts:
            await database.execute(_FAILING, claimed.endpoint_id)
        if recorded.status != "failed":
            return
        await delivery_log.write_undelivered(recorded, claimed.url, outcome)
        if gone:
            await disable(claimed.endpoint_id, "gone")
        elif counts:
            await disable(claimed.endpoint_id, "failing", failing_for=FAILING_FOR)


async def _is_still_called(claimed: Claimed) -> bool:
    """Lock the endpoint of an attempt, and return whether its address is the one that was called.

    The address is read once the lock is there: a forward's is the number's, which is changed before the endpoint is.
    """
    await database.execute(_LOCK, claimed.endpoint_id)
    return await database.fetch_value(_ADDRESS, claimed.endpoint_id) == claimed.url
