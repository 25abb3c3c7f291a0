"""A number's session on a WAHA server: create, sign in, ask, restart, repair, look at, stop, sign out, delete."""

from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
import msgspec

from core.plugin import (
    Challenge,
    Picture,
    RefusedError,
    Sender,
    SenderReport,
    SenderState,
    UncertainError,
    WebhookTarget,
    decode,
)
from plugins.waha.configuration import configuration, delivers, holds, merged
from plugins.waha.connection import (
    BROWSER_ENGINES,
    NOTHING,
    QUICK_SECONDS,
    Change,
    Connection,
    part,
    plain_address,
    session_of,
    session_path,
)
from plugins.waha.restrictions import restricted_until

PAIRING_SECONDS = 20.0
"""Limit of a pairing code, which WAHA waits for longer than a minute while WhatsApp is out of reach."""

_STATES = {
    "STOPPED": SenderState.STOPPED,
    "STARTING": SenderState.STARTING,
    "SCAN_QR_CODE": SenderState.SIGN_IN,
    "WORKING": SenderState.CONNECTED,
    "FAILED": SenderState.FAILED,
}
_NOT_FOUND = 404
_UNPROCESSABLE = 422
_PICTURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class Me(msgspec.Struct):
    """The account a session is signed in to."""

    id: str = ""
    push_name: str | None = msgspec.field(name="pushName", default=None)
    lid: str | None = None


class _Session(msgspec.Struct):
    status: str = ""
    me: msgspec.Raw = NOTHING
    config: object = None


class _Qr(msgspec.Struct):
    value: str


class _Code(msgspec.Struct):
    code: str


