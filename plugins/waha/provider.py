"""The WAHA provider: what core calls, each group in the module of its noun."""

from collections.abc import AsyncIterator, Mapping, Sequence
from urllib.parse import quote

import httpx
import msgspec

from core.plugin import (
    Capabilities,
    Challenge,
    Finding,
    ListedContact,
    MessageKind,
    NumberCheck,
    Outcome,
    OutgoingMessage,
    Picture,
    Prepared,
    Secret,
    SeededServer,
    Sender,
    SenderReport,
    Server,
    ServerReport,
    UnavailableError,
    WebhookDelivery,
    WebhookResult,
    WebhookTarget,
    build_client,
    decode,
)
from plugins.waha.connection import (
    QUICK_SECONDS,
    Change,
    Connection,
    WahaCredentials,
    chat_id,
    headers_of,
    phone_of,
    session_of,
    session_path,
    url_of,
)
from plugins.waha.contacts import list_contacts
from plugins.waha.lookup import look_up
from plugins.waha.messages import TEXT_PATH, new_client_id, prepare_message
from plugins.waha.outcomes import read_outcome
from plugins.waha.probe import probe
from plugins.waha.report import report
from plugins.waha.sessions import Sessions
from plugins.waha.webhook import receive

_CHECK_DOING = "checking a number"
_LID_DOING = "looking up who is behind an address"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds; the defaults of the settings are the ones that fit a real WAHA."""

    text_seconds: float
    media_seconds: float
    grace_seconds: float


class _Checked(msgspec.Struct):
    exists: bool = msgspec.field(name="numberExists")
    address: str | None = msgspec.field(name="chatId", default=None)


class _Identity(msgspec.Struct):
    phone: str | None = msgspec.field(name="pn", default=None)


class WahaProvider:
    """``MessagingProvider`` with all of ``core.plugin.optional`` but ``EventPolling``: WAHA calls by itself."""

    name = "waha"
    Credentials: type[msgspec.Struct] = WahaCredentials

    def __init__(self, limits: Limits, servers: Sequence[SeededServer] = ()) -> None:
        self.unknown_grace_seconds = limits.grace_seconds
        self._limits = limits
        self._servers = tuple(servers)
        self._http = build_client()
        self._connection = Connection(self._http)
        self._sessions = Sessions(self._connection)

    async def capabilities(self, server: Server) -> Capabilities:
        """Probe version, engine and tier."""
        return await probe(self._connection, server)

    async def check(self, server: Server) -> str:
        """Return for example ``WAHA 2026.7.1, engine GOWS``."""
        found = await self.capabilities(server)
        return f"WAHA {found.version}, engine {found.engine}"

    def seeded_servers(self) -> Sequence[SeededServer]:
        """Return the servers of ``[[plugins.waha.servers]]``."""
        return self._servers

    def new_client_id(self) -> str:
        """Make a raw message id."""
        return new_client_id()

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        """Encode the request."""
        return prepare_message(message, sender, client_id)

    def send_timeout(self, kind: MessageKind) -> float:
        """Return the limit of the settings: texts are quick, files are uploaded first."""
        return self._limits.text_seconds if kind is MessageKind.TEXT else self._limits.media_seconds

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        """POST the prepared body once."""
        limits = self._limits
        answer = await self._http.post_once(
            url_of(sender.server, prepared.path),
            content=prepared.body,
            headers=headers_of(sender.server),
            limit_seconds=limits.text_seconds if prepared.path == TEXT_PATH else limits.media_seconds,
        )
        return read_outcome(answer, prepared) if isinstance(answer, httpx.Response) else answer

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        """Look the message up in WAHA's store."""
        return await look_up(self._connection, prepared, sender, ids)

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        """Verify and translate a webhook delivery."""
        return receive(delivery, secret)

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:
        """Create or reconfigure the session, and start it."""
        return await self._sessions.open(sender, webhook)

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:
        """Return the QR text or a pairing code."""
        return await self._sessions.challenge(sender, phone)

    async def state(self, sender: Sender) -> SenderReport:
        """Return the session's state."""
        return await self._sessions.state(sender)

    async def stop(self, sender: Sender) -> None:
        """Stop the session."""
        await self._sessions.stop(sender)

    async def sign_out(self, sender: Sender) -> None:
        """Log the session out."""
        await self._sessions.sign_out(sender)

    async def remove(self, sender: Sender) -> None:
        """Delete the session."""
        await self._sessions.remove(sender)

    async def restart(self, sender: Sender) -> SenderReport:
        """Restart the session."""
        return await self._sessions.restart(sender)

    async def screenshot(self, sender: Sender) -> Picture:
        """Return the picture of the session's browser."""
        return await self._sessions.screenshot(sender)

    async def repair_webhook(self, sender: Sender, webhook: WebhookTarget) -> bool:
        """Compare the session's configuration with ours, and set it where it differs."""
        return await self._sessions.repair_webhook(sender, webhook)

    async def server_report(self, server: Server) -> ServerReport:
        """Return since when the server runs, and its sessions."""
        return await report(self._connection, server)

    def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        """List the address book, the groups and the chats."""
        return list_contacts(self._connection, self._sessions, sender)

    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        """Ask for one number after the other, as WAHA's interface wants it.

        Raises:
            UnavailableError: WhatsApp limits the checks of this number, or the session does not run now.
        """
        found: dict[str, NumberCheck] = {}
        for number in numbers:
            params = {"phone": number, "session": session_of(sender)}
            answer = await self._connection.get(
                sender.server, "/api/contacts/check-exists", params, doing=_CHECK_DOING, accept=(422,)
            )
            if answer.is_error:
                raise UnavailableError("The session does not run, so numbers cannot be checked.", http_status=422)
            checked = decode(answer, _Checked, _CHECK_DOING)
            found[number] = NumberCheck(number, checked.exists, checked.address or "")
        return found

    async def find_phone(self, sender: Sender, address: str) -> str:
        """Ask for the number behind a lid; other addresses hold theirs, or none."""
        if not address.endswith("@lid"):
            return phone_of(address)
        path = f"/api/{session_path(sender)}/lids/{quote(address, safe='')}"
        answer = await self._connection.get(sender.server, path, {}, doing=_LID_DOING, accept=(404,))
        return "" if answer.is_error else phone_of(decode(answer, _Identity, _LID_DOING).phone or "")

    async def show_typing(self, sender: Sender, address: str, *, active: bool) -> None:
        """Start or stop the typing sign in a chat."""
        body = {"session": session_of(sender), "chatId": chat_id(address)}
        path = "/api/startTyping" if active else "/api/stopTyping"
        await self._connection.change(
            sender.server, Change("POST", path, body, QUICK_SECONDS), doing="showing the typing sign"
        )

    async def mark_seen(self, sender: Sender, address: str) -> None:
        """Mark the unread messages of a chat as read."""
        await self._sessions.mark_seen(sender, chat_id(address))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
