"""The Evolution provider: what core calls, each group in the module of its noun."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

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
    Prepared,
    Secret,
    SeededServer,
    Sender,
    SenderReport,
    Server,
    ServerReport,
    UnavailableError,
    UncertainError,
    WebhookDelivery,
    WebhookResult,
    WebhookTarget,
    build_client,
    decode,
)
from plugins.evolution.connection import (
    QUICK_SECONDS,
    Change,
    Connection,
    EvolutionCredentials,
    headers_of,
    is_first,
    jid_of,
    path_of,
    phone_of,
    recipient_of,
    url_of,
)
from plugins.evolution.contacts import Contacts
from plugins.evolution.failures import read_failure
from plugins.evolution.instances import Instances
from plugins.evolution.lookup import Lookup
from plugins.evolution.messages import new_client_id, prepare_message
from plugins.evolution.outcomes import read_outcome
from plugins.evolution.probe import probe, report
from plugins.evolution.seen import Seen
from plugins.evolution.webhook import receive

CHECK_AT_ONCE = 100
"""Numbers in one look-up."""
TYPING_MILLISECONDS = 15_000
"""How long the server shows the sign, and holds the request that asks for it; a message ends it before."""
TYPING_SECONDS = 3.0
"""How long we wait to hear that it refuses to."""

_CHECK_DOING = "checking numbers"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds; the defaults of the settings are the ones that fit a real server."""

    text_seconds: float
    audio_seconds: float
    media_seconds: float
    grace_seconds: float


class _Checked(msgspec.Struct):
    exists: bool
    jid: str = ""
    number: str = ""


