"""What administrators are to know of the machine itself: queues that stand still, no worker, a disk that is full.

Notifications are planned and delivered by workers. Where those are what is missing, nobody would hear of it before they
are back, so that the process that watches then plans and mails by itself; what it tells is told once all the same.
"""

import asyncio
import contextvars
import shutil
import time
from datetime import datetime
from functools import partial

import msgspec
import structlog
from redis.exceptions import RedisError

from core import queue
from core.heartbeat import worker_lives
from core.notifications import planning
from core.notifications.alarms import clear_alarms, raise_alarm
from core.notifications.channels import EMAIL
from core.notifications.delivering import deliver
from core.runtime import config, runtime
from core.settings.typed import value_of

NAMESPACE = "recado"
STUCK_SECONDS = 300.0
"""A message that waits for longer says that nobody takes any."""
GONE_AFTER = 2
"""Looks, a minute apart, at which no worker was alive: a single one may fall into a restart."""
LEAST_FREE_BYTES = 2**30
FINISH_SECONDS = 5.0
"""For mails that are being handed over when the process stops."""
_MARGIN = 1.1
"""Space that is free again ends the alarm a little above where it began."""
_log = structlog.get_logger(__name__)


class _Message(msgspec.Struct):
    """Of Dramatiq's message, what says since when it waits: milliseconds since 1970."""

    message_timestamp: int
    options: dict[str, object] = {}

    @property
    def waits_since(self) -> float:
        """The Unix time in seconds; that of one that was sent for later is when it was due."""
        eta = self.options.get("eta")
        return max(self.message_timestamp, eta if isinstance(eta, int) else 0) / 1000


class Watch:
    """What one scheduler sees, look by look."""

    def __init__(self) -> None:
        self._looks_without_worker = 0
        self._mailing: asyncio.Task[None] | None = None

    async def look(self, _now: datetime) -> None:
        """Raise and clear the alarms of the machine; a Redis that is away is for others to tell."""
        await self.look_at_disk()
        try:
            await self.look_at_workers()
            await self.look_at_queues()
        except (RedisError, OSError, TimeoutError):
            return

    async def look_at_disk(self) -> None:
        """Compare what is free where files and the embedded database are with the setting."""
        folder = config().data_folder
        usage = await asyncio.to_thread(shutil.disk_usage, folder)
        least = max(LEAST_FREE_BYTES, usage.total * int(await value_of("watch.disk_free_percent")) // 100)
        if usage.free < least:
            free = usage.free * 100 // usage.total
            await raise_alarm("disk_low", "platform", 0, name=str(folder), free=free, gigabytes=usage.free // 2**30)
        elif usage.free > least * _MARGIN:
            await clear_alarms("platform", [0], ["disk_low"])

    async def look_at_workers(self) -> None:
        """See whether any worker said lately that it lives."""
        if await worker_lives(runtime().redis):
            self._looks_without_worker = 0
            await clear_alarms("platform", [0], ["workers_gone"])
            return
        self._looks_without_worker += 1
        if self._looks_without_worker >= GONE_AFTER:
            await raise_alarm("workers_gone", "platform", 0)
            self._mail()

    async def look_at_queues(self) -> None:
        """See for how long the first message of each queue has been waiting."""
        moving = []
        for place, name in enumerate(queue.QUEUES, start=1):
            waits = time.time() - await _first_since(name)
            if waits > STUCK_SECONDS:
                await raise_alarm("queue_stuck", "queue", place, name=name, minutes=int(waits / 60))
                if name == queue.NOTIFICATIONS:
                    self._mail()
            else:
                moving.append(place)
        await clear_alarms("queue", moving, ["queue_stuck"])

    async def finish(self, within: float = FINISH_SECONDS) -> None:
        """Wait some seconds for the mails that are being handed over; others are left to their leases."""
        if self._mailing is not None:
            await asyncio.wait([self._mailing], timeout=within)
            self._mailing.cancel()
            await asyncio.wait([self._mailing])

    def _mail(self) -> None:
        """Mail what waits, beside the rounds: a mail service that hangs must not hold those up."""
        if self._mailing is None or self._mailing.done():
            self._mailing = asyncio.get_running_loop().create_task(_mail_all(), context=contextvars.Context())


async def _mail_all() -> None:
    """Do the workers' part: plan what is news, and deliver the mails that are due."""
    for step in (planning.plan, partial(deliver, EMAIL.name)):
        try:
            await step()
        except Exception:  # noqa: BLE001 - what is planned is mailed even if the queue takes no hint of it
            _log.exception("alarms_not_mailed")


async def _first_since(name: str) -> float:
    """Return since when the message waits that is taken next; now where none does."""
    redis = runtime().redis
    first = await redis.lindex(f"{NAMESPACE}:{name}", 0)
    stored = await redis.hget(f"{NAMESPACE}:{name}.msgs", first) if first is not None else None
    return time.time() if stored is None else msgspec.json.decode(stored, type=_Message).waits_since
