"""Instances from ``close`` to ``open`` and back, and the calls that drive them."""

import asyncio
from typing import Any

import segno

from plugins.evolution.simulator import shapes
from plugins.evolution.simulator.faults import hidden_error
from plugins.evolution.simulator.hooks import read_v1, read_v2
from plugins.evolution.simulator.http import Refused, Reply, Request, Router, error_reply, invalid, json_reply
from plugins.evolution.simulator.people import created_settings
from plugins.evolution.simulator.state import Instance, State
from plugins.evolution.simulator.webhooks import Webhooks

_INTEGRATIONS = ("WHATSAPP-BAILEYS", "WHATSAPP-BUSINESS", "EVOLUTION")
_STORM_SECONDS = 1 / 15
_LETTERS = "ABCDEFGHJKLMNPQRSTVWXYZ123456789"
_LOGGED_OUT, _CLOSED = 401, 428


class Lifecycle:
    """Moves instances on; each that connects has a task that does it."""

    def __init__(self, state: State, webhooks: Webhooks) -> None:
        self._state = state
        self._webhooks = webhooks
        self._running: dict[str, asyncio.Task[Any]] = {}

    def routes(self, router: Router) -> None:
        """Add the calls of ``/instance``."""
        is_v1 = self._state.options.is_v1
        router.add("POST", "/instance/create", self._create)
        router.add("GET", "/instance/fetchInstances", self._list)
        router.add("GET", "/instance/connect/{instance}", self._connect)
        router.add("GET", "/instance/connectionState/{instance}", self._connection_state)
        router.add("PUT" if is_v1 else "POST", "/instance/restart/{instance}", self._restart)
        router.add("POST", "/instance/setPresence/{instance}", self._presence)
        router.add("DELETE", "/instance/logout/{instance}", self._logout)
        router.add("DELETE", "/instance/delete/{instance}", self._delete)

    def halt(self, instance: Instance) -> None:
        """End whatever moves an instance on."""
        task = self._running.pop(instance.name, None)
        if task is not None:
            task.cancel()
        instance.qr, instance.qr_count, instance.pairing_code = "", 0, ""

    def sign_in(self, instance: Instance, phone: str) -> None:
        """Pair an instance with a phone, as a person who scans the QR code does."""
        self.halt(instance)
        instance.phone, instance.disconnection = phone, {}
        self._state.contacts[instance.name, instance.owner] = "Simulated phone"
        self.set_state(instance, "open")

    def set_state(self, instance: Instance, state: str, reason: int = 200) -> None:
        """Change the connection and tell the webhooks; ``refused`` is told, but leaves the instance closed."""
        instance.state = "close" if state == "refused" else state  # type: ignore[assignment]
        told: dict[str, Any] = {"instance": instance.name}
        if state == "open" and not self._state.options.is_v1:
            told |= {"wuid": instance.owner, "profileName": "Simulated phone", "profilePictureUrl": None}
        self._webhooks.emit(instance, "CONNECTION_UPDATE", {**told, "state": state, "statusReason": reason})

    def close(self, instance: Instance, reason: int, *, forget: bool) -> None:
        """End a connection for good; ``forget`` as a phone that logs the device out does."""
        self.halt(instance)
        instance.phone = "" if forget else instance.phone
        self._webhooks.emit(
            instance, "STATUS_INSTANCE", shapes.status_closed(instance, reason, self._state.options, self._state.time())
        )
        self.set_state(instance, "close", reason)

    def set_online(self, instance: Instance, *, online: bool) -> None:
        """Take an instance's network away, so that it reconnects without end, or give it back."""
        instance.online = online
        self.begin(instance)

    def begin(self, instance: Instance, number: str = "") -> None:
        """Connect an instance; with ``number`` its QR codes come with a pairing code."""
        self.halt(instance)
        self.set_state(instance, "connecting")
        work = self._advance(instance, number) if instance.online else self._storm(instance)
        self._running[instance.name] = self._state.begin(work)

    async def _advance(self, instance: Instance, number: str) -> None:
        options = self._state.options
        if options.start_seconds:
            await asyncio.sleep(options.start_seconds)
        if instance.phone:
            self.set_state(instance, "open")
            return
        for turn in range(options.qr_limit):
            instance.qr = "2@" + "".join(f"{self._state.random.getrandbits(32):08x}" for _ in range(8))
            instance.qr_count = turn + 1
            if number:
                instance.pairing_code = "".join(self._state.random.choices(_LETTERS, k=8))
            shown = shapes.qrcode(instance, picture(instance))
            del shown["count"]
            self._webhooks.emit(instance, "QRCODE_UPDATED", {"qrcode": {"instance": instance.name, **shown}})
            await asyncio.sleep(options.qr_seconds * (3 if turn == 0 else 1))
        instance.qr, instance.qr_count, instance.pairing_code = "", 0, ""
        limit = {"message": "QR code limit reached, please login again", "statusCode": 500}
        self._webhooks.emit(instance, "QRCODE_UPDATED", limit)
        self.set_state(instance, "refused", _CLOSED)

    async def _storm(self, instance: Instance) -> None:
        """Reconnect in a hot loop, as the server does without a network: some 15 events a second."""
        while True:
            await asyncio.sleep(_STORM_SECONDS)
            self.set_state(instance, "close", _CLOSED)
            await asyncio.sleep(_STORM_SECONDS)
            self.set_state(instance, "connecting")

    async def _create(self, request: Request) -> Reply:
        options, fields = self._state.options, request.fields()
        name = fields.get("instanceName")
        if not isinstance(name, str) or not name:
            return invalid('instance requires property "instanceName"')
        if name in self._state.instances:
            return error_reply(403, [f'This name "{name}" is already in use.'])
        integration = fields.get("integration", "WHATSAPP-BAILEYS" if options.is_v1 else "")
        if integration not in _INTEGRATIONS:
            return error_reply(400, ["Invalid integration"])
        hook = read_v1(fields, of_creation=True) if options.is_v1 else read_v2(fields, of_creation=True)
        token = str(fields.get("token") or self._state.make_uuid().upper())
        instance = Instance(name, token, self._state.make_uuid(), integration=integration, webhook=hook)
        instance.settings = created_settings(fields, is_v1=options.is_v1)
        self._state.instances[name] = instance
        self._webhooks.emit(instance, "INSTANCE_CREATE", {"instanceName": name, "instanceId": instance.id})
        if fields.get("qrcode") is True:
            self.begin(instance, str(fields.get("number") or ""))
            await asyncio.sleep(options.create_seconds)
        return json_reply(self._created(instance, with_qr=fields.get("qrcode") is True), 201)

    def _created(self, instance: Instance, *, with_qr: bool) -> dict[str, Any]:
        hook = instance.webhook
        code = {"qrcode": shapes.qrcode(instance, picture(instance))} if with_qr else {}
        names = {"instanceName": instance.name, "instanceId": instance.id}
        if self._state.options.is_v1:
            shown: dict[str, Any] = {"webhook": hook.url, "webhook_by_events": hook.by_events} if hook else {}
            shown |= {"events": hook.events} if hook else {}
            return {
                "instance": {**names, "status": "created"},
                "hash": {"apikey": instance.token},
                "webhook": shown,
                "settings": instance.settings,
                **code,
            }
        shown = {"webhookUrl": hook.url, "webhookHeaders": hook.headers} if hook else {}
        shown |= {"webhookByEvents": hook.by_events, "webhookBase64": hook.base64} if hook else {}
        names |= {"integration": instance.integration}
        return {
            "instance": {
                **names,
                "webhookWaBusiness": None,
                "accessTokenWaBusiness": "",
                "status": instance.state,
            },
            "hash": instance.token,
            "webhook": shown,
            **{channel: {} for channel in ("websocket", "rabbitmq", "nats", "sqs")},
            "settings": instance.settings,
            **code,
        }

    async def _list(self, request: Request) -> Reply:
        """Answer with all instances, or with those of a name, an id, a number, or an instance's own token.

        To a name v1 answers with the object alone, without a list around it.
        """
        found = list(self._state.instances.values())
        key = request.headers.get("apikey", "")
        is_own = key != self._state.options.api_key and any(one.token == key for one in found)
        if is_own:
            found = [one for one in found if one.token == key]
        query = request.query
        wanted = query.get("instanceName") or query.get("instanceId") or query.get("number")
        if wanted:
            found = [one for one in found if _answers_to(one, query)]
        if wanted and not found:
            return error_reply(404, [f'Instance "{wanted}" not found'])
        counts = [sum(message.instance == one.name for message in self._state.messages.values()) for one in found]
        options = self._state.options
        rows = [shapes.listed(one, options, count) for one, count in zip(found, counts, strict=True)]
        is_alone = options.is_v1 and query.get("instanceName") and not is_own
        return json_reply(rows[0] if is_alone else rows)

    async def _connect(self, request: Request) -> Reply:
        instance = self.find(request)
        if instance.state == "open":
            return json_reply(_state_of(instance))
        if instance.state == "close" and instance.online:
            self.begin(instance, request.query.get("number", ""))
            await asyncio.sleep(self._state.options.connect_seconds)
        return json_reply(shapes.qrcode(instance, picture(instance)))

    async def _connection_state(self, request: Request) -> Reply:
        return json_reply(_state_of(self.find(request)))

    async def _restart(self, request: Request) -> Reply:
        instance = self.find(request)
        if instance.state != "close":
            was_open = instance.state == "open"
            self.begin(instance)
            if not was_open:
                await asyncio.sleep(self._state.options.connect_seconds)
                return json_reply(shapes.qrcode(instance, picture(instance)))
        elif not self._state.options.is_v1:
            return hidden_error()
        return json_reply(_state_of(instance))

    async def _presence(self, request: Request) -> Reply:
        presence = request.fields().get("presence")
        if presence not in ("available", "unavailable"):
            return invalid("presence is not one of enum values: available,unavailable")
        return json_reply({"presence": presence}, 201)

    async def _logout(self, request: Request) -> Reply:
        instance = self.find(request)
        if instance.state == "close":
            return error_reply(400, [f'The "{instance.name}" instance is not connected'])
        self._sign_out(instance)
        return _done("Instance logged out")

    async def _delete(self, request: Request) -> Reply:
        instance = self.find(request)
        if instance.state == "open" and self._state.options.is_v1:
            return error_reply(400, [f'The "{instance.name}" instance needs to be disconnected'])
        if instance.state != "close":
            self._sign_out(instance)
        self.halt(instance)
        names = {"instanceName": instance.name, "instanceId": instance.id}
        self._webhooks.emit(instance, "INSTANCE_DELETE", names)
        self._webhooks.emit(instance, "REMOVE_INSTANCE", None)
        del self._state.instances[instance.name]
        self._state.forget_messages(instance.name)
        return _done("Instance deleted")

    def _sign_out(self, instance: Instance) -> None:
        self._webhooks.emit(instance, "LOGOUT_INSTANCE", None)
        self.close(instance, _LOGGED_OUT, forget=True)

    def find(self, request: Request) -> Instance:
        """Return the instance named in the path, or answer 404."""
        name = request.names["instance"]
        instance = self._state.instances.get(name)
        if instance is None:
            raise Refused(error_reply(404, [f'The "{name}" instance does not exist']))
        return instance


def picture(instance: Instance) -> str:
    """Return the QR code as a data URL, empty where there is none."""
    return segno.make(instance.qr).png_data_uri(scale=6) if instance.qr else ""


def _state_of(instance: Instance) -> dict[str, Any]:
    return {"instance": {"instanceName": instance.name, "state": instance.state}}


def _answers_to(instance: Instance, query: Any) -> bool:
    return (
        query.get("instanceName") in {None, instance.name}
        and query.get("instanceId") in {None, instance.id}
        and query.get("number") in {None, instance.phone}
    )


def _done(message: str) -> Reply:
    return json_reply({"status": "SUCCESS", "error": False, "response": {"message": message}})
