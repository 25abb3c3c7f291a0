"""The last events of each user in Redis, and the word that there is a new one.

Every user has a stream of their own (https://redis.io/docs/latest/develop/data-types/streams/); what is older than an
hour is removed with the next event, and an hour after the last one all is. An event is told on one channel to all API
processes in the same step, so that both have one order. All of it is a hint: the rows in PostgreSQL are the truth, and
who missed something fetches again. Whom an event could not be told, this process remembers, and tells them so once
Redis is there again.
"""

import asyncio
import contextvars
import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import cache
from itertools import islice
from typing import Any, Final

import msgspec
from redis.exceptions import NoScriptError, RedisError

from core.events.catalogue import STREAM, Envelope, NotificationCreated, StreamReset, seal
from core.live.complaints import Complaints
from core.plugin import Broadcasting
from core.runtime import runtime

CHANNEL: Final = "recado:live"
RELAYED: Final = "recado:live:relayed"
"""The stream of what realtime services are told."""
EPOCH: Final = "recado:live:epoch"
"""Names what Redis holds; another name means that it was emptied, and positions from before mean nothing."""

KEPT_EVENTS: Final = 500
KEPT_SECONDS: Final = 3_600
RELAYED_EVENTS: Final = 2_000
RELAYED_SECONDS: Final = 60
TOLD_SECONDS: Final = 900
"""For how long an event that is published again is known to be told already."""
AT_ONCE: Final = 100
PART_BYTES: Final = 65_536
"""Somebody who reads on is given so much at once, to the end of an event."""
RETRY_SECONDS: Final = 1.0
"""How soon those who missed something are told, where Redis answers again and nothing else happens."""
LIMIT_SECONDS: Final = 1.0
UNAVAILABLE: Final = (RedisError, OSError, TimeoutError)
"""What is raised where Redis is away."""

# KEYS: the epoch, the stream of realtime services, then each user's stream and what says that the event was told.
# ARGV: a fresh epoch, the channel, how many events and seconds are kept, for how long an event counts as told, how
# many events and seconds realtime services may be behind (0 events where there is none), the types they do not hear
# of here, between spaces; then each event's user, type and envelope. What is too old is removed at once, since an
# event may hold what somebody wrote; the keys themselves end when nothing happens for the time that users' are kept.
_PUBLISH: Final = """
local epoch = redis.call('GET', KEYS[1])
if not epoch then
    epoch = ARGV[1]
    redis.call('SET', KEYS[1], epoch)
end
local now = redis.call('TIME')[1]
local function add(key, most, seconds, ...)
    local id = redis.call('XADD', key, 'MAXLEN', '~', most, '*', ...)
    redis.call('XTRIM', key, 'MINID', string.format('%d', (now - seconds) * 1000))
    redis.call('EXPIRE', key, ARGV[4])
    return id
end
for place = 0, (#KEYS - 2) / 2 - 1 do
    local stream, told = KEYS[3 + 2 * place], KEYS[4 + 2 * place]
    local user, kind, body = ARGV[9 + 3 * place], ARGV[10 + 3 * place], ARGV[11 + 3 * place]
    if redis.call('SET', told, '1', 'NX', 'EX', ARGV[5]) then
        local id = add(stream, ARGV[3], ARGV[4], 'type', kind, 'body', body)
        redis.call('PUBLISH', ARGV[2], user .. ' ' .. id .. ' ' .. epoch .. ' ' .. kind .. ' ' .. body)
        if ARGV[6] ~= '0' and not string.find(ARGV[8], ' ' .. kind .. ' ', 1, true) then
            add(KEYS[2], ARGV[6], ARGV[7], 'user', user, 'type', kind, 'body', body)
        end
    end
end
"""

