"""Every connection of ``GET /api/events`` in one process, and the one subscription that feeds them.

The subscription exists while anybody listens. When it was lost and is there again, every connection reads on from where
it is in its user's stream, so that nothing is missing and nothing comes twice.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any, Final

import structlog
from litestar.types import Receive, Send
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from core.errors import NotReadyError, NotSignedInError, TooManyRequestsError
from core.live.complaints import Complaints
from core.live.listener import Listener
from core.live.stream import CHANNEL, Position, decode_message
from core.runtime import runtime
from core.security import CurrentUser

BEAT_SECONDS: Final = 15.0
REVIEW_SECONDS: Final = 5.0
"""How soon a sign-in that ended, or a suspended account, loses its connections."""
REVIEW_LIMIT_SECONDS: Final = 5.0
MOST_OF_USER: Final = 20
LONG_SECONDS: Final = 60.0
"""A connection that has stood for so long gives way to a user's newest one, where there are too many."""
GIVE_WAY_RETRY_MS: Final = 30_000
"""How long the browser of one that gave way waits, so that too many pages do not chase each other off."""
PING_SECONDS: Final = 5.0
"""A subscription that stays silent for so long is asked whether it stands."""
RETRY_SECONDS: Final = 0.5
READING: Final = 8
"""Connections that read from Redis at the same time; the process has other uses for it."""

Alive = Callable[[Collection[int], Collection[int]], Awaitable[tuple[Collection[int], Collection[int]]]]
"""Says of ids of sessions and of API keys which of them may still be used."""

_log = structlog.get_logger(__name__)
_complaints = Complaints("live_events_unsubscribed")
_unreadable = Complaints("live_events_undecodable")


class TooManyStreamsError(TooManyRequestsError):
    """One user has just opened as many connections for live events as one process serves."""

    code = "too_many_streams"
    retry_after = 10.0

    def __init__(self) -> None:
        super().__init__(
            f"This account has {MOST_OF_USER} connections for live events already: close one of them.",
            limit=MOST_OF_USER,
        )


