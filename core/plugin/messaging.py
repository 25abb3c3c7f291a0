"""The messaging provider: the protocol and the values that cross it.

A provider turns platform values into calls of one service and its answers back into platform values. It keeps
no truth: numbers, attempts and results live in core's tables. What differs from server to server is probed
(``capabilities``) and handed back with every call inside ``Sender``.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import msgspec

from core.plugin.secret import Secret
from core.plugin.webhooks import WebhookDelivery, WebhookResult


class MessageKind(StrEnum):
    """What a message carries."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    DOCUMENT = "document"
    VIDEO = "video"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What one server can do, as found by a probe; stored with the server and handed back in ``Sender``."""

    version: str = ""
    """The service's own version, for people."""
    engine: str = ""
    """The implementation behind the service, where it names one."""
    client_message_id: bool = False
    """The service sends under the id that ``prepare`` chose."""
    lookup_by_id: bool = False
    """A message can be found again by its id, so ``reconcile`` may answer ``Absent`` with certainty."""
    receipts: Literal["none", "sent", "delivered", "read"] = "none"
    """The furthest status the service reports; ``none`` makes an accepted message count as sent at once."""
    media: tuple[MessageKind, ...] = ()
    """Kinds of media it takes beside text."""
    number_check: Literal["none", "single", "bulk"] = "none"
    sign_in: tuple[Literal["qr", "pairing_code", "passkey", "token"], ...] = ()
    typing: bool = False
    groups: bool = False
    multi_session: bool = True
    """More than one number may be connected to the server."""
    warnings: tuple[str, ...] = ()
    """What a person should know about this server, in English."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """One server of a service, from the ``servers`` table."""

    id: int
    url: str
    credentials: msgspec.Struct
    """An instance of the provider's ``Credentials``."""


class SeededServer(msgspec.Struct, frozen=True, kw_only=True):
    """A server that platform.toml names."""

    name: str
    url: str
    credentials: msgspec.Struct
    """An instance of the provider's ``Credentials``."""


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """The number a call is made for."""

    number_id: int
    instance: str
    """Name of the number on its server: session, instance, phone number id."""
    server: Server
    capabilities: Capabilities
    webhook_secret: Secret
    """Random, one per number; signs or accompanies the service's webhooks."""


class WebhookTarget(msgspec.Struct, frozen=True):
    """Where a service has to deliver the events of one number."""

    url: str


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A file to send: either ``url`` (ours, signed, expiring) or ``content`` is set."""

    mimetype: str
    filename: str
    url: str = ""
    content: bytes = b""


class OutgoingMessage(msgspec.Struct, frozen=True):
    """One rendered message for one recipient."""

    address: str
    """Digits of an E.164 number, or the address that a number check or an earlier answer gave."""
    kind: MessageKind
    text: str
    """The text, or the caption of ``media``."""
    media: Media | None = None


class Prepared(msgspec.Struct, frozen=True):
    """A message ready to be sent; all that ``send`` and ``reconcile`` need. It may be made again from the row."""

    message: OutgoingMessage
    client_id: str
    """The id from ``new_client_id``, stored before the call, also where the service ignores it."""
    path: str
    body: bytes
    attempted_at: datetime | None = None
    """When the attempt began, set by core before ``reconcile``; a provider without client ids needs it to tell this
    message from an earlier one with the same text."""


Scope = Literal["recipient", "sender", "server", "new_contacts"]
"""What a refusal concerns: this recipient, this number, every number of the server, people never written to."""


class Accepted(msgspec.Struct, frozen=True):
    """The service took the message."""

    ids: tuple[str, ...]
    """Every id under which events may name it, the most specific first."""
    address: str = ""
    """The address the service really used, when it says so."""


class Retryable(msgspec.Struct, frozen=True):
    """Certainly not sent; the same message may go later."""

    code: str
    retry_after: float | None = None
    """Seconds, when the service names them."""
    scope: Scope = "recipient"


class Unknown(msgspec.Struct, frozen=True):
    """It may have been sent: never repeated before ``reconcile`` has spoken."""

    code: str
    sender_stopped: bool = False


class Rejected(msgspec.Struct, frozen=True):
    """Certainly not sent, and never will be: this recipient or this content is refused."""

    code: str


class SenderStopped(msgspec.Struct, frozen=True):
    """Certainly not sent, and this number can send nothing until a person or ``until`` changes that."""

    code: str
    until: datetime | None = None
    scope: Scope = "sender"


Outcome = Accepted | Retryable | Unknown | Rejected | SenderStopped


class MessageStatus(StrEnum):
    """How far a message came; the order of the members is the order of progress."""

    FAILED = "failed"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


class Found(msgspec.Struct, frozen=True):
    """The service knows the message."""

    ids: tuple[str, ...]
    status: MessageStatus
    address: str = ""


class Absent(msgspec.Struct, frozen=True):
    """The service looked by id and certainly does not know it."""


class CannotTell(msgspec.Struct, frozen=True):
    """The service could not be asked, or its answer proves nothing."""

    code: str


Finding = Found | Absent | CannotTell


class SenderState(StrEnum):
    """Whether a number can send."""

    STOPPED = "stopped"
    STARTING = "starting"
    SIGN_IN = "sign_in"
    """Waiting for a QR scan or a pairing code."""
    CONNECTED = "connected"
    NEEDS_PERSON = "needs_person"
    """A state only a person can end, among them every state we do not know."""
    FAILED = "failed"


class SenderReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the service says of a number."""

    state: SenderState
    raw: str = ""
    """The service's own word for the state."""
    address: str = ""
    """The number's own address, once signed in."""
    name: str = ""
    restricted_until: datetime | None = None
    """Until when people never written to are refused."""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a person needs to sign a number in."""

    kind: Literal["qr", "pairing_code"]
    value: str
    """The text a QR picture encodes, or the pairing code."""


class NumberCheck(msgspec.Struct, frozen=True):
    """The answer for one number: ``address`` is what to send to, as the service gave it."""

    number: str
    exists: bool
    address: str = ""


class ListedContact(msgspec.Struct, frozen=True, kw_only=True):
    """A person or group from a connected number's address book."""

    address: str
    name: str = ""
    group: bool = False


