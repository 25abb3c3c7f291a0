"""A number's session on a WAHA server: create, sign in, ask, stop, sign out, delete."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
import msgspec

from core.plugin import Challenge, RefusedError, Sender, SenderReport, SenderState, WebhookTarget, decode
from plugins.waha.connection import QUICK_SECONDS, Change, Connection, plain_address, session_of, session_path

EVENTS = ("session.status", "message.any", "message.ack")
"""``message.any`` without ``message``: an incoming message would fire both."""

_STATES = {
    "STOPPED": SenderState.STOPPED,
    "STARTING": SenderState.STARTING,
    "SCAN_QR_CODE": SenderState.SIGN_IN,
    "WORKING": SenderState.CONNECTED,
    "FAILED": SenderState.FAILED,
}
_NOT_FOUND = 404
_UNPROCESSABLE = 422


class Timelock(msgspec.Struct, rename="camel"):
    """WhatsApp refuses messages to people never written to (WAHA 2026.7.2)."""

    is_active: bool = False
    time_enforcement_ends: float | None = None


class Me(msgspec.Struct):
    """The account a session is signed in to."""

    id: str = ""
    push_name: str | None = msgspec.field(name="pushName", default=None)
    timelock: Timelock | None = msgspec.field(name="reachoutTimelock", default=None)


class _Session(msgspec.Struct):
    status: str = ""
    me: Me | None = None
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
        config = _config(sender, webhook)
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
        present = await self._connection.get(sender.server, path, {}, doing=doing, accept=(_NOT_FOUND,))
        if present.status_code != _NOT_FOUND and holds(decode(present, _Session, doing).config, config):
            return present
        # Where WAHA refused the name, this answers 404 or 422 and raises.
        return await self._connection.change(sender.server, Change("PUT", path, {"config": config}), doing=doing)

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:
        """Return the QR text, or a pairing code for ``phone``."""
        path = f"/api/{session_path(sender)}/auth"
        server = sender.server
        if phone:
            doing = "asking for a pairing code"
            call = Change("POST", f"{path}/request-code", {"phoneNumber": phone}, QUICK_SECONDS)
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


def holds(present: object, wanted: object) -> bool:
    """Whether a configuration is as we want it; what it says beyond that is WAHA's own, or its administrator's.

    Lists are compared whole: one webhook more would be somebody else's.
    """
    if isinstance(wanted, Mapping):
        return isinstance(present, Mapping) and all(holds(present.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(present, list):
        return len(present) == len(wanted) and all(map(holds, present, wanted))
    return present == wanted


def read_report(status: str, me: Me | None, timelock: Timelock | None, now: datetime) -> SenderReport:
    """Translate a session's status; one that we do not know needs a person."""
    lock = timelock or (me.timelock if me else None)
    return SenderReport(
        state=_STATES.get(status, SenderState.NEEDS_PERSON),
        raw=status,
        address=plain_address(me.id) if me else "",
        name=(me.push_name or "") if me else "",
        restricted_until=_end_of(lock, now) if lock and lock.is_active else None,
    )


def _end_of(lock: Timelock, now: datetime) -> datetime:
    """Return when the restriction ends; a day from ``now`` where WhatsApp does not say."""
    try:
        ends = lock.time_enforcement_ends
        return datetime.fromtimestamp(ends, UTC) if ends else now + timedelta(days=1)
    except (OverflowError, ValueError, OSError):
        return now + timedelta(days=1)


def _read_session(response: httpx.Response, doing: str) -> SenderReport:
    session = decode(response, _Session, doing)
    return read_report(session.status, session.me, None, datetime.now(UTC))


def _config(sender: Sender, webhook: WebhookTarget) -> dict[str, object]:
    """Build the session's whole configuration; a PUT replaces all of it."""
    return {
        "metadata": {"number_id": str(sender.number_id)},
        "ignore": {"status": True, "groups": True, "channels": True, "broadcast": True},
        # The store answers lookups; fullSync would copy years of chats to the server.
        "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": False}},
        # Without it WEBJS leaves acknowledgements out (github.com/devlikeapro/waha/issues/1311).
        "webjs": {"tagsEventsOn": True},
        "webhooks": [
            {
                "url": webhook.url,
                "events": list(EVENTS),
                "hmac": {"key": sender.webhook_secret.reveal()},
                "retries": {"policy": "exponential", "delaySeconds": 2, "attempts": 10},
            }
        ],
    }
