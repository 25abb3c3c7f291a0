"""The address book, the groups and the chats of a connected number, in whatever shape its engine lists them.

``GET /api/contacts/all``, ``/api/{session}/groups``, ``/api/{session}/chats`` and ``/api/{session}/lids``, each with
``limit`` and ``offset`` (https://waha.devlike.pro/docs/how-to/contacts/ and ``src/core/engines`` of devlikeapro/waha).
The overview of chats is passed over: it fetches a picture and a message for each.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Final

import httpx
import msgspec

from core.plugin import ListedContact, Sender, UnavailableError, decode
from plugins.waha.connection import (
    Connection,
    is_group,
    part,
    phone_of,
    plain_address,
    session_of,
    session_path,
)
from plugins.waha.sessions import Sessions

PAGE: Final = 200
"""Entries asked for at once."""
_LIST_SECONDS = 60.0
"""Limit of one page: the browser engines gather the whole list for each."""
_UNPROCESSABLE = 422
_NO_LIDS = (400, 404, 422, 501)
"""Answers of servers that keep no list of hidden numbers."""
_BY_ID = {"sortBy": "id", "sortOrder": "asc"}


class _Serialized(msgspec.Struct):
    serialized: str = msgspec.field(name="_serialized")


class _Subject(msgspec.Struct):
    subject: str | None = None


class _Entry(msgspec.Struct, rename="camel"):
    """A person, a group or a chat; which fields there are depends on the engine."""

    id: str | _Serialized | None = None
    jid: str | None = msgspec.field(name="JID", default=None)
    """GOWS's groups."""
    name: str | None = None
    gows_name: str | None = msgspec.field(name="Name", default=None)
    pushname: str | None = None
    """What a person calls themselves."""
    subject: str | None = None
    group_metadata: _Subject | None = None
    phone_number: str | None = None
    """NOWEB's, where ``id`` hides the number."""
    is_my_contact: bool | None = None
    is_me: bool | None = None

    @property
    def address(self) -> str:
        """Who it is."""
        found = self.id.serialized if isinstance(self.id, _Serialized) else self.id or self.jid
        return plain_address(found or "")

    @property
    def title(self) -> str:
        """What the number's owner, or the group, calls it."""
        metadata = self.group_metadata.subject if self.group_metadata else None
        return _clean(self.name or self.gows_name or self.subject or metadata)


class _Identity(msgspec.Struct):
    lid: str | None = None
    phone: str | None = msgspec.field(name="pn", default=None)


async def list_contacts(connection: Connection, sessions: Sessions, sender: Sender) -> AsyncIterator[ListedContact]:
    """Yield people of the address book, groups, then people of the chats, each once.

    Left out are the number itself, channels, lists, the status feed, and people who are known from a group alone:
    they are neither in the address book nor wrote to the number.

    Raises:
        UnavailableError: The session does not run now.
        ProviderError: As ``Client.call``.
    """
    lister = _Lister(connection, sender)
    me = await sessions.me(sender)
    lister.pass_over(me.id, me.lid or "")
    async for contact in lister.address_book():
        yield contact
    async for contact in lister.groups():
        yield contact
    async for contact in lister.chats():
        yield contact


class _Lister:
    """Lists one number's contacts, once."""

    def __init__(self, connection: Connection, sender: Sender) -> None:
        self._connection = connection
        self._sender = sender
        self._session = session_path(sender)
        self._listed: set[str] = set()
        self._pushnames: dict[str, str] = {}
        self._phones: dict[str, str] | None = None

    def pass_over(self, *addresses: str) -> None:
        """List nobody of these."""
        self._listed.update(plain_address(address) for address in addresses if address)

    async def address_book(self) -> AsyncIterator[ListedContact]:
        """Yield who has a name in the address book."""
        parameters = {"session": session_of(self._sender), **_BY_ID}
        async for raw in self._rows("/api/contacts/all", parameters, "listing contacts"):
            entry = part(raw, _Entry) or _Entry()
            if entry.is_me:
                self.pass_over(entry.address)
                continue
            if not entry.title or entry.is_my_contact is False:
                self._pushnames[entry.address] = _clean(entry.pushname) or entry.title
                continue
            contact = await self._person(entry, entry.title)
            if contact:
                yield contact

    async def groups(self) -> AsyncIterator[ListedContact]:
        """Yield the groups the number is in."""
        parameters = {"exclude": "participants", **_BY_ID}
        async for raw in self._rows(f"/api/{self._session}/groups", parameters, "listing groups"):
            entry = part(raw, _Entry) or _Entry()
            if is_group(entry.address) and entry.address not in self._listed:
                self._listed.add(entry.address)
                yield ListedContact(address=entry.address, name=entry.title, group=True)

    async def chats(self) -> AsyncIterator[ListedContact]:
        """Yield people the number has a chat with."""
        async for raw in self._rows(f"/api/{self._session}/chats", _BY_ID, "listing chats"):
            entry = part(raw, _Entry) or _Entry()
            contact = await self._person(entry, entry.title or self._pushnames.get(entry.address, ""))
            if contact:
                yield contact

    async def _person(self, entry: _Entry, name: str) -> ListedContact | None:
        """Return a person who is not listed yet, under the phone number where anybody tells it."""
        address = entry.address
        if address.endswith("@lid"):
            phone = phone_of(entry.phone_number or "") or await self._phone_behind(address)
        else:
            phone = phone_of(address)
            if not phone.strip("0"):
                # A group, a channel, a list; or 0@c.us, which is WhatsApp itself.
                return None
        listed = f"{phone}@c.us" if phone else address
        if {listed, address} & self._listed:
            return None
        self._listed |= {listed, address}
        return ListedContact(address=listed, phone=phone, name=name)

    async def _phone_behind(self, lid: str) -> str:
        if self._phones is None:
            rows = self._rows(f"/api/{self._session}/lids", {}, "listing hidden numbers", accept=_NO_LIDS)
            found = [part(raw, _Identity) or _Identity() async for raw in rows]
            self._phones = {plain_address(one.lid): phone_of(one.phone or "") for one in found if one.lid}
        return self._phones.get(lid, "")

    async def _rows(
        self, path: str, parameters: Mapping[str, str], doing: str, accept: tuple[int, ...] = ()
    ) -> AsyncIterator[msgspec.Raw]:
        """Yield rows page by page; a server that knows no pages repeats itself, which ends it too."""
        offset, before = 0, b""
        while True:
            page = {**parameters, "limit": str(PAGE), "offset": str(offset)}
            answer = await self._connection.get(
                self._sender.server,
                path,
                page,
                doing=doing,
                accept=(*accept, _UNPROCESSABLE),
                limit_seconds=_LIST_SECONDS,
            )
            if answer.status_code in accept:
                return
            if answer.is_error:
                text = "The session does not run, so its contacts cannot be listed."
                raise UnavailableError(text, http_status=answer.status_code)
            rows = _listed(answer, doing)
            if answer.content == before:
                return
            for row in rows:
                yield row
            if len(rows) < PAGE:
                return
            offset, before = offset + PAGE, answer.content


def _listed(answer: httpx.Response, doing: str) -> list[msgspec.Raw]:
    """Return the rows of an answer; NOWEB keys groups by their ids."""
    rows = decode(answer, list[msgspec.Raw] | dict[str, msgspec.Raw], doing)  # type: ignore[arg-type]
    return rows if isinstance(rows, list) else list(rows.values())


def _clean(name: str | None) -> str:
    """Return a name without NUL, which no text in PostgreSQL can hold."""
    return (name or "").replace("\0", "").strip()
