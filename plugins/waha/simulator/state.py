"""What a simulated WAHA knows: sessions, stored messages, contacts, groups, and what reached the phones."""

import asyncio
import random
import zlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from plugins.waha.simulator.options import Options

STATUS_FEED = "status@broadcast"
ACK_NAMES = {-1: "ERROR", 0: "PENDING", 1: "SERVER", 2: "DEVICE", 3: "READ", 4: "PLAYED"}
_FIRST_WITHOUT_NINTH = 31
_IGNORED = (
    ("@g.us", "groups"),
    ("@newsletter", "channels"),
    (STATUS_FEED, "status"),
    ("@broadcast", "broadcast"),
)
_BRAZIL = "55"


class Session(msgspec.Struct):
    """One session; ``phone`` is the number it is signed in as."""

    name: str
    config: dict[str, Any] = {}
    status: str = "STOPPED"
    statuses: list[dict[str, Any]] = []
    phone: str = ""
    qr: str = ""
    pairing_code: str = ""
    restricted_until: float = 0.0
    capping: dict[str, Any] = {}
    """``me.messageCapping``, once it was ordered."""

    @property
    def address(self) -> str:
        """The account's address."""
        return f"{self.phone}@c.us"

    def ignores(self, chat: str) -> bool:
        """Whether ``config.ignore`` drops a chat, and with it its messages and acknowledgements."""
        ignore = self.config.get("ignore") or {}
        return any(chat.endswith(ending) and ignore.get(kind) for ending, kind in _IGNORED)


class SentFile(msgspec.Struct, frozen=True):
    """What a message carried, as far as anybody asks."""

    mimetype: str
    filename: str
    size: int
    sha256: str


class Message(msgspec.Struct):
    """A message in a session's store."""

    id: str
    session: str
    chat: str
    text: str
    at: float
    from_me: bool = True
    kind: str = "text"
    ack: int = 0
    source: str = "api"
    file: SentFile | None = None
    author: str = ""
    """Who wrote it, in a group."""
    preview: bool = False
    seen: bool = False

    @property
    def serialized_id(self) -> str:
        """The id as WAHA writes it; its fourth part is the author of a group's message."""
        author = f"_{self.author}" if self.author else ""
        return f"{'true' if self.from_me else 'false'}_{self.chat}_{self.id}{author}"


class Contact(msgspec.Struct):
    """A person that a session knows; ``name`` is the address book's, empty for who is not in it."""

    session: str
    phone: str
    name: str = ""
    pushname: str = ""
    hidden: bool = False
    """Listed under the hidden number."""


class Group(msgspec.Struct):
    """A group that a session is in, with others."""

    id: str
    session: str
    name: str
    participants: list[str] = []
    """Their phone numbers."""


class Arrival(msgspec.Struct):
    """A message that reached a person's phone; the same id may arrive twice."""

    session: str
    chat_id: str
    text: str
    id: str
    at: float
    kind: str = "text"
    file: SentFile | None = None
    preview: bool = False


def utc_now() -> datetime:
    """Return the present moment, the clock of a simulator that is given no other."""
    return datetime.now(UTC)


