"""The notifier: the protocol and the values that cross it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import msgspec

Channel = Literal["email", "realtime"]
"""How a notification travels."""

HandingOver = Callable[[], Awaitable[None]]
"""Core's word that the next step cannot be taken back.

A notifier awaits it once, after everything that is certainly repeatable (connecting, signing in, naming the recipient)
and right before the step whose lost answer leaves open whether the service took the notification.
"""


class LiveEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event for everybody who looks at one user's account."""

    id: str
    """The same however often the event is told."""
    type: str
    """``campaign.progress``: its name at the realtime service."""
    user_id: int
    body: msgspec.Raw
    """The whole envelope as JSON: ``id``, ``type``, ``created_at`` and ``data``."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one person through one channel, already rendered."""

    key: str
    """Stable for (event, person, channel), and no other installation's: a notifier that can, refuses a second one."""
    kind: str
    """``campaign_completed``, ``number_disconnected`` ..."""
    user_id: int
    recipient: str
    """E-mail address; empty for realtime channels."""
    name: str = ""
    """The recipient's name as they wrote it: any sign, emoji and right-to-left marks among them."""
    subject: str = ""
    text: str = ""
    html: str = ""
    event: LiveEvent | None = None
    """For realtime channels: the event ``notification.created``."""


@runtime_checkable
class Notifier(Protocol):
    """Delivers notifications through one service.

    ``send`` raises ``UnavailableError`` (not taken, try later; with ``of_recipient`` others may be told meanwhile, and
    without it three in a row have the service left alone), ``LimitReachedError`` (the account may send nothing more
    until ``retry_after``), ``RefusedError`` (this person never), ``MisconfiguredError`` (nobody, until a person mends
    it) or ``UncertainError`` (it may have been taken).
    """

    name: str
    channel: Channel

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        """Hand one notification over and return once the service took it; await ``handing_over`` as it says.

        It is cancelled 90 s after its begin, and once it was handed over 5 min (realtime channels: 45 s) after that.
        """
        ...

    async def check(self) -> str:
        """Return one line that says what answered, or raise a ``ProviderError``."""
        ...

    async def aclose(self) -> None:
        """Close connections; called once, at the end of the process."""
        ...


@runtime_checkable
class Broadcasting(Protocol):
    """Optional, of realtime notifiers: events that no list keeps, such as progress; nothing older than a minute."""

    async def publish(self, events: Sequence[LiveEvent]) -> None:
        """Hand events over in their order, in as few requests as the service allows; raises as ``Notifier.send``.

        One call at a time is made, by one process. What raises ``UnavailableError`` or ``UncertainError`` is called
        again with the same events, less those that newer progress replaced, so an event may be told twice.
        """
        ...


@runtime_checkable
class Subscribable(Protocol):
    """Optional, of realtime notifiers: browsers subscribe to a user's own channel with core's permission."""

    def connection(self, user_id: int) -> Mapping[str, str]:
        """Return what a browser of this user needs to connect: public key, host, name of the channel; no secret."""
        ...

    def authorize(self, user_id: int, socket_id: str, channel: str) -> Mapping[str, str]:
        """Return the permission of one connection for one channel.

        Raises:
            RefusedError: The channel is not this user's, or the connection's id has not the form it must have.
        """
        ...
