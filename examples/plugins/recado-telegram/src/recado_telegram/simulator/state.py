"""What the simulated service remembers: the bot, its people, its updates and how quickly it sends."""

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

LONG_POLL_MAX_TIMEOUT = 50
FUTURE = 10
"""An offset further ahead of the last update counts for the beginning (``TQueue::get``)."""
KINDS = ("message", "edited_message", "my_chat_member", "callback_query")

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the simulator; on the command line ``--option name=value``."""

    token: str = "4242:simulated-bot-token"  # noqa: S105 - of a bot that does not exist
    username: str = "recado_bot"
    per_second: Annotated[int, msgspec.Meta(ge=1)] = 30
    """Messages that all chats together get in a second; more are answered 429."""
    per_chat: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Messages that one chat gets in a second."""
    retry_after: Annotated[int, msgspec.Meta(ge=1)] = 1
    """Seconds that a 429 asks to wait; what is sent meanwhile is answered 429 too."""
    everybody: bool = False
    """Whoever is written to has started the bot."""
    seed: int = 0


class Fault(msgspec.Struct, kw_only=True):
    """Trouble with sends: refused, failed inside, or sent with the answer lost."""

    kind: Literal["429", "500", "lost_answer"]
    count: int = 1
    """How many sends it strikes; -1 for all."""
    share: Share = 1.0
    retry_after: int = 1


class Refused(Exception):  # noqa: N818 - an answer of the service, no error of the simulator
    """An answer that is not ``ok``."""

    def __init__(self, status: int, description: str, *, retry_after: int = 0) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after


class Person(msgspec.Struct, kw_only=True):
    """Somebody with a private chat with the bot."""

    id: int
    first_name: str = "Person"
    blocked: bool = False
    deactivated: bool = False
    messages: int = 0

    def chat(self) -> dict[str, Any]:
        """Return the chat as Telegram describes it."""
        return {"id": self.id, "first_name": self.first_name, "type": "private"}


class Arrival(msgspec.Struct, kw_only=True):
    """What reached somebody."""

    chat_id: int
    message_id: int
    method: str
    text: str
    file_bytes: int = 0
    at: float


