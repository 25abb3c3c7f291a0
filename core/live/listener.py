"""One connection of ``GET /api/events``: what it was told, and what it still has to be.

It costs one waiting coroutine; a task that writes exists only while there is something to write. What cannot be
written at once is not kept here: whoever is behind reads on from the stream in Redis, so that a slow reader takes no
memory, and one that is too slow for the stream learns that it missed something.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import Sequence
from typing import Final

import msgspec
from litestar.types import Message, Receive, Send
from redis.exceptions import RedisError

from core.events.catalogue import Event, StreamOpened, StreamReset, seal
from core.live.complaints import Complaints
from core.live.connection import end_unanswered
from core.live.stream import PART_BYTES, Position, Told, read_after
from core.security import CurrentUser

RETRY_MS: Final = 2_000
"""How long a browser waits before it connects again."""
BEGIN: Final = f"retry: {RETRY_MS}\n: connected\n\n".encode()
BEAT: Final = b": still here\n\n"
MOST_PENDING: Final = 16
READ_SECONDS: Final = 5.0
SEND_SECONDS: Final = 30.0
"""A connection whose other side takes nothing for so long is ended."""
END_SECONDS: Final = 1.0
HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # nginx would hold events back: https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
    (b"x-accel-buffering", b"no"),
]

_complaints = Complaints("live_events_unreadable")


class Listener:
    """A connection; but for ``serve``, nothing here waits. Without a ``transport``, its server alone ends it."""

    __slots__ = (
        "_beat_due",
        "_behind",
        "_ended",
        "_gate",
        "_opened",
        "_parting",
        "_pending",
        "_position",
        "_send",
        "_transport",
        "_until",
        "_writer",
        "beat_at",
        "since",
        "user",
    )

    def __init__(
        self,
        user: CurrentUser,
        asked: tuple[Position, bytes] | None,
        gate: asyncio.Semaphore,
        transport: asyncio.Transport | None = None,
    ) -> None:
        self.user = user
        self.since = asyncio.get_running_loop().time()
        self.beat_at = 0.0
        """When the connection has been silent for too long, by the clock of the event loop."""
        self._position = asked
        self._gate = gate
        self._opened = self._behind = self._beat_due = self._ended = False
        self._parting = b""
        self._pending: list[Told] = []
        self._transport = transport
        self._send: Send | None = None
        self._until: asyncio.Timeout | None = None
        self._writer: asyncio.Task[None] | None = None

    async def serve(self, receive: Receive, send: Send) -> None:
        """Answer until the other side hangs up or is gone, or ``end`` is called."""
        if self._transport is not None:
            end_unanswered(self._transport, SEND_SECONDS)
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        await send(_body(BEGIN))
        self._send = send
        self._wake()
        try:
            async with asyncio.timeout(None) as self._until:
                if self._ended:
                    return
                while (await receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            pass
        finally:
            self._send = None
            if self._writer is not None:
                self._writer.cancel()
        await self._finish(receive, send)

    def catch_up(self) -> None:
        """Have it read on from where it is."""
        self._behind = True
        self._pending.clear()
        self._wake()

    def offer(self, told: Told) -> None:
        """Have it told an event; what it knows already is passed over."""
        if self._behind:
            return
        if len(self._pending) < MOST_PENDING and sum(len(one.body) for one in self._pending) < PART_BYTES:
            self._pending.append(told)
            self._wake()
        else:
            self.catch_up()

    def beat(self) -> None:
        """Have it show that the connection stands, and try again what failed."""
        self._beat_due = True
        self._wake()

    def end(self, retry_ms: int | None = None) -> None:
        """Have the connection ended; a browser comes again, after ``retry_ms``, and learns then why it may not."""
        self._ended = True
        if retry_ms is not None:
            self._parting = f"retry: {retry_ms}\n\n".encode()
        if self._until is not None:
            self._until.reschedule(asyncio.get_running_loop().time())

    def _wake(self) -> None:
        if self._writer is None and self._send is not None and (self._behind or self._pending or self._beat_due):
            self._writer = asyncio.get_running_loop().create_task(self._write(), context=contextvars.Context())

    async def _write(self) -> None:
        try:
            while self._behind or self._pending or self._beat_due:
                part = await self._read() if self._behind else self._take()
                if part is None or self._send is None:
                    return
                async with asyncio.timeout(SEND_SECONDS):
                    await self._send(_body(part))
        except TimeoutError:
            self._cut()
            self.end()
        finally:
            self._writer = None

    async def _finish(self, receive: Receive, send: Send) -> None:
        """End the answer; where the other side takes nothing, the connection too."""
        try:
            async with asyncio.timeout(END_SECONDS):
                await send(_body(self._parting, more=False))
        except TimeoutError:
            self._cut()
            # The server is told in its own time that the connection is no more.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await receive()

    def _cut(self) -> None:
        """Give up what could not be written: closed in the usual way, a connection waits for it to be taken."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self) -> bytes:
        """Return what came since, as it is written; a sign of life where nothing did."""
        came, self._pending = self._pending, []
        self._beat_due = False
        return self._frames(came) or BEAT

    async def _read(self) -> bytes | None:
        """Return what the stream holds after the present place; ``None`` where Redis is away, to be tried again."""
        # Before the reading: what is offered meanwhile may be too new for it.
        self._behind = self._beat_due = False
        try:
            async with self._gate, asyncio.timeout(READ_SECONDS):
                part = await read_after(self.user.id, self._position)
        except (RedisError, OSError, TimeoutError) as error:
            self._behind = True
            _complaints.say(error)
            return None
        if self._position is None or part.lost:
            begun = StreamReset() if self._position is not None else StreamOpened(resumed=False)
            self._position = (part.newest, part.epoch)
            self._opened = True
            return self._told_here(begun)
        opened = b""
        if not self._opened:
            whole = all(told.type != StreamReset.type.encode() for told in part.events)
            opened = self._told_here(StreamOpened(resumed=True) if whole else StreamReset())
        self._opened = True
        self._behind = self._behind or part.more
        return opened + self._frames(part.events) or BEAT

    def _frames(self, events: Sequence[Told]) -> bytes:
        """Return the new ones among events, which come in their order, as they are written."""
        found = []
        for told in events:
            if self._position is None or told.epoch != self._position[1]:
                # Redis was emptied meanwhile.
                self.catch_up()
                break
            if told.position > self._position[0]:
                self._position = (told.position, told.epoch)
                found.append(told.frame)
        return b"".join(found)

    def _told_here(self, event: Event) -> bytes:
        """Return an event about the connection itself, which stands at the present place."""
        position, epoch = self._position or (Position(0, 0), b"")
        return Told(position, epoch, event.type.encode(), msgspec.json.encode(seal(event))).frame


def _body(part: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": part, "more_body": more}
