"""Sends: what Evolution checks, what it hands to WhatsApp, and the acknowledgements that come back."""

import asyncio
from typing import Any

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.addresses import GROUP
from plugins.evolution.simulator.faults import (
    ACK_KINDS,
    Faults,
    Match,
    boom,
    connection_closed,
    no_group,
    not_on_whatsapp,
)
from plugins.evolution.simulator.files import fields_of, receive_file
from plugins.evolution.simulator.http import Refused, Reply, Request, Router, error_reply, invalid, json_reply
from plugins.evolution.simulator.kinds import KINDS, content_of, flatten, shows_preview, text_of
from plugins.evolution.simulator.state import Instance, Message, State
from plugins.evolution.simulator.webhooks import Webhooks

_STATUSES = ("SERVER_ACK", "DELIVERY_ACK", "READ")
_STATUS_BROADCAST = "status@broadcast"
_GROUPS_SINCE = (2, 3, 0)
_KEY = {"id", "fromMe", "remoteJid"}
_PRESENCES = ("unavailable", "available", "composing", "recording", "paused")


class Sending:
    """The send calls, number checks, typing and seen."""

    def __init__(self, state: State, faults: Faults, webhooks: Webhooks) -> None:
        self._state = state
        self._faults = faults
        self._webhooks = webhooks

    def routes(self, router: Router) -> None:
        """Add the calls."""
        is_v1 = self._state.options.is_v1
        for name, kind in KINDS.items():
            if kind.wrapper or not is_v1:
                router.add("POST", f"/message/{name}/{{instance}}", self._send)
        router.add("POST", "/message/sendTemplate/{instance}", self._template)
        router.add("POST", "/chat/whatsappNumbers/{instance}", self._numbers)
        router.add("POST", "/chat/sendPresence/{instance}", self._typing)
        router.add("PUT" if is_v1 else "POST", "/chat/markMessageAsRead/{instance}", self._seen)

    def instance(self, request: Request) -> Instance:
        """Return the instance of a path; that it exists was asked before."""
        return self._state.instances[request.names["instance"]]

    def where(self, request: Request) -> Match:
        """Return what a fault may be matched against."""
        name = request.names.get("instance", "")
        if not _is_send(request.path):
            return Match(session=name, path=request.path)
        fields, _ = fields_of(request)
        wrapper = fields.get(KINDS[_send_name(request)].wrapper)
        inner = {**fields, **(wrapper if isinstance(wrapper, dict) else {})}
        text = text_of(_send_name(request), inner)
        return Match(session=name, chat_id=str(inner.get("number", "")), text=text, path=request.path)

    async def _send(self, request: Request) -> Reply:
        options, instance, name = self._state.options, self.instance(request), _send_name(request)
        fields, content = fields_of(request)
        flat = flatten(name, fields, is_v1=options.is_v1)
        if instance.state != "open":
            return connection_closed()
        chat = self._chat(instance, name, flat)
        client_id = flat.get("messageId") if options.is_from_2_4 else None
        message_type, body = content_of(name, flat, is_v1=options.is_v1)
        message = Message(
            id=client_id if isinstance(client_id, str) and client_id else self._state.make_message_id(),
            row_id=self._state.make_row_id(),
            instance=instance.name,
            chat=chat,
            text=text_of(name, flat),
            message_type=message_type,
            content=body,
            link_preview=shows_preview(name, flat),
        )
        if KINDS[name].media:
            inner = next(iter(body.values()))
            mimetype, filename = str(inner.get("mimetype") or ""), str(flat.get("fileName") or "")
            message.file = await receive_file(flat[KINDS[name].media], content, mimetype, filename)
        seconds = options.send_seconds + _delay(flat)
        if seconds:
            # A client that has gone changes nothing.
            await asyncio.shield(self._state.begin(self._later(seconds, instance, message)))
        else:
            self._execute(instance, message)
        return json_reply(shapes.sent(message, instance, options), 201)

    def _chat(self, instance: Instance, name: str, flat: dict[str, Any]) -> str:
        """Return the address that a send goes to; the server asks WhatsApp about each number."""
        if name == "sendStatus":
            return _STATUS_BROADCAST
        number = flat["key"]["remoteJid"] if name == "sendReaction" else flat["number"]
        address, exists = self._state.check(number)
        if address.endswith(GROUP):
            self._check_group(instance, exists=exists)
        elif not exists:
            raise Refused(not_on_whatsapp(address, number))
        return address

    def _check_group(self, instance: Instance, *, exists: bool) -> None:
        """Refuse a send to a group that is not there; v1 does where the instance ignores groups."""
        options = self._state.options
        if not exists or (options.is_v1 and instance.ignores_groups):
            raise Refused(no_group(is_old=options.parsed_version < _GROUPS_SINCE))

    async def _later(self, seconds: float, instance: Instance, message: Message) -> None:
        await asyncio.sleep(seconds)
        self._execute(instance, message)

    def _execute(self, instance: Instance, message: Message) -> None:
        """Give a message to WhatsApp: it is stored, and reaches its phone."""
        message.at = self._state.time()
        self._state.store(message)
        shown = shapes.upserted(message, instance, self._state.options)
        self._webhooks.emit(instance, "SEND_MESSAGE", shown)
        self._state.arrive(message)
        if message.chat != _STATUS_BROADCAST:
            _ = self._state.begin(self._acknowledge(instance, message))

    async def _acknowledge(self, instance: Instance, message: Message) -> None:
        state = self._state
        fault = self._faults.take(ACK_KINDS, Match(session=instance.name, chat_id=message.chat, text=message.text))
        if fault is not None and fault.kind == "late_acks":
            await asyncio.sleep(fault.seconds)
        for status in self._statuses(instance, message, fault.kind if fault else ""):
            if state.options.ack_seconds:
                await asyncio.sleep(state.random.uniform(0, state.options.ack_seconds))
            message.updates.append(status)
            update = shapes.updated(message, status, instance, state.options)
            self._webhooks.emit(instance, "MESSAGES_UPDATE", update)

    def _statuses(self, instance: Instance, message: Message, kind: str) -> list[str]:
        # Of a group that is ignored the receipts of the members are passed over.
        is_ignored = instance.ignores_groups and message.chat.endswith(GROUP)
        statuses = list(_STATUSES[:1] if is_ignored else _STATUSES)
        if self._state.random.random() >= self._state.options.read_share and not is_ignored:
            statuses.pop()
        elif message.content.get("audioMessage", {}).get("ptt"):
            statuses.append("PLAYED")
        match kind:
            case "no_acks":
                return []
            case "failed_ack":
                return ["ERROR"]
            case "duplicate_acks":
                return [status for status in statuses for _ in range(2)]
            case "out_of_order_acks":
                return statuses[::-1]
            case "update_without_status":
                # What an update without a status is called depends on the version.
                return [*statuses, "SERVER_ACK" if self._state.options.parsed_version >= (2, 3, 7) else "DELETED"]
        return statuses

    async def _template(self, _: Request) -> Reply:
        return error_reply(400, ["Method not available in the Baileys service"])

    async def _numbers(self, request: Request) -> Reply:
        numbers = request.fields().get("numbers")
        if not isinstance(numbers, list):
            return invalid('instance requires property "numbers"')
        if self.instance(request).state != "open":
            return boom()
        checked = [(str(number), *self._state.check(str(number))) for number in numbers]
        return json_reply([{"jid": jid, "exists": exists, "number": number} for number, jid, exists in checked])

    async def _typing(self, request: Request) -> Reply:
        """Show typing; the request lasts as long as it."""
        fields = request.fields()
        is_v1 = self._state.options.is_v1
        missing = [
            name for name in ("number", *(("options",) if is_v1 else ("delay", "presence"))) if name not in fields
        ]
        if missing:
            return invalid(*(f'instance requires property "{name}"' for name in missing))
        shown = fields["options"] if is_v1 and isinstance(fields["options"], dict) else fields
        if shown.get("presence") not in _PRESENCES:
            return invalid(f"presence is not one of enum values: {','.join(_PRESENCES)}")
        if self.instance(request).state != "open":
            return connection_closed()
        address, exists = self._state.check(str(fields["number"]))
        if not exists:
            return not_on_whatsapp(address, str(fields["number"]))
        await asyncio.sleep(_delay(shown))
        return json_reply({"presence": shown["presence"]}, 201)

    async def _seen(self, request: Request) -> Reply:
        fields = request.fields()
        name = "read_messages" if self._state.options.is_v1 else "readMessages"
        keys = fields.get(name)
        if not isinstance(keys, list) or not all(isinstance(key, dict) and key.keys() >= _KEY for key in keys):
            return invalid(f'instance requires property "{name}"')
        if self.instance(request).state != "open":
            return error_reply(500, ["Read messages fail", "Error: Connection Closed"])
        self._state.seen.extend(str(key["id"]) for key in keys)
        return json_reply({"message": "Read messages", "read": "success"}, 201)


def _send_name(request: Request) -> str:
    return request.path.split("/")[2]


def _is_send(path: str) -> bool:
    return path.startswith("/message/") and path.split("/")[2] in KINDS


def _delay(fields: dict[str, Any]) -> float:
    """Return the seconds of ``delay``, which is in ms."""
    delay = fields.get("delay")
    try:
        return max(0.0, float(delay) / 1000) if isinstance(delay, int | float | str) else 0.0
    except ValueError:
        return 0.0
