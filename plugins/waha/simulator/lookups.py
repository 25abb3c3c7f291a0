"""Reads and small calls: versions, QR codes, number checks, the message store."""

import base64
import io
from collections.abc import Mapping

import segno

from plugins.waha.simulator import shapes
from plugins.waha.simulator.faults import REQUEST_KINDS, Faults, Match, failure_reply
from plugins.waha.simulator.http import Refused, Reply, Request, Router, bad_request, json_reply, not_found, number
from plugins.waha.simulator.sending import Sending
from plugins.waha.simulator.state import Message, Session, State


class Lookups:
    """The calls under ``/api`` that send nothing."""

    def __init__(self, state: State, faults: Faults, sending: Sending) -> None:
        self._state = state
        self._faults = faults
        self._sending = sending

    def routes(self, router: Router) -> None:
        """Add the calls."""
        router.add("GET", "/ping", self._ping)
        router.add("GET", "/health", self._health)
        router.add("GET", "/metrics", self._metrics)
        router.add("GET", "/api/server/version", self._version)
        router.add("GET", "/api/version", self._version)
        router.add("GET", "/api/server/status", self._server_status)
        router.add("GET", "/api/contacts/check-exists", self._check_exists)
        router.add("GET", "/api/{session}/auth/qr", self._qr)
        router.add("POST", "/api/{session}/auth/request-code", self._request_code)
        router.add("GET", "/api/{session}/new-message-id", self._new_id)
        router.add("GET", "/api/{session}/lids/pn/{phone}", self._lid)
        router.add("GET", "/api/{session}/lids/{lid}", self._phone)
        router.add("GET", "/api/{session}/chats/all/messages/{id}", self._message)
        router.add("GET", "/api/{session}/chats/{chat}/messages", self._messages)

    async def _ping(self, _: Request) -> Reply:
        return json_reply({"message": "pong"})

    async def _health(self, _: Request) -> Reply:
        if not self._state.options.is_free:
            return json_reply({"message": "Health check is available only in Plus version", "statusCode": 422}, 422)
        return json_reply({"status": "ok", "info": {}, "error": {}, "details": {}})

    async def _version(self, _: Request) -> Reply:
        options = self._state.options
        found = {"version": options.version, "engine": options.engine, "tier": options.tier, "browser": None}
        return json_reply({**found, "platform": "linux/x64", "worker": {"id": None}})

    async def _server_status(self, _: Request) -> Reply:
        uptime = self._state.now_ms() - self._state.begun_ms
        return json_reply({"startTimestamp": self._state.begun_ms, "uptime": uptime, "worker": {"id": None}})

    async def _metrics(self, _: Request) -> Reply:
        """Answer what WAHA_PROMETHEUS_ENABLED switches on; it is off by default, and asks for no key."""
        resident = self._state.options.metrics_bytes
        if not resident:
            return Reply(404)
        text = f"# TYPE waha_process_resident_memory_bytes gauge\nwaha_process_resident_memory_bytes {resident}\n"
        return Reply(200, f"waha_up 1\n{text}".encode(), "text/plain; version=0.0.4; charset=utf-8")

    async def _check_exists(self, request: Request) -> Reply:
        session, phone = request.query.get("session", ""), request.query.get("phone", "")
        where = Match(session=session, path=request.path)
        fault = self._faults.take(REQUEST_KINDS - {"late_success"}, where, is_send=False)
        if fault is not None:
            return failure_reply(fault, request, self._state)
        await self._sending.working(session)
        account = self._state.account("".join(letter for letter in phone if letter.isdecimal()))
        return json_reply({"numberExists": True, "chatId": f"{account}@c.us"} if account else {"numberExists": False})

    async def _qr(self, request: Request) -> Reply:
        session = await self._sending.working(request.path_values["session"], "SCAN_QR_CODE")
        if request.query.get("format") == "raw":
            return json_reply({"value": session.qr})
        picture = io.BytesIO()
        segno.make(session.qr).save(picture, kind="png", scale=6)
        if "application/json" in request.headers.get("accept", ""):
            return json_reply({"mimetype": "image/png", "data": base64.b64encode(picture.getvalue()).decode()})
        return Reply(200, picture.getvalue(), "image/png")

    async def _request_code(self, request: Request) -> Reply:
        session = await self._sending.working(request.path_values["session"], "SCAN_QR_CODE")
        if not str(request.fields().get("phoneNumber", "")).isdecimal():
            return bad_request("phoneNumber must be a string of digits")
        letters = "".join(self._state.random.choices("ABCDEFGHJKLMNPQRSTVWXYZ123456789", k=8))
        session.pairing_code = f"{letters[:4]}-{letters[4:]}"
        return json_reply({"code": session.pairing_code}, 201)

    async def _new_id(self, request: Request) -> Reply:
        await self._sending.working(request.path_values["session"])
        return json_reply({"id": self._sending.new_id()})

    async def _lid(self, request: Request) -> Reply:
        phone = request.path_values["phone"].partition("@")[0]
        account = self._state.account(phone)
        return json_reply({"lid": self._state.lid_of(account) if account else None, "pn": f"{phone}@c.us"})

    async def _phone(self, request: Request) -> Reply:
        lid = f"{request.path_values['lid'].partition('@')[0]}@lid"
        phone = self._state.lids.get(lid)
        return json_reply({"lid": lid, "pn": f"{phone}@c.us" if phone else None})

    async def _message(self, request: Request) -> Reply:
        session = await self._with_store(request)
        wanted = request.path_values["id"]
        message = self._state.messages.get((session.name, wanted))
        if message is None or self._state.options.engine in {"WEBJS", "WPP"}:
            parts = wanted.split("_")
            message = self._state.messages.get((session.name, parts[2])) if len(parts) > 2 else None  # noqa: PLR2004 - serialized
        if message is not None and message.author and wanted not in {message.id, message.serialized_id}:
            # The browser engines know a group's message by its whole id alone.
            message = None
        return json_reply(shapes.stored(message)) if message else not_found("Message not found")

    async def _messages(self, request: Request) -> Reply:
        session = await self._with_store(request)
        chat, query = request.path_values["chat"], request.query
        address = chat if "@" in chat or chat == "all" else f"{chat}@c.us"
        found = [
            message
            for message in self._state.messages.values()
            if message.session == session.name and address in {"all", message.chat} and _passes(message, query)
        ]
        found.sort(key=lambda message: message.at, reverse=query.get("sortOrder") != "asc")
        begin = number(query, "offset", 0)
        return json_reply([shapes.stored(message) for message in found[begin : begin + number(query, "limit", 10)]])

    async def _with_store(self, request: Request) -> Session:
        session = await self._sending.working(request.path_values["session"])
        store = (session.config.get("noweb") or {}).get("store") or {}
        if self._state.options.engine == "NOWEB" and not store.get("enabled"):
            raise Refused(bad_request('Enable NOWEB store "config.noweb.store.enabled=True"'))
        return session


def _passes(message: Message, query: Mapping[str, str]) -> bool:
    at, from_me = int(message.at), str(message.from_me).lower()
    return query.get("filter.fromMe", from_me) == from_me and number(query, "filter.timestamp.gte", at) <= at <= number(
        query, "filter.timestamp.lte", at
    )
