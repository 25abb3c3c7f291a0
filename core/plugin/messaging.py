"""The messaging provider: the protocol and the values that cross it; ``core.plugin.optional`` has what it may add.

A provider turns platform values into calls of one service and its answers back into platform values. It keeps
no truth: numbers, attempts and results live in core's tables. What differs from server to server is probed
(``capabilities``) and handed back with every call inside ``Sender``.
"""

from collections.abc import Sequence
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
    seen: bool = False
    """It can mark what a person wrote as read."""
    link_preview: bool = False
    """It can show a preview of the first link of a text."""
    contacts: bool = False
    """The address book of a connected number can be listed."""
    groups: bool = False
    """Groups are listed with the contacts, and can be written to."""
    screenshots: bool = False
    """It shows the picture of a number's browser."""
    inbound: Literal["webhook", "poll"] = "webhook"
    """How events reach us: the service calls, or is asked (``EventPolling``)."""
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
    link_preview: bool = False
    """Whether the first link of a text is to be shown with a preview, where the service can."""


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
"""What became of a send: what its answer proves."""


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
"""What a look-up tells of a message."""


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
