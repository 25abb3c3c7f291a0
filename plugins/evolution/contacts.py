"""A number's address book and groups, as an Evolution server keeps them.

``POST /chat/findContacts/{instance}`` reads the server's own database: pages from 2.3 on, where ``offset`` is the size
of a page, everything at once before (``fetchContacts`` in src/api/services/channel.service.ts). Version 1 calls an
address ``id``, version 2 ``remoteJid``. ``GET /group/fetchAllGroups/{instance}`` asks WhatsApp, and then for the
picture of each group in turn (src/api/integrations/channel/whatsapp/whatsapp.baileys.service.ts).
"""

from collections.abc import AsyncIterator, Iterable, Mapping

import httpx
import msgspec

from core.plugin import ListedContact, RefusedError, Sender, UnavailableError, decode
from plugins.evolution.connection import SLOW_SECONDS, Change, Connection, is_first, is_group, jid_of, path_of, phone_of
from plugins.evolution.failures import read_failure, read_part
from plugins.evolution.instances import Instances

PAGE = 1000
"""Contacts in one request; the server sorts none of them, so few pages are better than many."""
GROUPS_SECONDS = 180.0
"""Limit of the list of groups, which is made with one question to WhatsApp for each."""

_CONTACTS_DOING = "listing contacts"
_CHATS_DOING = "looking for the numbers behind hidden addresses"
_GROUPS_DOING = "listing groups"
_NOT_FOUND, _SERVER_ERROR = 404, 500


class _Contact(msgspec.Struct, rename="camel"):
    remote_jid: str = ""
    id: str = ""
    push_name: object = None


class _Key(msgspec.Struct, rename="camel"):
    remote_jid: str = ""
    remote_jid_alt: str | None = None


class _LastMessage(msgspec.Struct):
    key: _Key


class _Chat(msgspec.Struct, rename="camel"):
    last_message: _LastMessage


class _Group(msgspec.Struct, rename="camel"):
    id: str
    subject: object = None
    is_community: object = False


class Contacts:
    """The ``ContactListing`` group of the provider."""

    def __init__(self, connection: Connection, instances: Instances) -> None:
        self._connection = connection
        self._instances = instances

    async def list_all(self, sender: Sender) -> AsyncIterator[ListedContact]:
        """Yield each person once, then each group; not the number itself, nor channels and broadcasts.

        A hidden address whose phone the server knows is told as that phone.

        Raises:
            UnavailableError: The instance is not connected, so nobody can be asked for its groups.
            ProviderError: As ``Connection.change``.
        """
        names = await self._people(sender)
        hidden = [address for address in names if address.endswith("@lid")]
        phones = await self._phones_behind(sender) if hidden and not is_first(sender.capabilities) else {}
        people: dict[str, str] = {}
        for address, name in names.items():
            known = phones.get(address, address)
            people[known] = people.get(known) or name
        people.pop(await self._instances.find_owner(sender), None)
        for address, name in people.items():
            yield ListedContact(address=address, phone=phone_of(address), name=name)
        for address, name in (await self._groups(sender)).items():
            yield ListedContact(address=address, name=name, group=True)

    async def _people(self, sender: Sender) -> Mapping[str, str]:
        """Return names by address, in the order of the server."""
        names: dict[str, str] = {}
        page = 1
        while True:
            rows = await self._contacts(sender, page)
            before = len(names)
            for row in rows:
                address = jid_of(row.remote_jid or row.id)
                names[address] = names.get(address) or _name(row, address)
            # Before 2.3 each page is the whole, and nothing of the second one is new.
            if is_first(sender.capabilities) or len(rows) != PAGE or len(names) == before:
                break
            page += 1
        return {address: names[address] for address in names if phone_of(address) or address.endswith("@lid")}

    async def _contacts(self, sender: Sender, page: int) -> list[_Contact]:
        """Return a page; a row in a shape of its own keeps its place, so that a full page is known as one."""
        body: dict[str, object] = {"where": {}}
        if not is_first(sender.capabilities):
            body.update({"page": page, "offset": PAGE})
        call = Change("POST", path_of("/chat/findContacts", sender), body, SLOW_SECONDS)
        answer = await self._connection.change(sender.server, call, doing=_CONTACTS_DOING)
        rows = decode(answer, list[msgspec.Raw], _CONTACTS_DOING)
        return [read_part(row, _Contact) or _Contact() for row in rows]

    async def _phones_behind(self, sender: Sender) -> Mapping[str, str]:
        """Return the address of the phone behind each hidden one whose last message names both."""
        call = Change("POST", path_of("/chat/findChats", sender), {"where": {}}, SLOW_SECONDS)
        answer = await self._connection.change(sender.server, call, doing=_CHATS_DOING)
        found: dict[str, str] = {}
        for row in decode(answer, list[msgspec.Raw], _CHATS_DOING):
            chat = read_part(row, _Chat)
            if chat is None or not chat.last_message.key.remote_jid_alt:
                continue
            pair = (jid_of(chat.last_message.key.remote_jid), jid_of(chat.last_message.key.remote_jid_alt))
            both = (pair, pair[::-1])
            found.update({hidden: plain for hidden, plain in both if hidden.endswith("@lid") and phone_of(plain)})
        return found

    async def _groups(self, sender: Sender) -> Mapping[str, str]:
        """Return names by address; a community is no group, though it has some."""
        answer = await self._connection.get(
            sender.server,
            path_of("/group/fetchAllGroups", sender),
            {"getParticipants": "false"},
            doing=_GROUPS_DOING,
            accept=(_NOT_FOUND, _SERVER_ERROR),
            limit_seconds=GROUPS_SECONDS,
        )
        if answer.is_error:
            _raise_refusal(answer)
        if not answer.content:
            return {}  # Version 1 says nothing of the groups of an instance that ignores them.
        groups: Iterable[_Group | None] = (
            read_part(row, _Group) for row in decode(answer, list[msgspec.Raw], _GROUPS_DOING)
        )
        return {
            group.id: _text(group.subject)
            for group in groups
            if group is not None and is_group(group.id) and group.is_community is not True
        }


def _name(row: _Contact, address: str) -> str:
    """Return the name; the server writes the number where it knows none."""
    name = _text(row.push_name)
    return "" if name == address.partition("@")[0] else name


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _raise_refusal(answer: httpx.Response) -> None:
    failure = read_failure(answer.content)
    if failure.says("instance does not exist"):
        raise RefusedError("The server does not know this number: connect it again.", http_status=answer.status_code)
    if failure.offline or failure.says("Connection Closed"):
        text = "The instance is not connected, so its groups cannot be listed."
    else:
        text = f"The server answered {answer.status_code} instead of listing groups: try again later."
    raise UnavailableError(text, http_status=answer.status_code)
