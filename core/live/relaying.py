"""Live events on their way to realtime services: each is handed over by one process, in batches.

Every notifier reads the same stream of Redis as a group of its own, so that one which hangs delays no other. What
cannot be handed over is lost, for these events only say that something is worth fetching: the stream is bounded, and
what is old is passed over.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from redis.exceptions import RedisError, ResponseError

from core.live.complaints import Complaints
from core.live.stream import RELAYED
from core.plugin import Broadcasting, LiveEvent, MisconfiguredError, UnavailableError
from core.runtime import providers, runtime

AT_ONCE: Final = 100
BLOCK_MS: Final = 1_000
"""How long one question to Redis waits for events; also the longest that the end of the process waits."""
HAND_OVER_SECONDS: Final = 10.0
CONSUMER: Final = "worker"
"""One name for all processes: nothing is kept for each, since nothing is acknowledged."""
STALE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 2.0
LONGEST_PAUSE_SECONDS: Final = 60.0

_log = structlog.get_logger(__name__)
_complaints = Complaints("live_events_not_relayed")


async def keep_relaying() -> None:
    """Hand live events to every realtime service that takes them, until the process ends."""
    found = {name: one for name, one in providers().notifiers_by_name.items() if isinstance(one, Broadcasting)}
    async with asyncio.TaskGroup() as group:
        for name, notifier in found.items():
            group.create_task(_keep_relaying(name, notifier))


async def _keep_relaying(name: str, notifier: Broadcasting) -> None:
    stopping = runtime().stopping
    while not stopping.is_set():
        pause = 0.0
        try:
            events = await take(name)
            if events:
                pause = await hand_over(name, notifier, events)
        except (RedisError, OSError) as error:
            _complaints.say(error, name)
            pause = RETRY_SECONDS
        if pause:
            await _wait(stopping, pause)


async def take(name: str) -> Sequence[LiveEvent]:
    """Return the next events for a notifier that no other process took, none where none came within a second.

    Raises what Redis raises when it is away.
    """
    redis = runtime().redis
    try:
        # Without acknowledgement: what a process takes and does not hand over is lost.
        found: Any = await redis.xreadgroup(name, CONSUMER, {RELAYED: ">"}, count=AT_ONCE, block=BLOCK_MS, noack=True)
    except ResponseError as error:
        if not str(error).startswith("NOGROUP"):
            raise
        await _make_group(name)
        return ()
    entries = found[0][1] if found else ()
    oldest = (time.time() - STALE_SECONDS) * 1000
    return [_event(fields) for entry_id, fields in entries if int(entry_id.partition(b"-")[0]) >= oldest]


async def hand_over(name: str, notifier: Broadcasting, events: Sequence[LiveEvent]) -> float:
    """Hand events over; return for how many seconds the service is better left alone."""
    try:
        async with asyncio.timeout(HAND_OVER_SECONDS):
            await notifier.publish(events)
    except MisconfiguredError as error:
        _complaints.say(error, name, lost=len(events))
        return LONGEST_PAUSE_SECONDS
    except UnavailableError as error:
        _complaints.say(error, name, lost=len(events))
        return min(error.retry_after or RETRY_SECONDS, LONGEST_PAUSE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever a notifier raises, the next events are handed over
        _complaints.say(error, name, lost=len(events))
        return RETRY_SECONDS
    return 0.0


def _event(fields: Mapping[bytes, bytes]) -> LiveEvent:
    body = fields[b"body"]
    envelope_id: str = msgspec.json.decode(body, type=_Named).id
    return LiveEvent(
        id=envelope_id, type=fields[b"type"].decode(), user_id=int(fields[b"user"]), body=msgspec.Raw(body)
    )


class _Named(msgspec.Struct):
    id: str


async def _make_group(name: str) -> None:
    try:
        await runtime().redis.xgroup_create(RELAYED, name, id="$", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
