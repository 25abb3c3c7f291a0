"""The ways notifications leave: one lane for e-mail, and one for each realtime notifier, the built-in one first."""

from collections.abc import Mapping, Sequence

import msgspec

from core.events.catalogue import Envelope
from core.live import stream
from core.plugin import Channel, HandingOver, Notification, Notifier, UnavailableError
from core.runtime import providers

LIVE = "live"
"""Name of the built-in notifier, which tells the connections of ``GET /api/events``."""


class Lane(msgspec.Struct, frozen=True):
    """Deliveries that leave one after the other: a lane that hangs holds no other one up."""

    channel: Channel
    notifier: str = ""
    """Empty for e-mail: any e-mail notifier takes it."""

    @property
    def name(self) -> str:
        """How messages of the queue call it."""
        return f"{self.channel}:{self.notifier}"


EMAIL = Lane("email")


class LiveNotifier:
    """Tells who has the stream of live events open; telling them twice by one key is telling them once."""

    name = LIVE
    channel: Channel = "realtime"

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        """Append the event to the user's stream."""
        event = notification.event
        if event is None:
            return
        await handing_over()
        try:
            await stream.append([(event.user_id, msgspec.json.decode(event.body, type=Envelope))])
        except stream.UNAVAILABLE as error:
            # The stream takes an event once by its id, so it may be tried again.
            raise UnavailableError(f"Redis does not take live events ({type(error).__name__})") from None

    async def check(self) -> str:
        """Say that it is there; Redis has a check of its own."""
        return "built in"

    async def aclose(self) -> None:
        """Close nothing: the process's own Redis client is used."""


_LIVE = LiveNotifier()


def notifiers_of(lane: Lane) -> Sequence[Notifier]:
    """Return who can deliver a lane, in the order they are asked; empty where its plugin is gone."""
    if lane.channel == "email":
        return [found for found in providers().notifiers_by_name.values() if found.channel == "email"]
    found = _realtime().get(lane.notifier)
    return [] if found is None else [found]


def lanes() -> Sequence[Lane]:
    """Return the lanes of this installation."""
    realtime = [Lane("realtime", name) for name in _realtime()]
    return [*realtime, EMAIL] if notifiers_of(EMAIL) else realtime


def lane_named(name: str) -> Lane | None:
    """Return the lane of a queue message, ``None`` when its plugin is gone."""
    return next((lane for lane in lanes() if lane.name == name), None)


def _realtime() -> Mapping[str, Notifier]:
    found = {name: one for name, one in providers().notifiers_by_name.items() if one.channel == "realtime"}
    return {LIVE: _LIVE, **found}