class Sessions:
    """The ``SignIn`` group of the provider."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:
        """Create the session, or give an existing one our configuration, and start it unless it runs."""
        doing = "creating the session"
        config = configuration(sender, webhook)
        create = Change("POST", "/api/sessions", {"name": session_of(sender), "start": True, "config": config})
        response = await self._connection.change(sender.server, create, doing=doing, accept=(_UNPROCESSABLE,))
        if response.status_code == _UNPROCESSABLE:
            response = await self._configure(sender, config, doing)
        report = _read_session(response, doing) if response.content else await self.state(sender)
        if report.state in {SenderState.STOPPED, SenderState.FAILED}:
            verb = "start" if report.state is SenderState.STOPPED else "restart"
            # 422: a WAHA before 2026.6.1 says so when the session runs already.
            await self._order(sender, verb, doing="starting the session", accept=_UNPROCESSABLE)
            report = await self.state(sender)
        return report

    async def _configure(self, sender: Sender, config: Mapping[str, object], doing: str) -> httpx.Response:
        """Give a session that exists our configuration, unless it has it: a PUT stops and starts one that runs."""
        path = f"/api/sessions/{session_path(sender)}"
        answer = await self._connection.get(sender.server, path, {}, doing=doing, accept=(_NOT_FOUND,))
        present = None if answer.status_code == _NOT_FOUND else decode(answer, _Session, doing).config
        if holds(present, config):
            return answer
        # Where WAHA refused the name, this answers 404 or 422 and raises.
        return await self._put(sender, merged(present, config), doing)

    async def repair_webhook(self, sender: Sender, webhook: WebhookTarget) -> bool:
        """Set the configuration again where events would not reach core as its own; this restarts the session."""
        doing = "comparing the session's webhook"
        path = f"/api/sessions/{session_path(sender)}"
        answer = await self._connection.get(sender.server, path, {}, doing=doing, accept=(_NOT_FOUND,))
        if answer.status_code == _NOT_FOUND:
            return False
        session = decode(answer, _Session, doing)
        config = configuration(sender, webhook)
        if session.status == "STOPPED" or delivers(session.config, config):
            return False
        await self._put(sender, merged(session.config, config), "setting the session's webhook")
        return True

    async def _put(self, sender: Sender, config: Mapping[str, object], doing: str) -> httpx.Response:
        change = Change("PUT", f"/api/sessions/{session_path(sender)}", {"config": config})
        return await self._connection.change(sender.server, change, doing=doing)

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:
        """Return the QR text, or a pairing code for ``phone``."""
        path = f"/api/{session_path(sender)}/auth"
        server = sender.server
        if phone:
            doing = "asking for a pairing code"
            call = Change("POST", f"{path}/request-code", {"phoneNumber": phone}, PAIRING_SECONDS)
            answer = await self._connection.change(server, call, doing=doing)
            return Challenge(kind="pairing_code", value=decode(answer, _Code, doing).code)
        doing = "asking for the QR code"
        answer = await self._connection.get(
            server, f"{path}/qr", {"format": "raw"}, doing=doing, accept=(_UNPROCESSABLE,)
        )
        if answer.status_code == _UNPROCESSABLE:
            raise RefusedError("The number waits for no QR code now: it is connected, starting or stopped.")
        return Challenge(kind="qr", value=decode(answer, _Qr, doing).value)

    async def state(self, sender: Sender) -> SenderReport:
        """Return the session's state; one that WAHA does not know is stopped."""
        doing = "asking for the session's state"
        path = f"/api/sessions/{session_path(sender)}"
        answer = await self._connection.get(sender.server, path, {}, doing=doing, accept=(_NOT_FOUND,))
        if answer.status_code == _NOT_FOUND:
            return SenderReport(state=SenderState.STOPPED)
        return _read_session(answer, doing)

    async def restart(self, sender: Sender) -> SenderReport:
        """Stop and start the session; its sign-in stays."""
        doing = "restarting the session"
        call = Change("POST", f"/api/sessions/{session_path(sender)}/restart")
        answer = await self._connection.change(sender.server, call, doing=doing, accept=(_NOT_FOUND,))
        if answer.status_code == _NOT_FOUND:
            raise RefusedError("The server does not know this number: connect it.", http_status=_NOT_FOUND)
        return _read_session(answer, doing) if answer.content else await self.state(sender)

    async def screenshot(self, sender: Sender) -> Picture:
        """Return the picture of the session's browser, which the engines with one have alone."""
        engine, doing = sender.capabilities.engine, "taking a screenshot"
        if engine not in BROWSER_ENGINES:
            raise RefusedError(f"The engine {engine or '(none)'} has no browser to take a picture of.")
        params, refusals = {"session": session_of(sender)}, (_NOT_FOUND, _UNPROCESSABLE)
        answer = await self._connection.get(sender.server, "/api/screenshot", params, doing=doing, accept=refusals)
        if answer.is_error:
            raise RefusedError("The number is not running, so it shows nothing.", http_status=answer.status_code)
        for beginning, mimetype in _PICTURES.items():
            # WAHA calls the PNG of a browser a JPEG (src/api/screenshot.controller.ts).
            if answer.content.startswith(beginning):
                return Picture(mimetype=mimetype, content=answer.content)
        raise UncertainError("The server gave no picture for a screenshot.", http_status=answer.status_code)

    async def mark_seen(self, sender: Sender, chat: str) -> None:
        """Mark a chat's unread messages of the last week as read."""
        body = {"session": session_of(sender), "chatId": chat}
        call = Change("POST", "/api/sendSeen", body, QUICK_SECONDS)
        await self._connection.change(sender.server, call, doing="marking messages as read")

    async def me(self, sender: Sender) -> Me:
        """Return the account the session is signed in to; an empty one while it is not."""
        doing = "asking for the number's own address"
        answer = await self._connection.get(
            sender.server, f"/api/sessions/{session_path(sender)}", {}, doing=doing, accept=(_NOT_FOUND,)
        )
        found = None if answer.is_error else part(decode(answer, _Session, doing).me, Me)
        return found or Me()

    async def stop(self, sender: Sender) -> None:
        """Stop the session; its sign-in stays on the server."""
        await self._order(sender, "stop", doing="stopping the session", accept=_NOT_FOUND)

    async def sign_out(self, sender: Sender) -> None:
        """Log the session out of WhatsApp."""
        await self._order(sender, "logout", doing="signing the session out", accept=_NOT_FOUND)

    async def remove(self, sender: Sender) -> None:
        """Delete the session; WAHA stops it and logs it out by itself."""
        delete = Change("DELETE", f"/api/sessions/{session_path(sender)}")
        await self._connection.change(sender.server, delete, doing="deleting the session", accept=(_NOT_FOUND,))

    async def _order(self, sender: Sender, verb: str, *, doing: str, accept: int) -> None:
        call = Change("POST", f"/api/sessions/{session_path(sender)}/{verb}")
        await self._connection.change(sender.server, call, doing=doing, accept=(accept,))


def read_report(status: str, me: msgspec.Raw, extra: msgspec.Raw, now: datetime) -> SenderReport:
    """Translate a session's status, with its account and the status' own data; an unknown one needs a person."""
    account = part(me, Me) or Me()
    ends = [end for end in (restricted_until(me, now), restricted_until(extra, now)) if end]
    return SenderReport(
        state=_STATES.get(status, SenderState.NEEDS_PERSON),
        raw=status,
        address=plain_address(account.id),
        name=account.push_name or "",
        restricted_until=max(ends, default=None),
    )


def _read_session(response: httpx.Response, doing: str) -> SenderReport:
    session = decode(response, _Session, doing)
    return read_report(session.status, session.me, NOTHING, datetime.now(UTC))
