"""The notifier: the protocol and the values that cross it."""

from collections.abc import Mapping
from typing import Literal, Protocol, runtime_checkable

import msgspec

Channel = Literal["email", "realtime"]
"""How a notification travels."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message for one person through one channel, already rendered."""

    key: str
    """Stable for (event, person, channel): a notifier that can, refuses a second one with the same key."""
    kind: str
    """``campaign.completed``, ``number.disconnected`` ..."""
    user_id: int
    recipient: str
    """E-mail address or realtime channel."""
    subject: str = ""
    text: str = ""
    html: str = ""
    payload: Mapping[str, msgspec.Raw] = {}
    """The typed event body, for realtime channels."""


@runtime_checkable
class Notifier(Protocol):
    """Delivers notifications through one service.

    ``send`` raises ``UnavailableError`` (try later), ``RefusedError`` (this person never) or ``MisconfiguredError``.
    """

    name: str
    channel: Channel

    async def send(self, notification: Notification) -> None:
        """Hand one notification over and return once the service took it."""
        ...

    async def check(self) -> str:
        """Return one line that says what answered, or raise a ``ProviderError``."""
        ...

    async def aclose(self) -> None:
        """Close connections; called once, at the end of the process."""
        ...