class State:
    """All of it, in memory, and as lines of JSON in ``options.file``.

    Every time that is written down or compared is ``now``'s; waiting is the event loop's.
    """

    def __init__(self, options: Options, now: Callable[[], datetime] = utc_now) -> None:
        self.options = options
        self.now = now
        self.begun_ms = self.now_ms()
        self.random = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
        self.sessions: dict[str, Session] = {}
        self.messages: dict[tuple[str, str], Message] = {}
        self.arrivals: list[Arrival] = []
        self.contacts: dict[tuple[str, str], Contact] = {}
        self.groups: dict[str, Group] = {}
        self.lids: dict[str, str] = {}
        self.changed = asyncio.Event()
        """Set, and replaced, whenever a session's status changes."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._missing = {number.strip() for number in options.missing.split(",") if number.strip()}
        self._load()

    def time(self) -> float:
        """Return the Unix time."""
        return self.now().timestamp()

    def now_ms(self) -> int:
        """Return the time as WAHA's envelopes carry it."""
        return int(self.time() * 1000)

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let ``work`` run beside the requests; it ends with the simulator at the latest."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """End all that runs beside the requests."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def account(self, digits: str) -> str:
        """Return the number of the account that ``digits`` belong to, empty where there is none."""
        if not digits.isdecimal() or not 8 <= len(digits) <= 15 or digits in self._missing:  # noqa: PLR2004 - E.164
            return ""
        suffix = self.options.missing_suffix
        if suffix and digits.endswith(suffix):
            return ""
        return _brazilian(digits) if self.options.ninth_digit and digits.startswith(_BRAZIL) else digits

    def lid_of(self, phone: str) -> str:
        """Return the hidden number of an account, the same each time."""
        lid = f"{10**14 + zlib.crc32(phone.encode())}@lid"
        self.lids[lid] = phone
        return lid

    def reached(self, chat: str) -> str:
        """Return the account or group a message to ``chat`` reaches, empty where it reaches nobody."""
        user, _, host = chat.partition("@")
        if host == "g.us":
            return chat if chat in self.groups else ""
        if host == "lid":
            return self.lids.get(chat, "")
        return user if host == "c.us" and self.account(user) == user else ""

    def save_session(self, session: Session) -> None:
        """Keep a session over a restart."""
        self._write({"session": session})

    def save_contact(self, contact: Contact) -> None:
        """Keep a contact, in place of an earlier one of the same phone."""
        self.contacts[contact.session, contact.phone] = contact
        if contact.hidden:
            self.lid_of(contact.phone)
        self._write({"contact": contact})

    def save_group(self, group: Group) -> None:
        """Keep a group."""
        self.groups[group.id] = group
        self._write({"group": group})

    def remove_session(self, name: str) -> None:
        """Forget a session and its store."""
        self.sessions.pop(name, None)
        self.forget_store(name)
        self._write({"removed": name})

    def forget_store(self, session: str) -> None:
        """Empty a session's store, as a logout does."""
        self.messages = {key: value for key, value in self.messages.items() if key[0] != session}
        self._write({"store_removed": session})

    def store(self, message: Message) -> None:
        """Put a message into its session's store; the same id replaces it there."""
        self.messages[message.session, message.id] = message
        self._write({"message": message})

    def arrive(self, arrival: Arrival) -> None:
        """Note what reached a phone."""
        self.arrivals.append(arrival)
        self._write({"arrival": arrival})

    def reset(self) -> None:
        """Forget everything."""
        self.sessions.clear()
        self.messages.clear()
        self.arrivals.clear()
        self.contacts.clear()
        self.groups.clear()
        self.lids.clear()
        if self.options.file:
            Path(self.options.file).write_bytes(b"")

    def duplicates(self) -> Iterator[dict[str, object]]:
        """Yield what one person got more than once: the same text and file in the same chat."""
        counted = Counter((one.chat_id, one.text, one.file.sha256 if one.file else "") for one in self.arrivals)
        for (chat, text, _), times in counted.items():
            if times > 1:
                yield {"chat_id": chat, "text": text, "times": times}

    def _write(self, line: dict[str, object]) -> None:
        if self.options.file:
            with Path(self.options.file).open("ab") as file:
                file.write(msgspec.json.encode(line) + b"\n")

    def _load(self) -> None:
        path = Path(self.options.file) if self.options.file else None
        if path is None or not path.exists():
            return
        for line in path.read_bytes().splitlines():
            try:
                self._apply(msgspec.json.decode(line, type=dict[str, Any]))
            except msgspec.DecodeError:  # the last line of a process that was killed
                continue

    def _apply(self, line: dict[str, Any]) -> None:
        match line:
            case {"session": found}:
                session = msgspec.convert(found, Session)
                self.sessions[session.name] = session
            case {"message": found}:
                # WAHA gives restored messages another source, which therefore proves nothing.
                message = msgspec.structs.replace(msgspec.convert(found, Message), source="app")
                self.messages[message.session, message.id] = message
            case {"arrival": found}:
                self.arrivals.append(msgspec.convert(found, Arrival))
            case {"contact": found}:
                contact = msgspec.convert(found, Contact)
                self.contacts[contact.session, contact.phone] = contact
                if contact.hidden:
                    self.lid_of(contact.phone)
            case {"group": found}:
                group = msgspec.convert(found, Group)
                self.groups[group.id] = group
            case {"removed": name}:
                self.sessions.pop(name, None)
            case {"store_removed": name}:
                self.messages = {key: value for key, value in self.messages.items() if key[0] != name}


def _brazilian(digits: str) -> str:
    """Return the form WhatsApp knows: from area code 31 on mobile numbers lost their ninth digit."""
    area, subscriber = digits[2:4], digits[4:]
    without = int(area or 0) >= _FIRST_WITHOUT_NINTH
    if without and len(subscriber) == 9 and subscriber.startswith("9"):  # noqa: PLR2004 - ninth digit
        return _BRAZIL + area + subscriber[1:]
    if not without and len(subscriber) == 8 and subscriber[0] in "6789":  # noqa: PLR2004 - eight digits
        return f"{_BRAZIL}{area}9{subscriber}"
    return digits
