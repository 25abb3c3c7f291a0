"""Find out what became of a message whose send got no answer, or no acknowledgement."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import timedelta

import httpx
import msgspec

from core.plugin import (
    CannotTell,
    Finding,
    Found,
    MessageStatus,
    Prepared,
    ProviderError,
    Sender,
    UncertainError,
    decode,
)
from plugins.evolution.connection import QUICK_SECONDS, Change, Connection, is_first, jid_of, path_of, phone_of
from plugins.evolution.content import read_text, read_time
from plugins.evolution.failures import read_part
from plugins.evolution.outcomes import Key

STATUSES = {
    "ERROR": MessageStatus.FAILED,
    "PENDING": MessageStatus.ACCEPTED,
    "SERVER_ACK": MessageStatus.SENT,
    "DELIVERY_ACK": MessageStatus.DELIVERED,
    "READ": MessageStatus.READ,
    "PLAYED": MessageStatus.READ,
}
"""Their words; DELETED and EDITED say nothing of how far a message came."""
_NUMBERS = tuple(STATUSES)
_ORDER = tuple(MessageStatus)
_DOING = "looking a message up"
_CLOCKS_DIFFER = timedelta(seconds=5)
_PAGE = 50
_MOVABLE_DIGITS = 13
_MOVABLE = {"52": 2, "54": 2, "55": 4}
"""Country codes of Mexico, Argentina and Brazil, and the place of the digit that accounts have or lack."""


class _Update(msgspec.Struct):
    status: object = None


class StoredMessage(msgspec.Struct):
    """A message of a server's store."""

    key: Key
    message: object = None
    time: object = msgspec.field(name="messageTimestamp", default=None)
    status: object = None
    updates: list[_Update] = msgspec.field(name="MessageUpdate", default_factory=list)


class _Page(msgspec.Struct):
    records: list[msgspec.Raw]


class _Answer(msgspec.Struct):
    messages: _Page


