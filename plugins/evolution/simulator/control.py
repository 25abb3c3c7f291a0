"""What no Evolution has: the phones, as JSON and as a page, and the orders of a test or a rehearsal."""

from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.addresses import GROUP, PERSON
from plugins.evolution.simulator.faults import Fault, Faults
from plugins.evolution.simulator.http import Refused, Reply, Request, Router, error_reply, json_reply
from plugins.evolution.simulator.lifecycle import Lifecycle
from plugins.evolution.simulator.state import Arrival, Group, Instance, Message, State
from plugins.evolution.simulator.webhooks import Webhooks

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
<p>{count} messages arrived, {repeated} of them repeated. This server imitates Evolution API {version}.</p>
<h2>Instances</h2><table><tr><th>Name</th><th>State</th><th>Phone</th><th></th></tr>{instances}</table>
<h2>Groups</h2><table><tr><th>Name</th><th>Address</th><th>Members</th><th>Instance</th></tr>{groups}</table>
<h2>Latest messages</h2><table><tr><th>To</th><th>Group</th><th>Text</th><th>From instance</th><th>Id</th></tr>
{messages}</table>
</html>
"""


class Control:
    """The page and the calls under ``/simulator``."""

    def __init__(self, state: State, faults: Faults, webhooks: Webhooks, lifecycle: Lifecycle) -> None:
        self._state = state
        self._faults = faults
        self._webhooks = webhooks
        self._lifecycle = lifecycle

    def routes(self, router: Router) -> None:
        """Add the calls."""
        router.add("GET", "/simulator", self._page)
        router.add("GET", "/simulator/phone", self._phone)
        router.add("POST", "/simulator/messages", self._message)
        router.add("POST", "/simulator/contacts", self._contact)
        router.add("POST", "/simulator/groups", self._group)
        router.add("POST", "/simulator/sessions/{name}/scan", self._scan)
        router.add("POST", "/simulator/sessions/{name}/state", self._change)
        router.add("POST", "/simulator/sessions/{name}/network", self._network)
        router.add("POST", "/simulator/sessions/{name}/events", self._emit)
        router.add("GET", "/simulator/faults", self._list_faults)
        router.add("POST", "/simulator/faults", self._add_fault)
        router.add("DELETE", "/simulator/faults", self._clear_faults)
        router.add("DELETE", "/simulator/state", self._reset)

    async def _phone(self, request: Request) -> Reply:
        """Answer with all that arrived, and what was marked as read; ``?session=`` and ``?offset=`` choose."""
        session, offset = request.query.get("session"), request.query.get("offset", "0")
        if not offset.isdecimal():
            return error_reply(400, ["offset must be a number"])
        found = [one for one in self._state.arrivals if session in {None, one.session}]
        body = {
            "count": len(found),
            "distinct": len({(one.chat_id, one.text, one.file) for one in found}),
            "duplicates": list(self._state.duplicates()),
            "messages": found[int(offset) :],
            "seen": self._state.seen,
        }
        return json_reply(body)

    async def _message(self, request: Request) -> Reply:
        """Let a person write: ``from`` to the session, or the session's owner on the phone ``to`` somebody.

        ``lid`` true writes under the person's hidden number, with the phone beside it as a server does that knows
        both: 2.3.7 then tells the two swapped, v1 the hidden number alone; ``hidden`` leaves the phone out everywhere.
        ``group`` writes in a group, which the server passes over where the instance ignores groups.
        """
        fields = request.fields()
        instance = self._session(fields)
        incoming = str(fields.get("from", ""))
        phone = (incoming or str(fields.get("to", ""))).partition("@")[0]
        if not phone.isdecimal():
            return error_reply(400, ["from or to must be a phone number"])
        message = self._typed(instance, phone, str(fields.get("text", "")), from_me=not incoming)
        if fields.get("lid"):
            message.chat, message.alternative = self._hidden(phone, is_known=fields["lid"] is True)
        if fields.get("group"):
            message.chat, message.participant = str(fields["group"]), message.chat
            if instance.ignores_groups:
                return json_reply({"id": message.id}, 201)
        self._state.store(message)
        if not incoming:
            self._state.arrive(message)
        shown = shapes.upserted(message, instance, self._state.options)
        self._webhooks.emit(instance, "MESSAGES_UPSERT", shown)
        return json_reply({"id": message.id}, 201)

    def _typed(self, instance: Instance, phone: str, text: str, *, from_me: bool) -> Message:
        # v1 passes on what it got; 2.3 copies the text to where a plain one stands.
        kind = "extendedTextMessage" if self._state.options.is_v1 else "conversation"
        return Message(
            id=self._state.make_message_id("3A"),
            row_id=self._state.make_row_id(),
            instance=instance.name,
            chat=f"{phone}{PERSON}",
            text=text,
            message_type=kind,
            content={kind: {"text": text} if self._state.options.is_v1 else text},
            at=self._state.time(),
            from_me=from_me,
            push_name="Simulated phone" if from_me else "Ana",
            source="android",
        )

    def _hidden(self, phone: str, *, is_known: bool) -> tuple[str, str]:
        """Return ``remoteJid`` and ``remoteJidAlt`` of a person with a hidden number."""
        lid = self._state.lid_of(phone)
        return (lid, "") if not is_known or self._state.options.is_v1 else (lid, f"{phone}{PERSON}")

    async def _contact(self, request: Request) -> Reply:
        """Put ``name`` and ``address`` into the address book of ``session``."""
        fields = request.fields()
        instance, address = self._session(fields), fields.get("address")
        if not isinstance(address, str) or "@" not in address:
            return error_reply(400, ["address must be one such as 12132132130@s.whatsapp.net"])
        self._state.contacts[instance.name, address] = str(fields.get("name", ""))
        return json_reply({"address": address}, 201)

    async def _group(self, request: Request) -> Reply:
        """Make ``session`` a member of a group called ``name``; ``community`` makes it one of groups."""
        fields = request.fields()
        instance = self._session(fields)
        address = fields.get("address") or f"1203634{self._state.random.randrange(10**11):011d}{GROUP}"
        if not isinstance(address, str) or not address.endswith(GROUP):
            return error_reply(400, [f"address must end in {GROUP}"])
        members = fields.get("members") if isinstance(fields.get("members"), list) else []
        made = Group(
            id=address,
            subject=str(fields.get("name", "")),
            members=tuple(str(phone) for phone in members or ()),
            is_community=fields.get("community") is True,
            created_at=int(self._state.time()),
        )
        self._state.groups[instance.name, address] = made
        return json_reply(made, 201)

    def _session(self, fields: Mapping[str, Any]) -> Instance:
        instance = self._state.instances.get(str(fields.get("session")))
        if instance is None:
            raise Refused(error_reply(400, ["session must name an instance"]))
        return instance

    async def _scan(self, request: Request) -> Reply:
        """Pair an instance with ``phone``; JSON or the page's form."""
        instance = self._find(request)
        phone = str(request.fields().get("phone", ""))
        if not phone.isdecimal():
            return error_reply(400, ["phone must be digits"])
        if not instance.qr:
            return json_reply({"error": "The instance shows no QR code now", "state": instance.state}, 409)
        self._lifecycle.sign_in(instance, phone)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return Reply(303, headers={"location": "/simulator"})
        return json_reply({"name": instance.name, "state": instance.state})

    async def _change(self, request: Request) -> Reply:
        """Close a connection for ``reason`` (401: the phone logged it out), or open it again."""
        instance, fields = self._find(request), request.fields()
        state, reason = fields.get("state", "close"), fields.get("reason", 401)
        if state not in ("open", "connecting", "close") or not isinstance(reason, int):
            return error_reply(400, ["state must be open, connecting or close, and reason a number"])
        if state == "close":
            self._lifecycle.close(instance, reason, forget=fields.get("forget", False) is True)
        else:
            self._lifecycle.halt(instance)
            self._lifecycle.set_state(instance, state)
        return json_reply({"name": instance.name, "state": instance.state})

    async def _network(self, request: Request) -> Reply:
        """Take an instance's network away, or give it back: ``online``."""
        instance, online = self._find(request), request.fields().get("online")
        if not isinstance(online, bool):
            return error_reply(400, ["online must be true or false"])
        self._lifecycle.set_online(instance, online=online)
        return json_reply({"name": instance.name, "online": online})

    async def _emit(self, request: Request) -> Reply:
        """Send ``event`` with ``data`` to the webhooks: what nothing else here causes, or no version knows."""
        instance, fields = self._find(request), request.fields()
        event = fields.get("event")
        if not isinstance(event, str) or not event:
            return error_reply(400, ["event must be a name such as MESSAGES_DELETE"])
        self._webhooks.emit(instance, event, fields.get("data"), is_ordered=True)
        return Reply(204)

    async def _list_faults(self, _: Request) -> Reply:
        return json_reply(self._faults.orders)

    async def _add_fault(self, request: Request) -> Reply:
        try:
            fault = msgspec.convert(request.fields(), Fault)
        except msgspec.ValidationError as error:
            return error_reply(400, [str(error)])
        self._faults.orders.append(fault)
        return json_reply(fault, 201)

    async def _clear_faults(self, _: Request) -> Reply:
        self._faults.orders.clear()
        return Reply(204)

    async def _reset(self, _: Request) -> Reply:
        for instance in self._state.instances.values():
            self._lifecycle.halt(instance)
        self._state.reset()
        self._faults.orders.clear()
        return Reply(204)

    def _find(self, request: Request) -> Instance:
        instance = self._state.instances.get(request.names["name"])
        if instance is None:
            raise Refused(error_reply(404, [f'There is no instance "{request.names["name"]}"']))
        return instance

    async def _page(self, _: Request) -> Reply:
        state = self._state
        page = _PAGE.format(
            count=len(state.arrivals),
            repeated=sum(int(str(one["times"])) - 1 for one in state.duplicates()),
            version=escape(state.options.version),
            instances="".join(_instance_row(one) for one in state.instances.values()),
            groups="".join(
                _row(one.subject, one.id, ", ".join(one.members), name) for (name, _), one in state.groups.items()
            ),
            messages="".join(self._arrival_row(one) for one in state.arrivals[: -_SHOWN - 1 : -1]),
        )
        return Reply(200, page.encode(), "text/html; charset=utf-8")

    def _arrival_row(self, arrival: Arrival) -> str:
        group = self._state.groups.get((arrival.session, arrival.chat_id))
        return _row(arrival.chat_id, group.subject if group else "", _shown(arrival), arrival.session, arrival.id)


def _shown(arrival: Arrival) -> str:
    """Return what stands on the phone: the text, and before it the file."""
    if arrival.file is None:
        return f"{arrival.text} [link preview]" if arrival.link_preview else arrival.text
    name = arrival.file.filename or arrival.file.mimetype
    return f"[{arrival.kind}: {name}, {arrival.file.size} bytes] {arrival.text}".strip()


def _instance_row(instance: Instance) -> str:
    form = (
        f'<form method="post" action="/simulator/sessions/{escape(instance.name)}/scan">'
        '<input name="phone" inputmode="numeric" placeholder="5511988887777" aria-label="Phone" required>'
        " <button>Scan its QR code</button></form>"
    )
    cells = "".join(f"<td>{escape(text)}</td>" for text in (instance.name, instance.state, instance.phone))
    return f"<tr>{cells}<td>{form if instance.qr else ''}</td></tr>"


def _row(*texts: str) -> str:
    return "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>"