@runtime_checkable
class MessagingProvider(Protocol):
    """Sends messages through one service.

    Calls other than ``send`` and ``reconcile`` raise a ``ProviderError``. No call sleeps for pacing, retries a
    POST or starts background work: core owns time.
    """

    name: str
    """Stable key, equal to the plugin's name; stored in rows."""
    Credentials: type[msgspec.Struct]
    """Struct of what a server row needs beside its url; ``Secret`` fields are encrypted at rest and masked."""
    unknown_grace_seconds: float
    """How long after a lease's end ``reconcile`` may be trusted."""

    async def capabilities(self, server: Server) -> Capabilities:
        """Probe ``server``.

        Raises:
            ProviderError: The server cannot be reached, refuses the credentials or is no such service.
        """
        ...

    def new_client_id(self) -> str:
        """Make a random message id in the service's own form; core stores it before the message is prepared."""
        ...

    def prepare(self, message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
        """Build the request under ``client_id``; pure."""
        ...

    def send_timeout(self, kind: MessageKind) -> float:
        """Return the longest a ``send`` of this kind can take, in seconds; core's lease is this plus a margin."""
        ...

    async def send(self, prepared: Prepared, sender: Sender) -> Outcome:
        """Hand the message over, once. An exception counts as ``Unknown``."""
        ...

    async def reconcile(self, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
        """Look a message up after its grace period; ``ids`` are ids of earlier answers, often none."""
        ...

    def receive(self, delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
        """Judge one webhook delivery before parsing it, then translate it; never raises for odd content."""
        ...

    async def check(self, server: Server) -> str:
        """Return one line that says what answered.

        Raises:
            ProviderError: As ``capabilities``.
        """
        ...

    async def aclose(self) -> None:
        """Close connections; called once, at the end of the process."""
        ...


@runtime_checkable
class SignIn(Protocol):
    """Optional: numbers that a person connects."""

    async def open(self, sender: Sender, webhook: WebhookTarget) -> SenderReport:
        """Create or start the number with ``webhook`` and ``sender.webhook_secret``; repeatable."""
        ...

    async def challenge(self, sender: Sender, phone: str = "") -> Challenge:
        """Return the QR text, or a pairing code when ``phone`` (E.164 digits) is given.

        Raises:
            RefusedError: The number is in no state to sign in.
        """
        ...

    async def state(self, sender: Sender) -> SenderReport:
        """Ask for the present state; a number the server does not know is ``STOPPED``."""
        ...

    async def stop(self, sender: Sender) -> None:
        """Disconnect and keep the sign-in; repeatable."""
        ...

    async def sign_out(self, sender: Sender) -> None:
        """Forget the sign-in; repeatable."""
        ...

    async def remove(self, sender: Sender) -> None:
        """Delete the number from its server; repeatable."""
        ...


@runtime_checkable
class Typing(Protocol):
    """Optional: shows the recipient that somebody is typing; best effort, a failure never fails the send."""

    async def show_typing(self, sender: Sender, address: str, *, active: bool) -> None:
        """Start or stop the sign; the wait between the two is core's."""
        ...


@runtime_checkable
class ServerSeeding(Protocol):
    """Optional: servers named in the plugin's settings; core adds those it has no row for."""

    def seeded_servers(self) -> Sequence[SeededServer]:
        """Return the servers of the settings."""
        ...


@runtime_checkable
class NumberChecking(Protocol):
    """Optional: asks whether numbers use the service."""

    async def check_numbers(self, sender: Sender, numbers: Sequence[str]) -> Mapping[str, NumberCheck]:
        """Check E.164 digits; one call each where ``number_check`` is ``single``."""
        ...


@runtime_checkable
class AddressLookup(Protocol):
    """Optional: knows the phone number behind an address that hides it."""

    async def find_phone(self, sender: Sender, address: str) -> str:
        """Return E.164 digits, or nothing where the service does not know either.

        Raises:
            ProviderError: The service did not answer.
        """
        ...


@runtime_checkable
class ContactListing(Protocol):
    """Optional: reads a connected number's address book and groups."""

    def list_contacts(self, sender: Sender) -> AsyncIterator[ListedContact]:
        """Yield contacts as the service pages them."""
        ...
