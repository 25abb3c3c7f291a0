"""What a simulated Evolution server knows: instances, stored messages, and what reached the phones."""

import asyncio
import random
import re
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from plugins.evolution.simulator.addresses import GROUP, LID, PERSON, address_of, brazilian
from plugins.evolution.simulator.options import Options

ConnectionState = Literal["open", "connecting", "close"]


def utc_now() -> datetime:
    """Return the moment by this machine's clock."""
    return datetime.now(UTC)


class Webhook(msgspec.Struct):
    """The webhook of an instance, in either dialect."""

    url: str
    enabled: bool = True
    events: list[str] = []
    by_events: bool = False
    base64: bool = False
    headers: dict[str, str] = {}


class Instance(msgspec.Struct):
    """One instance; ``phone`` is the number it is signed in as."""

    name: str
    token: str
    id: str
    state: ConnectionState = "close"
    phone: str = ""
    integration: str = "WHATSAPP-BAILEYS"
    webhook: Webhook | None = None
    settings: dict[str, Any] = {}
    qr: str = ""
    qr_count: int = 0
    pairing_code: str = ""
    online: bool = True
    disconnection: dict[str, Any] = {}

    @property
    def owner(self) -> str:
        """The account's address, empty before it is signed in."""
        return f"{self.phone}{PERSON}" if self.phone else ""

    @property
    def ignores_groups(self) -> bool:
        """Whether it passes over what concerns groups."""
        return True in (self.settings.get("groupsIgnore"), self.settings.get("groups_ignore"))


class Group(msgspec.Struct, frozen=True):
    """A group that a number is a member of."""

    id: str
    subject: str
    members: tuple[str, ...] = ()
    is_community: bool = False
    created_at: int = 0


class SentFile(msgspec.Struct, frozen=True):
    """What a message carried, as far as anybody asks."""

    mimetype: str
    filename: str
    size: int
    sha256: str


class Message(msgspec.Struct):
    """A message of an instance; ``row_id`` is its id in the server's own database."""

    id: str
    row_id: str
    instance: str
    chat: str
    text: str
    message_type: str
    content: dict[str, Any]
    at: float = 0.0
    from_me: bool = True
    file: SentFile | None = None
    push_name: str = "Simulated phone"
    source: str = "web"
    updates: list[str] = []
    alternative: str = ""
    """``remoteJidAlt``."""
    participant: str = ""
    """Who wrote, in a group."""
    link_preview: bool = False


class Arrival(msgspec.Struct):
    """A message that reached a person's phone; the same text may arrive twice."""

    session: str
    chat_id: str
    text: str
    id: str
    at: float
    kind: str = "conversation"
    file: SentFile | None = None
    link_preview: bool = False


class State:
    """All of it, in memory; every time that is written down or compared is the clock's."""

    def __init__(self, options: Options, now: Callable[[], datetime] = utc_now) -> None:
        self.options = options
        self._now = now
        self.random = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
        self.instances: dict[str, Instance] = {}
        self.messages: dict[tuple[str, str], Message] = {}
        self.arrivals: list[Arrival] = []
        self.lids: dict[str, str] = {}
        self.contacts: dict[tuple[str, str], str] = {}
        """Names by instance and address."""
        self.groups: dict[tuple[str, str], Group] = {}
        self.seen: list[str] = []
        """Ids of the messages that were marked as read."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._missing = {number.strip() for number in options.missing.split(",") if number.strip()}

    def time(self) -> float:
        """Return the moment by the clock, in seconds since 1970."""
        return self._now().timestamp()

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let ``work`` run beside the requests; it ends with the simulator at the latest."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """End all that runs beside the requests."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def make_uuid(self) -> str:
        """Make a UUID that the seed decides."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def make_row_id(self) -> str:
        """Make an id of the server's database."""
        return f"cm{self.random.getrandbits(92):023x}"

    def make_message_id(self, prefix: str = "3EB0") -> str:
        """Make an id of WhatsApp's protocol; phones make theirs with ``3A``."""
        return f"{prefix}{self.random.getrandbits(72):018X}"

    def check(self, number: str) -> tuple[str, bool]:
        """Return the address that the server finds for ``number``, and whether there is an account."""
        address = address_of(number)
        user, _, host = address.partition("@")
        if f"@{host}" == GROUP:
            return address, self.options.any_group or any(known == address for _, known in self.groups)
        if f"@{host}" == LID:
            return address, address in self.lids
        account = self._account(user)
        return (f"{account}{PERSON}", True) if account else (address, False)

    def _account(self, digits: str) -> str:
        """Return the number of the account that ``digits`` belong to, empty where there is none."""
        suffix = self.options.missing_suffix
        if not re.fullmatch(r"\d{8,15}", digits) or digits in self._missing or (suffix and digits.endswith(suffix)):
            return ""
        return brazilian(digits) if self.options.ninth_digit else digits

    def lid_of(self, phone: str) -> str:
        """Return the hidden number of an account, the same each time."""
        lid = f"{10**14 + zlib.crc32(phone.encode())}{LID}"
        self.lids[lid] = phone
        return lid

    def store(self, message: Message) -> None:
        """Put a message into the server's database, and whom it came from or went to among the contacts."""
        self.messages[message.instance, message.id] = message
        place = (message.instance, message.chat)
        name = "" if message.from_me or message.participant else message.push_name
        if message.chat.endswith((PERSON, GROUP, LID)):
            self.contacts[place] = self.contacts.get(place) or name

    def stored(self, instance: str) -> list[Message]:
        """Return the messages of an instance, the newest first."""
        if not self.options.saves_messages:
            return []
        found = [one for one in self.messages.values() if one.instance == instance]
        return sorted(found, key=lambda one: one.at, reverse=True)

    def arrive(self, message: Message) -> None:
        """Note that a message reached its phone, if there is one."""
        if message.chat.endswith((PERSON, GROUP, LID)):
            place = Arrival(message.instance, message.chat, message.text, message.id, round(message.at, 3))
            place.kind, place.file, place.link_preview = message.message_type, message.file, message.link_preview
            self.arrivals.append(place)

    def forget_messages(self, instance: str) -> None:
        """Empty the store of an instance that is deleted."""
        self.messages = {key: one for key, one in self.messages.items() if key[0] != instance}
        self.contacts = {key: one for key, one in self.contacts.items() if key[0] != instance}
        self.groups = {key: one for key, one in self.groups.items() if key[0] != instance}

    def reset(self) -> None:
        """Forget everything."""
        self.instances.clear()
        self.messages.clear()
        self.arrivals.clear()
        self.lids.clear()
        self.contacts.clear()
        self.groups.clear()
        self.seen.clear()

    def duplicates(self) -> Iterator[dict[str, object]]:
        """Yield what one person got more than once: the same text and file in the same chat."""
        counted = Counter((one.chat_id, one.text, one.file.sha256 if one.file else "") for one in self.arrivals)
        for (chat, text, _), times in counted.items():
            if times > 1:
                yield {"chat_id": chat, "text": text, "times": times}


def local_time(options: Options, at: float) -> str:
    """Return a moment as the server's local time, written with the Z that it has no right to."""
    return world_time(at + 60 * options.utc_offset_minutes)


def world_time(at: float) -> str:
    """Return a moment as the database writes it: in UTC."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    return f"{whole}.{int(at % 1 * 1000):03d}Z"