# KEYS: the epoch, the user's stream. ARGV: a fresh epoch, the epoch and the id somebody is at (empty for now), how many
# events and about how many bytes at once, for how many seconds events are kept. Answers the epoch, whether events
# between are lost, the newest id, the events after the one asked for, and whether there may be more. An id younger than
# that time is on this side of every expired event.
_READ: Final = """
local epoch = redis.call('GET', KEYS[1])
if not epoch then
    epoch = ARGV[1]
    redis.call('SET', KEYS[1], epoch)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest, oldest, trimmed = string.format('%d-0', now - 1), false, false
if redis.call('EXISTS', KEYS[2]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[2])
    local about = {}
    for place = 1, #info, 2 do about[info[place]] = info[place + 1] end
    newest = about['last-generated-id']
    oldest = about['first-entry'] and about['first-entry'][1]
    trimmed = about['entries-added'] > about['length']
end
if ARGV[3] == '' then
    return {epoch, 0, newest, {}, 0}
end
local function parts(id)
    local milliseconds, sequence = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(milliseconds), tonumber(sequence)
end
local asked, asked_sequence = parts(ARGV[3])
local lost = ARGV[2] ~= epoch or asked < now - ARGV[6] * 1000
if oldest and trimmed then
    local first, first_sequence = parts(oldest)
    lost = lost or asked < first or (asked == first and asked_sequence < first_sequence)
end
if lost then
    return {epoch, 1, newest, {}, 0}
end
local events, bytes, at = {}, 0, ARGV[3]
while #events < tonumber(ARGV[4]) and bytes < tonumber(ARGV[5]) do
    local entry = redis.call('XRANGE', KEYS[2], '(' .. at, '+', 'COUNT', 1)[1]
    if not entry then
        return {epoch, 0, newest, events, 0}
    end
    events[#events + 1] = entry
    bytes, at = bytes + #entry[2][4], entry[1]
end
return {epoch, 0, newest, events, 1}
"""

_ID = re.compile(r"(\d{1,15})-(\d{1,18})\.([0-9a-f]{8})")
_complaints = Complaints("live_events_lost")
_missed: set[int] = set()
"""Users of whom this process lost an event and whom nobody has told."""
_telling: set[asyncio.Task[None]] = set()


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place in a user's stream, the later the greater."""

    milliseconds: int
    sequence: int

    @classmethod
    def of(cls, redis_id: bytes) -> "Position":
        """Read an id of Redis."""
        milliseconds, _, sequence = redis_id.partition(b"-")
        return cls(int(milliseconds), int(sequence))

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


class Told(msgspec.Struct, frozen=True, gc=False):
    """An event at its place: ``body`` is the envelope as JSON."""

    position: Position
    epoch: bytes
    type: bytes
    body: bytes

    @property
    def frame(self) -> bytes:
        """The event as it is written to listeners; JSON has no bare line ends."""
        return b"id: %b.%b\nevent: %b\ndata: %b\n\n" % (str(self.position).encode(), self.epoch, self.type, self.body)


class Part(msgspec.Struct, frozen=True):
    """What a stream holds after a place: ``lost`` where events between are kept no more, and then none is given.

    ``more`` where others may follow.
    """

    epoch: bytes
    lost: bool
    newest: Position
    events: Sequence[Told]
    more: bool


NOWHERE: Final = (Position(0, 0), b"")
"""A place from before anything that is kept."""


def parse_event_id(text: str) -> tuple[Position, bytes] | None:
    """Read an id as listeners get it: the place in the stream and the name of what Redis held."""
    found = _ID.fullmatch(text)
    return None if found is None else (Position(int(found[1]), int(found[2])), found[3].encode())


async def publish(events: Sequence[tuple[int, Envelope]]) -> None:
    """Tell everybody who looks at these users' accounts, each event with its user's id.

    An event with the id of one that was told is passed over. Where Redis is away the events are lost, which is logged
    now and then and raised to nobody; these users are told ``stream.reset`` when it is there again.
    """
    for start in range(0, len(events), AT_ONCE):
        part = events[start : start + AT_ONCE]
        try:
            await append(part)
        except UNAVAILABLE as error:
            _complaints.say(error, events=len(part))
            _note_missed({user_id for user_id, _ in part})


