"""Sends: what WAHA checks and hands to WhatsApp; typing and seen."""

import asyncio
from typing import Any

from plugins.waha.simulator import shapes
from plugins.waha.simulator.acks import Acks
from plugins.waha.simulator.faults import (
    REQUEST_KINDS,
    Fault,
    Faults,
    Match,
    exception_reply,
    failure_reply,
    wrong_status,
)
from plugins.waha.simulator.files import FetchFailed, receive_file
from plugins.waha.simulator.http import Refused, Reply, Request, Router, bad_request, json_reply
from plugins.waha.simulator.state import Arrival, Message, SentFile, Session, State
from plugins.waha.simulator.webhooks import Webhooks

_FILES = {
    "/api/sendImage": "image",
    "/api/sendFile": "document",
    "/api/sendVoice": "audio",
    "/api/sendVideo": "video",
}
_SEEN_SECONDS = 7 * 86_400
"""How far back ``sendSeen`` looks for unread messages."""


class Sending:
    """The send calls, typing and seen."""

    def __init__(self, state: State, faults: Faults, webhooks: Webhooks) -> None:
        self._state = state
        self._faults = faults
        self._webhooks = webhooks
        self._acks = Acks(state, faults, webhooks)

    def routes(self, router: Router) -> None:
        """Add the calls."""
        for path in ("/api/sendText", *_FILES):
            router.add("POST", path, self._send)
        for path in ("/api/startTyping", "/api/stopTyping"):
            router.add("POST", path, self._typing)
        router.add("POST", "/api/sendSeen", self._seen)
        router.add("POST", "/api/{session}/presence", self._presence)

    async def working(self, name: str, expected: str = "WORKING") -> Session:
        """Return a session in the status ``expected``, after a patient wait; else answer 422."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        patience = self._state.options.patience_seconds
        while True:
            session = self._state.sessions.get(name)
            if session is not None and session.status == expected:
                return session
            left = begun + (patience if session else patience / 2) - loop.time()
            try:
                await asyncio.wait_for(self._state.changed.wait(), max(0.0, left))
            except TimeoutError:
                break
        if session is None:
            raise Refused(json_reply({"error": f'Session "{name}" does not exist', "session": name}, 422))
        raise Refused(wrong_status(name, session.status, expected))

    async def _send(self, request: Request) -> Reply:
        fields = request.fields()
        name, chat, text = fields.get("session"), fields.get("chatId"), _text(fields)
        where = Match(session=str(name), chat_id=str(chat), text=text, path=request.path)
        fault = self._faults.take(REQUEST_KINDS, where)
        if fault is not None and not _goes_out(fault):
            return failure_reply(fault, request, self._state)
        if not isinstance(name, str) or not name:
            return bad_request("Session name is required")
        if request.path in _FILES and not self._state.options.is_free:
            text = "Sending files is available only in Plus version"
            return json_reply({"message": text, "error": "Unprocessable Entity", "statusCode": 422}, 422)
        session = await self.working(name)
        if not isinstance(chat, str) or (request.path == "/api/sendText" and not isinstance(fields.get("text"), str)):
            failure: dict[str, object] = {"message": "Cannot read properties of undefined", "name": "TypeError"}
            return exception_reply(failure, request, self._state)
        address = chat if "@" in chat else f"{chat}@c.us"
        kind = _FILES.get(request.path, "text")
        message = Message(self._id(fields), session.name, address, text, self._state.time(), kind=kind)
        message.author = session.address if address.endswith("@g.us") else ""
        # A preview is made unless the request forbids it.
        message.preview = kind == "text" and "://" in text and fields.get("linkPreview") is not False
        message.file = await self._file(request)
        if self._is_restricted(session, address):
            return exception_reply(
                {"message": "2 UNKNOWN: server returned error 463", "name": "Error"}, request, self._state
            )
        self._count(session, address)
        return await self._hand_over(session, message, request, fault)

    async def _file(self, request: Request) -> SentFile | None:
        if request.path not in _FILES:
            return None
        try:
            return await receive_file(request)
        except FetchFailed as failed:
            raise Refused(exception_reply(failed.exception, request, self._state)) from None

    async def _hand_over(self, session: Session, message: Message, request: Request, fault: Fault | None) -> Reply:
        """Send once WAHA comes to it; a client that has gone changes nothing."""
        delay = self._state.options.send_seconds
        if fault is not None and fault.kind == "late_success":
            delay = fault.seconds
        if delay:
            await asyncio.shield(self._state.begin(self._later(delay, session, message)))
        else:
            self.execute(session, message)
        if fault is not None and fault.kind != "late_success":
            return failure_reply(fault, request, self._state)
        return json_reply(shapes.sent(message, self._state.options.engine), 201)

    async def _later(self, delay: float, session: Session, message: Message) -> None:
        await asyncio.sleep(delay)
        self.execute(session, message)

    def execute(self, session: Session, message: Message) -> None:
        """Give a message to WhatsApp: it is stored, and reaches its phone if there is one."""
        message.at = self._state.time()
        if not session.ignores(message.chat):
            self._state.store(message)
        self._webhooks.emit(session, "message.any", shapes.stored(message), message.chat)
        if not self._state.reached(message.chat):
            return
        self._state.arrive(
            Arrival(
                session=session.name,
                chat_id=message.chat,
                text=message.text,
                id=message.id,
                at=round(message.at, 3),
                kind=message.kind,
                file=message.file,
                preview=message.preview,
            )
        )
        if message.source == "api":
            _ = self._state.begin(self._acks.acknowledge(session, message))

    def _id(self, fields: dict[str, Any]) -> str:
        given = fields.get("id")
        if self._state.options.takes_ids and isinstance(given, str) and given:
            return given
        return self.new_id()

    def new_id(self) -> str:
        """Make a raw message id."""
        return f"3EB0{self._state.random.getrandbits(72):018X}"

    def _is_restricted(self, session: Session, chat: str) -> bool:
        """People never written to are refused while a restriction lasts, or once the quota is used up."""
        capped = session.capping.get("cappingStatus") == "CAPPED"
        return (capped or session.restricted_until > self._state.time()) and self._is_stranger(session, chat)

    def _count(self, session: Session, chat: str) -> None:
        """Use up one of the quota of new chats, where there is one."""
        if session.capping and self._is_stranger(session, chat):
            session.capping["usedQuota"] += 1
            if session.capping["usedQuota"] >= session.capping["totalQuota"] >= 0:
                session.capping["cappingStatus"] = "CAPPED"
            self._state.save_session(session)

    def _is_stranger(self, session: Session, chat: str) -> bool:
        known = any(one.session == session.name and one.chat == chat for one in self._state.messages.values())
        return not known and not chat.endswith("@g.us")

    async def _typing(self, request: Request) -> Reply:
        await self.working(str(request.fields().get("session", "")))
        return json_reply({"result": True}, 201)

    async def _seen(self, request: Request) -> Reply:
        """Mark what a person wrote in the last week as read; WPP does, and says nothing of it."""
        fields = request.fields()
        session = await self.working(str(fields.get("session", "")))
        since = self._state.time() - _SEEN_SECONDS
        unread = [
            one
            for one in self._state.messages.values()
            if one.session == session.name and one.chat == fields.get("chatId") and not one.from_me and not one.seen
            if one.at >= since
        ]
        for message in unread:
            message.seen = True
            self._state.store(message)
        ids = None if self._state.options.engine == "WPP" else [one.serialized_id for one in unread]
        return json_reply({"ids": ids}, 201)

    async def _presence(self, request: Request) -> Reply:
        await self.working(request.path_values["session"])
        return Reply(201)


def _text(fields: dict[str, Any]) -> str:
    return str(fields.get("text") or fields.get("caption") or "")


def _goes_out(fault: Fault) -> bool:
    return fault.executed or fault.kind in {"drop_response", "late_success", "malformed"}