def read_status(value: object) -> MessageStatus | None:
    """Translate a status word, or its number; nothing for words that are no progress or that we do not know."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_NUMBERS):
        return STATUSES[_NUMBERS[value]]
    return STATUSES.get(value.upper()) if isinstance(value, str) else None


def furthest(values: Iterable[object]) -> MessageStatus:
    """Return how far a message came: a failure counts only where nothing says that it was sent."""
    known = {status for status in map(read_status, values) if status is not None}
    best = max(known, key=_ORDER.index, default=MessageStatus.ACCEPTED)
    return MessageStatus.FAILED if best is MessageStatus.ACCEPTED and MessageStatus.FAILED in known else best


class Lookup:
    """Asks the store of a server; it may be switched off there, so nothing that is not found is ever ``Absent``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, prepared: Prepared, sender: Sender, ids: Sequence[str], window: timedelta) -> Finding:
        """Look the message up by id, else by its text among what went to its chat within ``window`` of the attempt."""
        try:
            for message_id in ids:
                for stored in await self._list(sender, {"id": message_id}):
                    if stored.key.id == message_id and stored.key.from_me:
                        return await self._found(stored, sender)
            if ids:
                return CannotTell("not_in_store")
            return await self._by_text(prepared, sender, window)
        except ProviderError as error:
            return CannotTell(error.code)

    async def _by_text(self, prepared: Prepared, sender: Sender, window: timedelta) -> Finding:
        """Take the one message with the same text; two could be anybody's."""
        message, begun = prepared.message, prepared.attempted_at
        if begun is None or not message.text:
            return CannotTell("no_message_id")
        fitting: dict[str, StoredMessage] = {}
        for jid in _possible(message.address):
            for stored in await self._list(sender, {"remoteJid": jid, "fromMe": True}):
                sent_at, content = read_time(stored.time), read_text(stored.message)
                if (
                    stored.key.from_me
                    and is_of_chat(stored, jid)
                    and sent_at is not None
                    and begun - _CLOCKS_DIFFER <= sent_at <= begun + window
                    and content.text == message.text
                    and content.is_media == (message.media is not None)
                ):
                    fitting[stored.key.id] = stored
        if len(fitting) != 1:
            return CannotTell("ambiguous" if fitting else "not_in_chat")
        return await self._found(next(iter(fitting.values())), sender)

    async def list_chat(self, sender: Sender, jid: str) -> list[StoredMessage]:
        """Return the latest messages of a chat, the newest first.

        From 2.3.7 on a person with a hidden number is told with the phone, and stored under the hidden number, with the
        phone beside it.
        """
        async for found in self._chats(sender, jid):
            if any(not stored.key.from_me for stored in found):
                return found
        return []

    async def find_phone(self, sender: Sender, address: str) -> str:
        """Return the digits behind a hidden number, as far as a message of its chat names both; version 1 never does.

        Raises:
            ProviderError: The server did not answer.
        """
        jid = jid_of(address)
        if not jid.endswith("@lid") or is_first(sender.capabilities):
            return phone_of(jid)
        async for found in self._chats(sender, jid):
            known = (one for stored in found for one in (stored.key.remote_jid, stored.key.remote_jid_alt))
            phone = next((digits for one in known if one and (digits := phone_of(one))), "")
            if phone:
                return phone
        return ""

    async def _chats(self, sender: Sender, jid: str) -> AsyncIterator[list[StoredMessage]]:
        """Yield what is stored of a chat under its address, then under the other one that a person may have."""
        keys = ({"remoteJid": jid},) if is_first(sender.capabilities) else ({"remoteJid": jid}, {"remoteJidAlt": jid})
        for key in keys:
            yield [stored for stored in await self._list(sender, key) if is_of_chat(stored, jid)]

    async def _list(self, sender: Sender, key: Mapping[str, object]) -> list[StoredMessage]:
        """Return what fits ``key``, the newest first; a record in a shape of its own is passed over."""
        body: dict[str, object] = {"where": {"key": key}}
        body.update({"limit": _PAGE} if is_first(sender.capabilities) else {"page": 1, "offset": _PAGE})
        answer = await self._ask(sender, "/chat/findMessages", body)
        records = _records(answer)
        return [stored for raw in records if (stored := read_part(raw, StoredMessage)) is not None and stored.key.id]

    async def _found(self, stored: StoredMessage, sender: Sender) -> Finding:
        """Say how far it came: version 2 lists a message's statuses with it, version 1 answers them separately."""
        statuses = [stored.status, *(update.status for update in stored.updates)]
        if is_first(sender.capabilities):
            statuses += await self._first_statuses(sender, stored.key.id)
        address = jid_of(stored.key.remote_jid) if stored.key.remote_jid else ""
        return Found((stored.key.id,), furthest(statuses), address)

    async def _first_statuses(self, sender: Sender, message_id: str) -> list[object]:
        try:
            answer = await self._ask(sender, "/chat/findStatusMessage", {"where": {"id": message_id}})
        except ProviderError:
            return []  # That it is there is known already.
        return [update.status for update in read_part(answer.content, list[_Update]) or ()]

    async def _ask(self, sender: Sender, path: str, body: object) -> httpx.Response:
        call = Change("POST", path_of(path, sender), body, QUICK_SECONDS)
        return await self._connection.change(sender.server, call, doing=_DOING)


def is_of_chat(stored: StoredMessage, jid: str) -> bool:
    """Whether a message belongs to the chat: a version that does not know a part of a question leaves it out."""
    known = (stored.key.remote_jid, stored.key.remote_jid_alt or "")
    return jid in {jid_of(one) for one in known if one}


def _records(answer: httpx.Response) -> Iterable[msgspec.Raw]:
    """Return the records of version 2's page or version 1's list.

    Raises:
        UncertainError: It is neither.
    """
    try:
        return decode(answer, _Answer, _DOING).messages.records
    except UncertainError:
        return decode(answer, list[msgspec.Raw], _DOING)


def _possible(address: str) -> Iterable[str]:
    """Name the addresses the chat may be kept under: the server finds the account behind a number, which may differ."""
    yield jid_of(address)
    place = _MOVABLE.get(address[:2])
    if place is not None and len(address) == _MOVABLE_DIGITS and address.isdecimal():
        yield jid_of(address[:place] + address[place + 1 :])