class EvolutionProvider:
    """``MessagingProvider`` with every optional group but screenshots and polled events."""

    name = "evolution"
    Credentials: type[msgspec.Struct] = EvolutionCredentials

    def __init__(self, limits: Limits, servers: Sequence[SeededServer] = ()) -> None:
        self.unknown_grace_seconds = limits.grace_seconds
        self._limits = limits
        self._servers = tuple(servers)
        self._http = build_client()
        self._connection = Connection(self._http)
        self._instances = Instances(self._connection)
        self._lookup = Lookup(self._connection)
        self._contacts = Contacts(self._connection, self._instances)
        self._seen = Seen(self._connection, self._lookup)

    async def capabilities(self, server: Server) -> Capabilities:
        """Probe the version, the key and the licence."""
        return await probe(self._connection, server)

    async def check(self, server: Server) -> str:
        """Return for example ``Evolution API 2.3.7``."""
        return f"Evolution API {(await self.capabilities(server)).version}"

    async def server_report(self, server: Server) -> ServerReport:
        """Return the version, and how many instances there are and are open."""
        return await report(self._connection, server)

    def seeded_servers(self) -> Sequence[SeededServer]:
        """Return the servers of ``[[plugins.evolution.servers]]``."""
        return self._servers

    def new_client_id(self) -> str:
        """Make an id for the attempt."""
        return new_client_id()

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        """Encode the request in the dialect of the sender's server."""
        return prepare_message(message, sender, client_id)

    def send_timeout(self, kind: MessageKind) -> float:
        """Return the limit of the settings: texts are quick, files are uploaded and voice is converted first."""
        match kind:
            case MessageKind.TEXT:
                return self._limits.text_seconds
            case MessageKind.AUDIO:
                return self._limits.audio_seconds
        return self._limits.media_seconds

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        """POST the prepared body once."""
        answer = await self._http.post_once(
            url_of(sender.server, prepared.path),
            content=prepared.body,
            headers=headers_of(sender.server),
            limit_seconds=self.send_timeout(prepared.message.kind),
        )
        return read_outcome(answer, prepared) if isinstance(answer, httpx.Response) else answer

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        """Look the message up in the server's store."""
        window = timedelta(seconds=self.send_timeout(prepared.message.kind) + self.unknown_grace_seconds)
        return await self._lookup.find(prepared, sender, ids, window)

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        """Verify and translate a webhook delivery."""
        return receive(delivery, secret)

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:
        """Create or reconfigure the instance, and connect it."""
        return await self._instances.open(sender, webhook)

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:
        """Return the QR text or a pairing code."""
        return await self._instances.challenge(sender, phone)

    async def state(self, sender: Sender) -> SenderReport:
        """Return the instance's state."""
        return await self._instances.state(sender)

    async def stop(self, sender: Sender) -> None:
        """Silence the instance."""
        await self._instances.stop(sender)

    async def sign_out(self, sender: Sender) -> None:
        """Log the instance out."""
        await self._instances.sign_out(sender)

    async def remove(self, sender: Sender) -> None:
        """Delete the instance."""
        await self._instances.remove(sender)

    async def restart(self, sender: Sender) -> SenderReport:
        """Restart the instance."""
        return await self._instances.restart(sender)

    async def repair_webhook(self, sender: Sender, webhook: WebhookTarget) -> bool:
        """Compare the webhook with ours, and set it again where it differs."""
        return await self._instances.repair_webhook(sender, webhook)

    def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        """Yield people, then groups."""
        return self._contacts.list_all(sender)

    async def find_phone(self, sender: Sender, address: str) -> str:
        """Look for the number behind a hidden one in what is stored of its chat."""
        return await self._lookup.find_phone(sender, address)

    async def mark_seen(self, sender: Sender, address: str) -> None:
        """Mark what a person wrote since our last message as read."""
        await self._seen.mark(sender, address)

    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        """Ask for many numbers at once; those the server says nothing of are left out.

        Raises:
            UnavailableError: The instance is not connected now, or WhatsApp limits its checks.
        """
        found: dict[str, NumberCheck] = {}
        for start in range(0, len(numbers), CHECK_AT_ONCE):
            asked = numbers[start : start + CHECK_AT_ONCE]
            call = Change("POST", path_of("/chat/whatsappNumbers", sender), {"numbers": list(asked)}, QUICK_SECONDS)
            answer = await self._connection.change(sender.server, call, doing=_CHECK_DOING, accept=(400, 500))
            if answer.is_error:
                _raise_unavailable(answer)
            checked = _by_number(asked, decode(answer, list[_Checked], _CHECK_DOING))
            for number, one in checked.items():
                found[number] = NumberCheck(number, one.exists, jid_of(one.jid) if one.exists and one.jid else "")
        return found

    async def show_typing(self, sender: Sender, address: str, *, active: bool) -> None:
        """Begin the typing sign; the message ends it, or the server after 15 s, and each call costs a number check.

        The server answers when the sign ends, so no answer in time means that it is shown.
        """
        if not active:
            return
        sign = {"delay": TYPING_MILLISECONDS, "presence": "composing"}
        number = recipient_of(address)
        body = {"number": number, "options": sign} if is_first(sender.capabilities) else {"number": number, **sign}
        call = Change("POST", path_of("/chat/sendPresence", sender), body, TYPING_SECONDS)
        try:
            await self._connection.change(sender.server, call, doing="showing the typing sign")
        except UncertainError as error:
            if error.http_status is not None:
                raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _by_number(asked: Sequence[str], answers: Sequence[_Checked]) -> Mapping[str, _Checked]:
    """Match answers with questions: older servers do not repeat the number, and the account's may differ from it."""
    if len(asked) == len(answers) == 1:
        return {asked[0]: answers[0]}
    named = {one.number or phone_of(one.jid): one for one in answers}
    return {number: named[number] for number in asked if number in named}


def _raise_unavailable(answer: httpx.Response) -> None:
    failure = read_failure(answer.content)
    if failure.offline or failure.says("Connection Closed"):
        text = "The instance is not connected, so numbers cannot be checked."
    else:
        text = f"The server answered {answer.status_code} instead of checking numbers: try again later."
    raise UnavailableError(text, http_status=answer.status_code)
