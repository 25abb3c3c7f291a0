"""What no WAHA has: the phones, as JSON and as a page, and the orders of a test or a rehearsal."""

import time
from html import escape
from typing import Any

import msgspec

from plugins.waha.simulator import shapes
from plugins.waha.simulator.faults import Fault, Faults
from plugins.waha.simulator.http import Refused, Reply, Request, Router, bad_request, json_reply, number
from plugins.waha.simulator.lifecycle import Lifecycle
from plugins.waha.simulator.sending import Sending
from plugins.waha.simulator.state import Arrival, Message, State
from plugins.waha.simulator.webhooks import Webhooks

_SHOWN = 200
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Simulated phones</title>
<meta name="viewport" content="width=device-width">
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top }}
</style>
<h1>Simulated phones</h1>
<p>{count} messages arrived, {repeated} of them repeated. This server imitates WAHA {version} with {engine}.</p>
<h2>Sessions</h2><table><tr><th>Name</th><th>Status</th><th>Phone</th><th></th></tr>{sessions}</table>
<h2>Latest messages</h2><table><tr><th>To</th><th>Text</th><th>From session</th><th>Id</th></tr>{messages}</table>
</html>
"""


class Control:
    """The page at ``/`` and the calls under ``/simulator``."""

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
        router.add("GET", "/", self._page)
        router.add("GET", "/simulator/phone", self._phone)
        router.add("POST", "/simulator/messages", self._message)
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

        ``lid`` true writes under the person's hidden number, with the phone beside it as engines do that know both;
        ``hidden`` leaves that out, so that only the look-up tells, and with ``unknown`` that does not know either.
        """
        fields = request.fields()
        session = self._state.sessions.get(str(fields.get("session")))
        if session is None:
            return bad_request("session must name a session")
        incoming = str(fields.get("from", ""))
        phone = (incoming or str(fields.get("to", ""))).partition("@")[0]
        if not phone.isdecimal():
            return bad_request("from or to must be a phone number")
        text = str(fields.get("text", ""))
        lid = fields.get("lid")
        chat = self._state.lid_of(phone) if lid else f"{phone}@c.us"
        if lid == "unknown":
            del self._state.lids[chat]
        message_id = f"3A{self._state.random.getrandbits(72):018X}"
        message = Message(message_id, session.name, chat, text, time.time(), bool(not incoming), source="app")
        if not incoming:
            self._sending.execute(session, message)
            return json_reply({"id": message.serialized_id}, 201)
        self._state.store(message)
        payload = shapes.stored(message)
        if lid is True:
            payload["_data"] = {"key": {"remoteJid": chat, "remoteJidAlt": f"{phone}@s.whatsapp.net"}}
        for event in self._state.random.sample(("message", "message.any"), 2):
            self._webhooks.emit(session, event, payload)
        return json_reply({"id": message.serialized_id}, 201)

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
        session.restricted_until = time.time() + (seconds if isinstance(seconds, int | float) else 3600)
        self._lifecycle.set_status(session, session.status)
        return json_reply({"until": session.restricted_until})

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
        options = self._state.options
        page = _PAGE.format(
            count=len(self._state.arrivals),
            repeated=sum(int(str(one["times"])) - 1 for one in self._state.duplicates()),
            version=escape(options.version),
            engine=options.engine,
            sessions="".join(_session_row(one) for one in self._state.sessions.values()),
            messages="".join(
                _row(one.chat_id, _shown(one), one.session, one.id) for one in self._state.arrivals[: -_SHOWN - 1 : -1]
            ),
        )
        return Reply(200, page.encode(), "text/html; charset=utf-8")


def _shown(arrival: Arrival) -> str:
    """Return what stands on the phone: the text, and before it the file."""
    if arrival.file is None:
        return arrival.text
    name = arrival.file.filename or arrival.file.mimetype
    return f"[{arrival.kind}: {name}, {arrival.file.size} bytes] {arrival.text}".strip()


def _session_row(session: Any) -> str:
    form = (
        f'<form method="post" action="/simulator/sessions/{escape(session.name)}/scan">'
        '<input name="phone" inputmode="numeric" placeholder="5511988887777" aria-label="Phone" required>'
        " <button>Scan its QR code</button></form>"
    )
    cells = "".join(f"<td>{escape(text)}</td>" for text in (session.name, session.status, session.phone))
    return f"<tr>{cells}<td>{form if session.status == 'SCAN_QR_CODE' else ''}</td></tr>"


def _row(*texts: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
