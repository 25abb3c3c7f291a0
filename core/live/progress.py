"""Where campaigns and jobs stand, told at most twice a second for each, and the last change always.

Whoever changes counters notes that they changed, in Redis, in batches and without waiting. One process at a time takes
what was noted, reads the totals from PostgreSQL and tells them; the turn is its own for as long as that takes. A note
is crossed out only after that, and only if none came meanwhile: a process that dies in between leaves it to the next.
"""

import asyncio
import contextlib
import contextvars
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import structlog
from redis.asyncio.lock import Lock
from redis.exceptions import LockError, LockNotOwnedError, RedisError

from core import database
from core.events.catalogue import Event, seal
from core.live import stream
from core.live.complaints import Complaints
from core.live.stream import run_script
from core.runtime import runtime

Kind = Literal["campaign", "job"]
Reader = Callable[[Sequence[int]], Awaitable[Sequence[tuple[int, Event]]]]
"""Reads where rows stand: their ids to events, each with its user's id."""

NOTED: Final = "recado:live:changed"
TURN: Final = "recado:live:turn"
ROUND_MS: Final = 500
"""How long nobody tells anything after a turn, so that no campaign is told more than twice a second."""
TURN_SECONDS: Final = 3.0
"""A process that died holds its turn for so long; one that works renews it."""
RENEW_SECONDS: Final = 1.0
READ_SECONDS: Final = 10.0
NOTE_SECONDS: Final = 0.1
"""One process writes its notes this often at most."""
RETRY_SECONDS: Final = 1.0
LIMIT_SECONDS: Final = 1.0
AT_ONCE: Final = stream.AT_ONCE

# KEYS: the notes, whose turn it is. ARGV: the token of the turn, then pairs of a note and the mark it had when it was
# read. Where the turn is another's by now, what was just told may be older than what that one told: it is noted again.
_CROSS_OUT: Final = """
local own = redis.call('GET', KEYS[2]) == ARGV[1]
for place = 2, #ARGV, 2 do
    if not own then
        redis.call('HSET', KEYS[1], ARGV[place], ARGV[1])
    elseif redis.call('HGET', KEYS[1], ARGV[place]) == ARGV[place + 1] then
        redis.call('HDEL', KEYS[1], ARGV[place])
    end
end
return own
"""

_log = structlog.get_logger(__name__)
_complaints = Complaints("progress_not_told")


class Notes:
    """What changed in this process and is not noted in Redis yet: the first note leaves at once, others in batches."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._writer: asyncio.Task[None] | None = None

    def add(self, kind: Kind, ids: Iterable[int]) -> None:
        """Note changes that are committed."""
        self._waiting.update(f"{kind}:{row_id}" for row_id in ids)
        if self._waiting and (self._writer is None or self._writer.done()):
            self._writer = asyncio.get_running_loop().create_task(self._write(), context=contextvars.Context())

    async def flush(self) -> None:
        """Write what waits: the process is about to end."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait([self._writer])
            self._writer = None
        await self._write_once()

    async def _write(self) -> None:
        while self._waiting:
            written = await self._write_once()
            await asyncio.sleep(NOTE_SECONDS if written else RETRY_SECONDS)

    async def _write_once(self) -> bool:
        """Write what waits; where Redis is away it waits on, since the last change has to be told some day."""
        notes, self._waiting = self._waiting, set()
        if not notes:
            return True
        mark = secrets.token_hex(4)
        written = False
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await runtime().redis.hset(NOTED, mapping=dict.fromkeys(notes, mark))
            written = True
        except (RedisError, OSError, TimeoutError) as error:
            _complaints.say(error)
        finally:
            # Also where the process ends in the middle of it, and writes once more.
            if not written:
                self._waiting |= notes
        return written


NOTES: Final = Notes()
"""Those of this process."""


def changed(kind: Kind, *ids: int) -> None:
    """Have it told where these rows stand, once the present unit of work is committed; it waits for nothing."""
    if not ids:
        return

    async def note() -> None:
        NOTES.add(kind, ids)

    if database.in_unit_of_work():
        database.after_commit(note)
    else:
        NOTES.add(kind, ids)


async def keep_telling(readers: Mapping[Kind, Reader]) -> None:
    """Tell what changed, half a second after half a second, until the process ends; any number of processes may."""
    stopping = runtime().stopping
    while not stopping.is_set():
        try:
            wait_ms = await tell_changes(readers)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, what is noted is told by a later round
            _complaints.say(error)
            wait_ms = ROUND_MS
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await stopping.wait()
        except TimeoutError:
            continue


async def tell_changes(readers: Mapping[Kind, Reader]) -> int:
    """Tell what was noted, if it is this process's turn; return after how many milliseconds to come again.

    Raises what Redis and PostgreSQL raise when they are away, ``TimeoutError`` where a reader takes too long, and
    ``LockNotOwnedError`` where another process took the turn meanwhile; the notes stay then.
    """
    redis, token = runtime().redis, secrets.token_hex(8)
    if not await redis.hlen(NOTED):
        return ROUND_MS
    turn = redis.lock(TURN, timeout=TURN_SECONDS, blocking=False)
    if not await turn.acquire(token=token):
        return max(1, min(await redis.pttl(TURN), ROUND_MS))
    try:
        async with _renewed(turn):
            noted: dict[bytes, bytes] = await redis.hgetall(NOTED)  # type: ignore[assignment] # no answer is decoded
            notes = list(noted.items())
            for start in range(0, len(notes), AT_ONCE):
                await _tell(readers, notes[start : start + AT_ONCE], turn, token)
    finally:
        with contextlib.suppress(RedisError, OSError):
            await turn.extend(ROUND_MS / 1000, replace_ttl=True)
    return ROUND_MS


async def _tell(readers: Mapping[Kind, Reader], notes: Sequence[tuple[bytes, bytes]], turn: Lock, token: str) -> None:
    for kind, reader in readers.items():
        ids = [int(note.partition(b":")[2]) for note, _ in notes if note.startswith(f"{kind}:".encode())]
        if not ids:
            continue
        async with asyncio.timeout(READ_SECONDS):
            found = await reader(ids)
        # What was read is told by the one whose turn it is, and nobody takes a turn that was renewed just now.
        await turn.reacquire()
        await stream.append([(user_id, seal(event)) for user_id, event in found])
    if not await run_script(_CROSS_OUT, (NOTED, TURN), [token, *(value for pair in notes for value in pair)]):
        raise LockNotOwnedError("The turn went to another process while it was told where rows stand.")


@contextlib.asynccontextmanager
async def _renewed(turn: Lock) -> AsyncIterator[None]:
    """Renew a turn while the block runs; one that was lost is left."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await turn.reacquire()
            except LockError:
                return
            except (RedisError, OSError):
                continue

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])