class Poll:
    """One ``getUpdates`` that waits."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        """Another one came."""


class Service:
    """One bot."""

    def __init__(self, options: Options, now: Callable[[], datetime] = utc_now) -> None:
        self.options = options
        self._now = now
        self.people: dict[int, Person] = {}
        self.arrivals: list[Arrival] = []
        self.written: list[str] = []
        """What people wrote, in its order."""
        self.faults: list[Fault] = []
        self.webhook = ""
        self.slowed_down_at: list[float] = []
        """When a send was answered 429."""
        self.polls = 0
        """How many times updates were asked for."""
        self._chance = random.Random(options.seed)  # noqa: S311 - deals out faults, no secret
        self._updates: list[dict[str, Any]] = []
        self._next_update = 100_000
        self._allowed: frozenset[str] = frozenset(KINDS)
        self._changed = asyncio.Condition()
        self._poll: Poll | None = None
        self._sent: deque[tuple[float, int]] = deque()
        self._spared_until = 0.0

    @property
    def bot(self) -> dict[str, Any]:
        """Return the bot as ``getMe`` does."""
        return {
            "id": int(self.options.token.partition(":")[0]),
            "is_bot": True,
            "first_name": "Recado",
            "username": self.options.username,
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    def timestamp(self) -> int:
        """Return the present second, as Telegram writes it."""
        return int(self._now().timestamp())

    async def start(self, person: Person) -> None:
        """Let somebody press *Start*, or come back after having blocked the bot."""
        known = self.people.setdefault(person.id, person)
        known.blocked = False
        await self.write(person.id, "/start")

    async def write(self, person_id: int, text: str, *, chat: Mapping[str, Any] | None = None) -> None:
        """Let somebody write to the bot, or in ``chat``, a group that it is in."""
        person = self.people[person_id]
        person.messages += 1
        self.written.append(text)
        sender = {"id": person.id, "is_bot": False, "first_name": person.first_name}
        message = {
            "message_id": person.messages,
            "from": sender,
            "chat": chat or person.chat(),
            "date": self.timestamp(),
            "text": text,
        }
        await self.add_update("message", message)

    async def add_update(self, kind: str, content: Mapping[str, Any]) -> None:
        """Keep an update of a kind that is allowed, and wake whoever waits for one."""
        if kind not in self._allowed:
            return
        async with self._changed:
            self._updates.append({"update_id": self._next_update, kind: dict(content)})
            self._next_update += 1
            self._changed.notify_all()

    async def updates(self, offset: int, limit: int, wait_seconds: float) -> Sequence[dict[str, Any]]:
        """Confirm what is below ``offset``, then wait for the rest; the poll before this one is over."""
        if self.webhook:
            raise Refused(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook"
                " first",
            )
        self.polls += 1
        if self._poll is not None:
            self._poll.ended.set()
        async with self._changed:
            self._changed.notify_all()
        poll = self._poll = Poll()
        self._confirm(offset)
        try:
            async with asyncio.timeout(min(wait_seconds, LONG_POLL_MAX_TIMEOUT)), self._changed:
                await self._changed.wait_for(lambda: bool(self._updates) or poll.ended.is_set())
        except TimeoutError:
            pass
        if poll.ended.is_set():
            raise Refused(
                409,
                "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            )
        return self._updates[:limit]

    def allow(self, kinds: Sequence[str]) -> None:
        """Keep updates of these kinds from now on; an empty list stands for all."""
        self._allowed = frozenset(kinds or KINDS)

    def reach(self, chat_id: str) -> Person:
        """Return who is written to; raises ``Refused`` where nobody can be."""
        if not chat_id:
            raise Refused(400, "Bad Request: chat_id is empty")
        number = int(chat_id) if chat_id.lstrip("-").isdecimal() else 0
        if self.options.everybody and number:
            self.people.setdefault(number, Person(id=number))
        person = self.people.get(number)
        if person is None:
            raise Refused(400, "Bad Request: chat not found")
        if person.deactivated:
            raise Refused(403, "Forbidden: user is deactivated")
        if person.blocked:
            raise Refused(403, "Forbidden: bot was blocked by the user")
        return person

    def limit_pace(self, person: Person) -> None:
        """Count a message; raises ``Refused`` for one that comes too soon."""
        now = self._now().timestamp()
        while self._sent and self._sent[0][0] <= now - 1:
            self._sent.popleft()
        if now < self._spared_until:
            raise self.slow_down(max(1, math.ceil(self._spared_until - now)))
        in_chat = sum(chat == person.id for _, chat in self._sent)
        if len(self._sent) >= self.options.per_second or in_chat >= self.options.per_chat:
            self._spared_until = now + self.options.retry_after
            raise self.slow_down(self.options.retry_after)
        self._sent.append((now, person.id))

    def deliver(self, person: Person, method: str, text: str, file_bytes: int) -> int:
        """Put a message into somebody's chat and return its number."""
        person.messages += 1
        self.arrivals.append(
            Arrival(
                chat_id=person.id,
                message_id=person.messages,
                method=method,
                text=text,
                file_bytes=file_bytes,
                at=self._now().timestamp(),
            )
        )
        return person.messages

    def slow_down(self, seconds: int) -> Refused:
        """Return the 429 that asks to wait so long, and note it."""
        self.slowed_down_at.append(self._now().timestamp())
        return Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)

    def strike(self) -> Fault | None:
        """Return the fault that strikes this send."""
        for fault in self.faults:
            if fault.count != 0 and self._chance.random() < fault.share:
                fault.count -= fault.count > 0
                if fault.kind == "429":
                    self._spared_until = self._now().timestamp() + fault.retry_after
                return fault
        return None

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            self._updates = self._updates[offset:]
        elif offset <= self._next_update + FUTURE:
            self._updates = [update for update in self._updates if update["update_id"] >= offset]
