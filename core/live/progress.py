"""Where campaigns and jobs stand, told at most twice a second for each, and the last change always.

Whoever changes counters notes that they changed, in Redis, in batches and without waiting. One process at a time takes
what was noted, reads the totals from PostgreSQL and tells them. A note is crossed out only after that, and only if none
came meanwhile: a process that dies in between leaves it to the next.
"""

import asyncio
import contextvars
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Literal

import asyncpg
import structlog
from redis.exceptions import RedisError

from core import database
from core.events.catalogue import Event, seal
from core.live.complaints import Complaints
from core.live.stream import publish, run_script
from core.runtime import runtime

Kind = Literal["campaign", "job"]
Reader = Callable[[Sequence[int]], Awaitable[Sequence[tuple[int, Event]]]]
"""Reads where rows stand: their ids to events, each with its user's id."""

NOTED: Final = "recado:live:changed"
TURN: Final = "recado:live:turn"
ROUND_MS: Final = 500
NOTE_SECONDS: Final = 0.1
"""One process writes its notes this often at most."""
LIMIT_SECONDS: Final = 1.0
AT_ONCE: Final = 500

# KEYS: whose turn it is, the notes. ARGV: how long a turn lasts. Answers the milliseconds to wait, and the notes where
# the turn is the caller's.
_TAKE: Final = """
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
    return {left, {}}
end
local notes = redis.call('HGETALL', KEYS[2])
if #notes > 0 then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
return {tonumber(ARGV[1]), notes}
"""
# KEYS: the notes. ARGV: pairs of a note and the mark it had when it was read.
_CROSS_OUT: Final = """
for place = 1, #ARGV, 2 do
    if redis.call('HGET', KEYS[1], ARGV[place]) == ARGV[place + 1] then
        redis.call('HDEL', KEYS[1], ARGV[place])
    end
end
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
            await self._write_once()
            await asyncio.sleep(NOTE_SECONDS)

    async def _write_once(self) -> None:
        notes, self._waiting = self._waiting, set()
        if not notes:
            return
        mark = secrets.token_hex(4)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                await runtime().redis.hset(NOTED, mapping=dict.fromkeys(notes, mark))
        except (RedisError, OSError, TimeoutError) as error:
            _complaints.say(error)


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
        except (RedisError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            _complaints.say(error)
            wait_ms = ROUND_MS
        try:
            async with asyncio.timeout(wait_ms / 1000):
                await stopping.wait()
        except TimeoutError:
            continue


async def tell_changes(readers: Mapping[Kind, Reader]) -> int:
    """Tell what was noted, if it is this process's turn; return after how many milliseconds to come again.

    Raises what Redis and PostgreSQL raise when they are away; the notes stay then.
    """
    wait_ms, found = await run_script(_TAKE, (TURN, NOTED), (ROUND_MS,))
    notes: list[tuple[bytes, bytes]] = list(zip(found[::2], found[1::2], strict=True))
    for start in range(0, len(notes), AT_ONCE):
        part = notes[start : start + AT_ONCE]
        for kind, reader in readers.items():
            ids = [int(note.partition(b":")[2]) for note, _ in part if note.startswith(f"{kind}:".encode())]
            if ids:
                await publish([(user_id, seal(event)) for user_id, event in await reader(ids)])
        await run_script(_CROSS_OUT, (NOTED,), [value for pair in part for value in pair])
    return int(wait_ms)