class Hub:
    """The listeners of one process; periods are in seconds."""

    def __init__(
        self,
        alive: Alive,
        *,
        beat_seconds: float = BEAT_SECONDS,
        review_seconds: float = REVIEW_SECONDS,
        review_limit_seconds: float = REVIEW_LIMIT_SECONDS,
        long_seconds: float = LONG_SECONDS,
    ) -> None:
        self._alive = alive
        self._beat_seconds = beat_seconds
        self._review_seconds = review_seconds
        self._review_limit_seconds = review_limit_seconds
        self._long_seconds = long_seconds
        self._listeners: dict[int, set[Listener]] = {}
        self._gate = asyncio.Semaphore(READING)
        self._subscribed = False
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []

    def listener(
        self,
        user: CurrentUser,
        asked: tuple[Position, bytes] | None,
        transport: asyncio.Transport | None = None,
    ) -> Listener:
        """Make a connection of a user that goes on after ``asked``, or begins now; ``serve`` lets it listen.

        Of too many, the oldest gives way when it has stood for a while: behind a proxy nobody sees that a page is gone,
        and whoever comes again from another network must not be refused for what they left behind.

        Raises:
            TooManyStreamsError: The user has too many, all of them new.
            NotReadyError: This process is about to end.
        """
        if self._ended:
            raise NotReadyError("This process is about to end: connect again.", code="ending")
        own = self._listeners.get(user.id, set())
        if len(own) >= MOST_OF_USER:
            oldest = min(own, key=lambda one: one.since)
            if asyncio.get_running_loop().time() - oldest.since < self._long_seconds:
                raise TooManyStreamsError
            own.discard(oldest)
            oldest.end(GIVE_WAY_RETRY_MS)
        return Listener(user, asked, self._gate, transport)

    async def ensure_alive(self, user: CurrentUser) -> None:
        """Raise ``NotSignedInError`` where what a user signed in with is over."""
        if await self._over([user]):
            raise NotSignedInError

    async def serve(self, listener: Listener, receive: Receive, send: Send) -> None:
        """Answer a request with events until one side ends it."""
        own = self._listeners.setdefault(listener.user.id, set())
        own.add(listener)
        self._start()
        listener.beat_at = asyncio.get_running_loop().time() + self._beat_seconds
        if self._subscribed:
            listener.catch_up()
        try:
            await listener.serve(receive, send)
        finally:
            own.discard(listener)
            # One that gave way may outlast the others, and new ones be there.
            if not own and self._listeners.get(listener.user.id) is own:
                del self._listeners[listener.user.id]
            if not self._listeners:
                self._stop()

    def end(self) -> None:
        """End every connection and take no new one: the process is asked to end."""
        self._ended = True
        for listener in list(self.listeners()):
            listener.end()

    @property
    def count(self) -> int:
        """How many listen."""
        return sum(map(len, self._listeners.values()))

    def listeners(self) -> Iterator[Listener]:
        """Yield every connection."""
        for own in self._listeners.values():
            yield from own

    def _start(self) -> None:
        if not self._tasks:
            loop = asyncio.get_running_loop()
            # In a context of their own: they outlive the request that begins them.
            works = (self._subscribe(), self._show_life(), self._keep_reviewing())
            self._tasks = [loop.create_task(work, context=contextvars.Context()) for work in works]

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._subscribed = False

    async def _subscribe(self) -> None:
        while True:
            try:
                async with runtime().redis.pubsub() as subscription:
                    await subscription.subscribe(CHANNEL)
                    await self._take(subscription)
            except (RedisError, OSError, TimeoutError) as error:
                _complaints.say(error)
            except Exception:  # noqa: BLE001 - whatever it was, nobody would be told anything any more
                _log.error("live_events_unsubscribed", exc_info=True)
            self._subscribed = False
            await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, subscription: PubSub) -> None:
        asked = False
        while True:
            message = await subscription.get_message(timeout=PING_SECONDS)
            if message is None:
                if asked:
                    raise TimeoutError
                asked = True
                await subscription.ping()
                continue
            asked = False
            self._handle(message)

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] == "subscribe":
            # For the first time, or after the client connected again by itself.
            self._subscribed = True
            for listener in list(self.listeners()):
                listener.catch_up()
        elif message["type"] == "message":
            try:
                user_id, told = decode_message(message["data"])
            except ValueError as error:
                # Of a process of another version, for instance, which the next events must not suffer from.
                _unreadable.say(error)
                return
            for listener in self._listeners.get(user_id, ()):
                listener.offer(told)

    async def _show_life(self) -> None:
        """Show that connections stand."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, self._beat_seconds))
            now = loop.time()
            for listener in list(self.listeners()):
                if listener.beat_at <= now:
                    listener.beat_at = now + self._beat_seconds
                    listener.beat()

    async def _keep_reviewing(self) -> None:
        """End connections whose sign-in is over; on its own, since a database that hangs must not silence them."""
        while True:
            await asyncio.sleep(self._review_seconds)
            await self._review()

    async def _review(self) -> None:
        try:
            async with asyncio.timeout(self._review_limit_seconds):
                over = await self._over([listener.user for listener in self.listeners()])
        except Exception:  # noqa: BLE001 - while the database is away, nobody is sent away
            _log.warning("live_events_not_reviewed", exc_info=True)
            return
        for listener in list(self.listeners()):
            if _credential(listener.user) in over:
                listener.end()

    async def _over(self, users: Collection[CurrentUser]) -> set[tuple[int, int]]:
        """Return the credentials of these users that may be used no longer."""
        used = {_credential(user) for user in users}
        sessions, keys = await self._alive({one for one, _ in used if one}, {one for _, one in used if one})
        return {(session, key) for session, key in used if session not in sessions and key not in keys}


def _credential(user: CurrentUser) -> tuple[int, int]:
    """Return the ids of a user's session and API key, one of which is 0."""
    return user.session_id, user.key_id or 0