async def append(events: Sequence[tuple[int, Envelope]]) -> None:
    """Do as ``publish`` does with a hundred events at most, and raise one of ``UNAVAILABLE`` where Redis is away."""
    # Taken before, so that what is missed while the script runs is not taken for told.
    missed = list(islice(_missed, AT_ONCE))
    _missed.difference_update(missed)
    try:
        await _append([*((user_id, seal(StreamReset())) for user_id in missed), *events])
    except BaseException:
        _missed.update(missed)
        raise


async def forget(user_id: int) -> None:
    """Remove what a user was told; raises what Redis raises when it is away."""
    await runtime().redis.delete(_stream_of(user_id))


async def _append(events: Sequence[tuple[int, Envelope]]) -> None:
    keys = [EPOCH, RELAYED]
    values: list[str | bytes | int] = [
        secrets.token_hex(4),
        CHANNEL,
        KEPT_EVENTS,
        KEPT_SECONDS,
        TOLD_SECONDS,
        RELAYED_EVENTS if _anybody_relays() else 0,
        RELAYED_SECONDS,
        f" {NotificationCreated.type} {' '.join(sorted(STREAM))} ",
    ]
    for user_id, envelope in events:
        keys += [_stream_of(user_id), f"recado:live:told:{envelope.id}"]
        values += [user_id, envelope.type, msgspec.json.encode(envelope)]
    async with asyncio.timeout(LIMIT_SECONDS):
        await run_script(_PUBLISH, keys, values)


async def read_after(user_id: int, asked: tuple[Position, bytes] | None, count: int = AT_ONCE) -> Part:
    """Return what a user was told after a place; nothing but the newest place for ``None``.

    These are the first ``count`` events at most, and no more than fill ``PART_BYTES``. Raises what Redis raises when it
    is away.
    """
    position, epoch = asked if asked is not None else ("", b"")
    values = (secrets.token_hex(4), epoch, str(position), count, PART_BYTES, KEPT_SECONDS)
    found_epoch, lost, newest, entries, more = await run_script(_READ, (EPOCH, _stream_of(user_id)), values)
    events = [Told(Position.of(entry_id), found_epoch, fields[1], fields[3]) for entry_id, fields in entries]
    return Part(found_epoch, bool(lost), Position.of(newest), events, bool(more))


def decode_message(message: bytes) -> tuple[int, Told]:
    """Read what is told on the channel."""
    user_id, redis_id, epoch, kind, body = message.split(b" ", 4)
    return int(user_id), Told(Position.of(redis_id), epoch, kind, body)


async def run_script(source: str, keys: Sequence[str], values: Sequence[str | bytes | float]) -> Any:
    """Run a script of Redis, which keeps it by its hash."""
    redis = runtime().redis
    try:
        return await redis.evalsha(_hash_of(source), len(keys), *keys, *values)
    except NoScriptError:
        return await redis.eval(source, len(keys), *keys, *values)


def _note_missed(user_ids: Collection[int]) -> None:
    _missed.update(user_ids)
    if not _telling:
        # In a context of its own: it outlives the work that lost the event.
        task = asyncio.get_running_loop().create_task(_tell_missed(), context=contextvars.Context())
        _telling.add(task)
        task.add_done_callback(_telling.discard)


async def _tell_missed() -> None:
    while _missed and not runtime().stopping.is_set():
        await asyncio.sleep(RETRY_SECONDS)
        with suppress(*UNAVAILABLE):
            await append(())


@cache
def _hash_of(source: str) -> str:
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


def _anybody_relays() -> bool:
    return any(isinstance(notifier, Broadcasting) for notifier in runtime().providers.notifiers_by_name.values())


def _stream_of(user_id: int) -> str:
    return f"recado:live:user:{user_id}"
