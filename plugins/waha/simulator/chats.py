"""Contacts, groups, chats and hidden numbers, each in the shape of the engine (``src/core/engines`` of WAHA)."""

import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

import segno

from plugins.waha.simulator.faults import wrong_status
from plugins.waha.simulator.http import (
    Refused,
    Reply,
    Request,
    Router,
    bad_request,
    json_reply,
    not_found,
    number,
)
from plugins.waha.simulator.sending import Sending
from plugins.waha.simulator.state import STATUS_FEED, Contact, Group, Session, State

CHANNEL: Final = "120363144038483540@newsletter"
"""A channel stands in the chats of every number."""
_BROWSERS = {"WEBJS", "WPP"}


class Chats:
    """The calls that list people and groups."""

    def __init__(self, state: State, sending: Sending) -> None:
        self._state = state
        self._sending = sending

    def routes(self, router: Router) -> None:
        """Add the calls."""
        router.add("GET", "/api/contacts/all", self._contacts)
        router.add("GET", "/api/screenshot", self._screenshot)
        router.add("GET", "/api/{session}/groups", self._groups)
        router.add("GET", "/api/{session}/chats", self._chats)
        router.add("GET", "/api/{session}/lids", self._lids)

    async def _contacts(self, request: Request) -> Reply:
        session = await self._with_store(request.query.get("session", ""))
        me = Contact(session.name, session.phone, pushname="Simulated phone")
        known = [one for one in self._state.contacts.values() if one.session == session.name]
        rows = [self._contact(one, is_me=one is me) for one in (me, *known)]
        if self._state.options.engine in _BROWSERS:
            rows += [self._group_contact(group) for group in self._groups_of(session)]
        return json_reply(_page(rows, request.query))

    def _contact(self, contact: Contact, *, is_me: bool) -> dict[str, Any]:
        """Return a contact: GOWS and NOWEB tell three fields, the browser engines what WhatsApp Web holds."""
        address = self._address(contact)
        match self._state.options.engine:
            case "GOWS":
                return {"id": address, "name": contact.name, "pushname": contact.pushname}
            case "NOWEB":
                name = {"name": contact.name} if contact.name else {}
                number = {"phoneNumber": f"{contact.phone}@s.whatsapp.net"} if contact.hidden else {}
                return {"id": address, **name, **number, "pushname": contact.pushname}
            case _:
                name = {"name": contact.name, "shortName": contact.name.partition(" ")[0]} if contact.name else {}
                return {
                    "id": address,
                    "number": contact.phone,
                    **name,
                    "pushname": contact.pushname,
                    "isMe": is_me,
                    "isGroup": False,
                    "isWAContact": True,
                    "isMyContact": bool(contact.name),
                    "isBlocked": False,
                }

    def _group_contact(self, group: Group) -> dict[str, Any]:
        found: dict[str, Any] = {"id": group.id, "name": group.name, "isMe": False, "isGroup": True}
        return {**found, "isWAContact": False, "isMyContact": False, "isBlocked": False}

    def _address(self, contact: Contact) -> str:
        return self._state.lid_of(contact.phone) if contact.hidden else f"{contact.phone}@c.us"

    async def _groups(self, request: Request) -> Reply:
        session = await self._sending.working(request.path_values["session"])
        with_people = "participants" not in request.query.get("exclude", "")
        rows = _page([self._group(one, with_people=with_people) for one in self._groups_of(session)], request.query)
        # NOWEB keeps the mapping that it began with.
        return json_reply({row["id"]: row for row in rows} if self._state.options.engine == "NOWEB" else rows)

    def _group(self, group: Group, *, with_people: bool) -> dict[str, Any]:
        engine = self._state.options.engine
        if engine == "GOWS":
            return {"JID": group.id, "OwnerJID": "", "Name": group.name, "Topic": ""} | self._people(
                group, "Participants", with_people=with_people
            )
        if engine == "NOWEB":
            return {"id": group.id, "subject": group.name} | self._people(
                group, "participants", with_people=with_people
            )
        metadata = {"subject": group.name} | self._people(group, "participants", with_people=with_people)
        address: Any = _serialized(group.id) if engine == "WEBJS" else group.id
        return {"id": address, "name": group.name, "isGroup": True, "groupMetadata": metadata}

    def _people(self, group: Group, key: str, *, with_people: bool) -> dict[str, Any]:
        if not with_people:
            return {}
        phones = group.participants
        if self._state.options.engine == "GOWS":
            return {key: [{"JID": self._state.lid_of(one), "PhoneNumber": f"{one}@s.whatsapp.net"} for one in phones]}
        return {key: [{"id": self._state.lid_of(one), "admin": None} for one in phones]}

    async def _chats(self, request: Request) -> Reply:
        session = await self._with_store(request.path_values["session"])
        latest: dict[str, float] = {}
        for message in self._state.messages.values():
            if message.session == session.name:
                latest[message.chat] = max(latest.get(message.chat, 0.0), message.at)
        titles = {group.id: group.name for group in self._groups_of(session)}
        for contact in self._state.contacts.values():
            titles[self._address(contact)] = contact.name
        everything = {**latest, STATUS_FEED: 0.0, CHANNEL: 0.0}
        rows = [self._chat(address, titles.get(address, ""), int(at)) for address, at in everything.items()]
        return json_reply(_page(rows, request.query))

    def _chat(self, address: str, name: str, at: int) -> dict[str, Any]:
        match self._state.options.engine:
            case "GOWS":
                return {"id": address, "name": name, "conversationTimestamp": at}
            case "NOWEB":
                return {"id": address, "conversationTimestamp": at, "unreadCount": 0} | ({"name": name} if name else {})
            case "WPP":
                return {"id": address, "name": name or None, "isGroup": address.endswith("@g.us"), "t": at}
            case _:
                shown = name or address.partition("@")[0]
                found = {"id": _serialized(address), "name": shown, "isGroup": address.endswith("@g.us")}
                return {**found, "timestamp": at, "unreadCount": 0}

    async def _lids(self, request: Request) -> Reply:
        await self._with_store(request.path_values["session"])
        rows = [{"lid": lid, "pn": f"{phone}@c.us"} for lid, phone in self._state.lids.items()]
        return json_reply(_page(rows, request.query))

    async def _screenshot(self, request: Request) -> Reply:
        """Answer the picture of a browser; the other engines show their QR code, and nothing once it is scanned."""
        name = request.query.get("session", "")
        session = self._state.sessions.get(name)
        if session is None or session.status == "STOPPED":
            return not_found("Session not found")
        if session.status == "STARTING":
            return wrong_status(name, "STARTING")
        if self._state.options.engine not in _BROWSERS and session.status != "SCAN_QR_CODE":
            text = "Can not get screenshot for non chrome based engine."
            return json_reply({"message": text, "error": "Unprocessable Entity", "statusCode": 422}, 422)
        picture = io.BytesIO()
        segno.make(session.qr or f"{name} {session.status}").save(picture, kind="png", scale=6)
        # A PNG that WAHA calls a JPEG.
        return Reply(200, picture.getvalue(), "image/jpeg")

    def _groups_of(self, session: Session) -> Iterable[Group]:
        return (group for group in self._state.groups.values() if group.session == session.name)

    async def _with_store(self, name: str) -> Session:
        session = await self._sending.working(name)
        store = (session.config.get("noweb") or {}).get("store") or {}
        if self._state.options.engine == "NOWEB" and not store.get("enabled"):
            raise Refused(bad_request('Enable NOWEB store "config.noweb.store.enabled=True"'))
        return session


def _serialized(address: str) -> dict[str, str]:
    user, _, server = address.partition("@")
    return {"server": server, "user": user, "_serialized": address}


def _page(rows: Iterable[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the part of ``rows`` that ``limit`` and ``offset`` name; without a limit, all."""
    found = list(rows)
    begin = number(query, "offset", 0)
    return found[begin : begin + number(query, "limit", len(found))]
