"""Live events on their way to realtime services: each service is told by one process at a time, in order, in parts.

What is told is the stream that all processes publish to, from the place where the service is: the place moves on once a
part was taken, and stands in Redis, so that another process goes on where one died. While a service is away the events
wait in the stream for a minute, and of several that tell one subject's progress the last alone is handed over then. A
part whose answer was lost is handed over again, since the ids of events tell what came twice. What is older is passed
over: these events only say that something is worth fetching.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final

import msgspec
from redis.exceptions import LockNotOwnedError, RedisError

from core.events.catalogue import CampaignProgress, JobProgress
from core.live.complaints import Complaints
from core.live.stream import KEPT_SECONDS, RELAYED, RELAYED_EVENTS, Position, run_script
from core.plugin import Broadcasting, LiveEvent, MisconfiguredError, RefusedError, UnavailableError
from core.runtime import providers, runtime

AT_ONCE: Final = 100
"""How many events are handed over before it is looked what came meanwhile."""
PART: Final = 10
"""How many events are handed over at once: few, so that a refusal leaves little to tell twice."""
BLOCK_MS: Final = 1_000
"""How long one question to Redis waits for events; also the longest that the end of the process waits."""
HAND_OVER_SECONDS: Final = 10.0
LEASE_SECONDS: Final = 12.0
"""How long a process that died is waited for; longer than a hand-over, so that none goes on when the lease is over."""
RENEW_SECONDS: Final = 4.0
TURN_SECONDS: Final = 1.0
"""How often a process asks whether it is the one that relays."""
STALE_SECONDS: Final = 60.0
RETRY_SECONDS: Final = 2.0
LONGEST_RETRY_SECONDS: Final = 16.0
"""The back-off ends here, well before what waits is stale."""
LONGEST_PAUSE_SECONDS: Final = 60.0
"""The longest that a service is believed when it says how long it wants to be left alone."""
UNCERTAIN_TRIES: Final = 3
"""So often a part is handed over that brings no answer or an unknown error; then each event of it once more, alone."""

_SUBJECTS: Final = {CampaignProgress.type: "campaign_id", JobProgress.type: "job_id"}
# KEYS: the lease, the place. ARGV: the token of the lease, the place, for how many seconds it is kept.
_MOVE_ON: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""

_complaints = Complaints("live_events_not_relayed")


class Outcome(Enum):
    """What came of handing a part over."""

    TAKEN = auto()
    REFUSED = auto()
    """For now; it is handed over again."""
    UNCERTAIN = auto()


class Waiting(msgspec.Struct, frozen=True):
    """An event at its place in the stream."""

    place: Position
    event: LiveEvent
    subject: object = None
    """What its progress is told of; ``None`` where it tells no progress."""


async def keep_relaying() -> None:
    """Hand live events to every realtime service that takes them, until the process ends; any number of them may."""
    found = {name: one for name, one in providers().notifiers_by_name.items() if isinstance(one, Broadcasting)}
    async with asyncio.TaskGroup() as group:
        for name, notifier in found.items():
            group.create_task(Relay(name, notifier).keep())


class Relay:
    """The way to one realtime service, as one process sees it."""

    def __init__(self, name: str, notifier: Broadcasting) -> None:
        self._name = name
        self._notifier = notifier
        self._stopping = runtime().stopping
        self._lease_key = f"recado:live:relaying:{name}"
        self._place_key = f"recado:live:relayed:{name}"
        self._token = secrets.token_hex(8)
        self._lease = runtime().redis.lock(self._lease_key, timeout=LEASE_SECONDS, blocking=False)
        self._at = Position(0, 0)
        self._failures = 0
        """How often in a row the service took nothing."""
        self._uncertain = 0
        """How often in a row a part brought no certain answer."""
        self._alone_to = Position(0, 0)
        """Up to here events are handed over one by one, to find the one that brings no answer."""

    async def keep(self) -> None:
        """Relay whenever no other process does, until this one ends."""
        while not self._stopping.is_set():
            pause = TURN_SECONDS
            try:
                # It is still owned where Redis was away for a moment.
                if await self._lease.owned() or await self._lease.acquire(token=self._token):
                    await self._lead()
            except Exception as error:  # noqa: BLE001 - whatever goes wrong with one service, it is tried again
                _complaints.say(error, self._name)
                pause = RETRY_SECONDS
            await self._wait(pause)

    async def _lead(self) -> None:
        """Relay until the process ends; raises ``LockNotOwnedError`` where another one has the lease by now."""
        try:
            stored: Any = await runtime().redis.get(self._place_key)
            self._at = max(self._at, Position.of(stored)) if stored else self._at
            while not self._stopping.is_set():
                await self._lease.reacquire()
                pause = await self._hand_over_all(await self._read())
                until = _now() + pause
                while not self._stopping.is_set() and (left := until - _now()) > 0:
                    await self._lease.reacquire()
                    await self._wait(min(left, RENEW_SECONDS))
        finally:
            with contextlib.suppress(RedisError, OSError):
                await self._lease.release()

    async def _read(self) -> Sequence[Waiting]:
        """Return what the service was not told yet and is not stale; nothing where none came within a second."""
        oldest = Position(int((time.time() - STALE_SECONDS) * 1000), 0)
        redis: Any = runtime().redis
        found = await redis.xread({RELAYED: str(max(self._at, oldest))}, count=RELAYED_EVENTS, block=BLOCK_MS)
        return coalesce([_waiting(entry_id, fields) for entry_id, fields in found[0][1]]) if found else ()

    async def _hand_over_all(self, waiting: Sequence[Waiting]) -> float:
        """Hand events over until the service takes one part not; return for how many seconds to leave it alone."""
        start = 0
        while start < min(len(waiting), AT_ONCE) and not self._stopping.is_set():
            alone = waiting[start].place <= self._alone_to
            part = waiting[start : start + (1 if alone else PART)]
            start += len(part)
            until = _now() + HAND_OVER_SECONDS
            await self._lease.reacquire()
            outcome, pause = await self.hand_over([one.event for one in part], until)
            if outcome is Outcome.UNCERTAIN and not alone:
                self._uncertain += 1
                if self._uncertain == UNCERTAIN_TRIES:
                    self._alone_to, self._uncertain = part[-1].place, 0
            elif outcome is not Outcome.REFUSED:
                self._uncertain = 0
                await self._move_on(part[-1].place)
            if pause:
                return pause
        return 0.0

    async def hand_over(self, events: Sequence[LiveEvent], until: float) -> tuple[Outcome, float]:
        """Hand a part over; return what came of it, and for how many seconds to leave the service alone."""
        try:
            async with asyncio.timeout_at(until):
                await self._publish(events)
        except MisconfiguredError as error:
            _complaints.say(error, self._name, waiting=len(events))
            return Outcome.REFUSED, LONGEST_PAUSE_SECONDS
        except UnavailableError as error:
            _complaints.say(error, self._name, waiting=len(events))
            pause = self._back_off()
            return Outcome.REFUSED, min(error.retry_after or pause, LONGEST_PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a notifier raises, the next events are handed over
            _complaints.say(error, self._name, uncertain=len(events))
            return Outcome.UNCERTAIN, self._back_off()
        self._failures = 0
        return Outcome.TAKEN, 0.0

    async def _publish(self, events: Sequence[LiveEvent]) -> None:
        """Publish events, and leave out those that the service will never take."""
        try:
            await self._notifier.publish(events)
        except RefusedError as error:
            if len(events) == 1:
                _complaints.say(error, self._name, lost=1)
                return
            for event in events:
                await self._publish([event])

    def _back_off(self) -> float:
        self._failures += 1
        return min(RETRY_SECONDS * 2.0 ** (self._failures - 1), LONGEST_RETRY_SECONDS)

    async def _move_on(self, place: Position) -> None:
        self._at = place
        keys = (self._lease_key, self._place_key)
        if not await run_script(_MOVE_ON, keys, (self._token, str(place), KEPT_SECONDS)):
            raise LockNotOwnedError("Another process relays by now.")

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


def coalesce(waiting: Sequence[Waiting]) -> Sequence[Waiting]:
    """Return events in their order, of several that tell one subject's progress the last alone."""
    last = {one.subject: one.place for one in waiting if one.subject is not None}
    return [one for one in waiting if one.subject is None or last[one.subject] == one.place]


class _Envelope(msgspec.Struct):
    id: str
    data: msgspec.Raw


def _waiting(entry_id: bytes, fields: Mapping[bytes, bytes]) -> Waiting:
    body, kind, user_id = fields[b"body"], fields[b"type"].decode(), int(fields[b"user"])
    envelope = msgspec.json.decode(body, type=_Envelope)
    subject = None
    if kind in _SUBJECTS:
        told: dict[str, Any] = msgspec.json.decode(envelope.data)
        subject = (user_id, kind, told[_SUBJECTS[kind]])
    event = LiveEvent(id=envelope.id, type=kind, user_id=user_id, body=msgspec.Raw(body))
    return Waiting(Position.of(entry_id), event, subject)


def _now() -> float:
    return asyncio.get_running_loop().time()
