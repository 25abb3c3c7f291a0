"""What no WAHA has: the phones, as JSON and as a page, and the orders of a test or a rehearsal."""

from typing import Any

import msgspec

from plugins.waha.simulator import shapes
from plugins.waha.simulator.faults import Fault, Faults
from plugins.waha.simulator.http import Refused, Reply, Request, Router, bad_request, json_reply, number
from plugins.waha.simulator.lifecycle import Lifecycle, capping
from plugins.waha.simulator.page import draw
from plugins.waha.simulator.sending import Sending
from plugins.waha.simulator.state import Contact, Group, Message, Session, State
from plugins.waha.simulator.webhooks import Webhooks


class Control:
    """The page at ``/`` and ``/simulator``, and the calls under it."""

    def __init__(
        self, state: State, faults: Faults, webhooks: Webhooks, lifecycle: Lifecycle, sending: Sending
    ) -> None:
        self._state = state
        self._faults = faults
        self._webhooks = webhooks
        self._lifecycle = lifecycle
        self._sending = sending

    def routes(self, router: Router) -> None:
        """Add the calls."""
        for path in ("/", "/simulator"):
            router.add("GET", path, self._page)
        router.add("GET", "/simulator/phone", self._phone)
        router.add("POST", "/simulator/messages", self._message)
        router.add("POST", "/simulator/contacts", self._contact)
        router.add("POST", "/simulator/groups", self._group)
        router.add("POST", "/simulator/sessions/{name}/capping", self._capping)
        router.add("POST", "/simulator/sessions/{name}/scan", self._scan)
        router.add("POST", "/simulator/sessions/{name}/status", self._status)
        router.add("POST", "/simulator/sessions/{name}/restrict", self._restrict)
        router.add("GET", "/simulator/faults", self._list_faults)
        router.add("POST", "/simulator/faults", self._add_fault)
        router.add("DELETE", "/simulator/faults", self._clear_faults)
        router.add("DELETE", "/simulator/state", self._reset)

    async def _phone(self, request: Request) -> Reply:
        """Answer with all that arrived; ``?session=`` and ``?offset=`` choose."""
        session = request.query.get("session")
        found = [one for one in self._state.arrivals if session in {None, one.session}]
        body = {
            "count": len(found),
            "distinct": len({(one.chat_id, one.text, one.file) for one in found}),
            "duplicates": list(self._state.duplicates()),
            "messages": found[number(request.query, "offset", 0) :],
        }
        return json_reply(body)

    async def _message(self, request: Request) -> Reply:
        """Let a person write: ``from`` to the session, or the session's owner on the phone ``to`` somebody.

        ``group`` is where the person writes instead. ``lid`` true writes under the person's hidden number, with the
        phone beside it as engines do that know both; ``hidden`` leaves that out, so that only the look-up tells, and
        with ``unknown`` that does not know either.
        """
        fields = request.fields()
        session = self._session(fields)
        incoming, group = str(fields.get("from", "")), str(fields.get("group", ""))
        phone = (incoming or str(fields.get("to", ""))).partition("@")[0]
        if not phone.isdecimal():
            return bad_request("from or to must be a phone number")
        if group and group not in self._state.groups:
            return bad_request("group must be the id of a group")
        lid = fields.get("lid")
        person = self._state.lid_of(phone) if lid else f"{phone}@c.us"
        if lid == "unknown":
            del self._state.lids[person]
        message = Message(
            f"3A{self._state.random.getrandbits(72):018X}",
            session.name,
            group or person,
            str(fields.get("text", "")),
            self._state.time(),
            not incoming,
            source="app",
            author=person if group else "",
        )
        if not incoming:
            self._sending.execute(session, message)
            return json_reply({"id": message.serialized_id}, 201)
        if not session.ignores(message.chat):
            self._state.store(message)
        payload = shapes.stored(message)
        if lid is True:
            payload["_data"] = {"key": {"remoteJid": person, "remoteJidAlt": f"{phone}@s.whatsapp.net"}}
        for event in self._state.random.sample(("message", "message.any"), 2):
            self._webhooks.emit(session, event, payload, message.chat)
        return json_reply({"id": message.serialized_id}, 201)

    async def _contact(self, request: Request) -> Reply:
        """Let a session know ``phone``: with a ``name`` from the address book, with none from elsewhere."""
        fields = request.fields()
        session, phone = self._session(fields), str(fields.get("phone", ""))
        if not phone.isdecimal():
            return bad_request("phone must be digits")
        contact = Contact(
            session.name,
            phone,
            name=str(fields.get("name", "")),
            pushname=str(fields.get("pushname", "")),
            hidden=bool(fields.get("hidden")),
        )
        self._state.save_contact(contact)
        return json_reply(contact, 201)

    async def _group(self, request: Request) -> Reply:
        """Put a session into a group of ``name`` with ``participants``, their phone numbers."""
        fields = request.fields()
        session, participants = self._session(fields), fields.get("participants") or []
        if not isinstance(participants, list) or not all(str(phone).isdecimal() for phone in participants):
            return bad_request("participants must be phone numbers")
        group_id = f"120363{self._state.random.randrange(10**12):012d}@g.us"
        group = Group(group_id, session.name, str(fields.get("name", "")), [str(phone) for phone in participants])
        self._state.save_group(group)
        return json_reply(group, 201)

    def _session(self, fields: dict[str, Any]) -> Session:
        session = self._state.sessions.get(str(fields.get("session")))
        if session is None:
            raise Refused(bad_request("session must name a session"))
        return session

    async def _scan(self, request: Request) -> Reply:
        """Pair a session with ``phone``; JSON or the page's form."""
        session = self._lifecycle.find(request)
        phone = str(request.fields().get("phone", ""))
        if not phone.isdecimal():
            return bad_request("phone must be digits")
        if session.status != "SCAN_QR_CODE":
            return json_reply({"error": "The session shows no QR code now", "status": session.status}, 409)
        self._lifecycle.sign_in(session, phone)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return Reply(303, headers={"Location": "/"})
        return json_reply({"name": session.name, "status": session.status})

    async def _status(self, request: Request) -> Reply:
        """Force a status, as a phone that logs out or a network that fails does."""
        session = self._lifecycle.find(request)
        self._lifecycle.halt(session)
        fields = request.fields()
        session.phone = "" if fields.get("forget") else session.phone
        self._lifecycle.set_status(session, str(fields.get("status", "FAILED")))
        return json_reply({"name": session.name, "status": session.status})

    async def _restrict(self, request: Request) -> Reply:
        """Refuse people never written to for ``seconds``."""
        session = self._lifecycle.find(request)
        seconds = request.fields().get("seconds", 3600)
        session.restricted_until = self._state.time() + (seconds if isinstance(seconds, int | float) else 3600)
        self._lifecycle.set_status(session, session.status)
        return json_reply({"until": session.restricted_until})

    async def _capping(self, request: Request) -> Reply:
        """Give a session a quota of ``total`` new chats, ``used`` of them gone, in a cycle of ``seconds``."""
        session = self._lifecycle.find(request)
        fields = request.fields()
        total, used = number(fields, "total", 10), number(fields, "used", 0)
        begins = int(self._state.time())
        status = "CAPPED" if used >= total else str(fields.get("status", "NONE"))
        session.capping = capping(status, total, used, begins, begins + number(fields, "seconds", 86_400))
        self._state.save_session(session)
        return json_reply(session.capping)

    async def _list_faults(self, _: Request) -> Reply:
        return json_reply(self._faults.orders)

    async def _add_fault(self, request: Request) -> Reply:
        try:
            fault = msgspec.convert(request.fields(), Fault)
        except msgspec.ValidationError as error:
            raise Refused(bad_request(str(error))) from None
        self._faults.orders.append(fault)
        return json_reply(fault, 201)

    async def _clear_faults(self, _: Request) -> Reply:
        self._faults.orders.clear()
        return Reply(204)

    async def _reset(self, _: Request) -> Reply:
        for session in self._state.sessions.values():
            self._lifecycle.halt(session)
        self._state.reset()
        self._faults.orders.clear()
        return Reply(204)

    async def _page(self, _: Request) -> Reply:
        return Reply(200, draw(self._state).encode(), "text/html; charset=utf-8")
