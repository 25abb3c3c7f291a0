"""What a messaging provider may add to ``MessagingProvider``, each group a protocol of its own.

Core finds a group by the methods of the provider, and uses it for a number as far as the probed ``Capabilities`` of its
server say so. Every call raises a ``ProviderError`` where the service does not do it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import msgspec

from core.plugin.messaging import SeededServer, Sender, Server, WebhookTarget
from core.plugin.webhooks import AnyEvent


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
    """A person or group from a connected number's address book or chats."""

    address: str
    """What to send to, as the service gives it."""
    phone: str = ""
    """E.164 digits, where the service tells them; a group has none."""
    name: str = ""
    group: bool = False


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture for a person to look at."""

    mimetype: str
    content: bytes


class ServerReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is, as far as its service tells; ``None`` is what it does not tell."""

    version: str = ""
    engine: str = ""
    started_at: datetime | None = None
    memory_bytes: int | None = None
    sessions: int | None = None
    """Numbers it holds, whoever put them there."""
    connected: int | None = None
    """Those of them that are signed in and running."""


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """What happened since a cursor."""

    events: tuple[AnyEvent, ...]
    cursor: str
    """Given to the next call once ``events`` are stored: until then the service must keep them."""


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
class ReadMarks(Protocol):
    """Optional: marks what a person wrote as read, where ``seen``; best effort, a failure never fails a send."""

    async def mark_seen(self, sender: Sender, address: str) -> None:
        """Mark the unread messages of one chat as read."""
        ...


@runtime_checkable
class Restarting(Protocol):
    """Optional: stops and starts a number that hangs, its sign-in kept."""

    async def restart(self, sender: Sender) -> SenderReport:
        """Restart the number once and return its state; core owns how often.

        Raises:
            RefusedError: The server does not know the number.
        """
        ...


@runtime_checkable
class Screenshots(Protocol):
    """Optional: shows what a number's browser shows, where ``screenshots``."""

    async def screenshot(self, sender: Sender) -> Picture:
        """Take a picture.

        Raises:
            RefusedError: The number is not running.
        """
        ...


@runtime_checkable
class WebhookRepair(Protocol):
    """Optional: notices that a number's webhook on its server is not the one core set, and sets it again."""

    async def repair_webhook(self, sender: Sender, webhook: WebhookTarget) -> bool:
        """Compare, and set only what differs; return whether it differed.

        A number that its server does not know, or that is stopped, has nothing to repair.
        """
        ...


@runtime_checkable
class ServerReporting(Protocol):
    """Optional: says more of a server than its capabilities."""

    async def server_report(self, server: Server) -> ServerReport:
        """Ask once; raises as ``capabilities``."""
        ...


@runtime_checkable
class EventPolling(Protocol):
    """Optional: asks for events where ``inbound`` is ``poll``; no webhook is set then."""

    async def poll(self, sender: Sender, cursor: str, *, wait_seconds: float) -> Polled:
        """Return what happened after ``cursor``, which is empty at first; wait at most ``wait_seconds`` for it.

        The same cursor must give the same events again: core may die between the answer and its storing.

        Raises:
            ProviderError: The service did not answer; core asks again after a while.
        """
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
