"""Events as Pusher takes them, within the limits of its shared clusters.

https://pusher.com/docs/channels/library_auth_reference/rest-api#events: 10 KB an event (413 beyond), 10 events a
batch; https://pusher.com/docs/channels/using_channels/channels: the alphabet and length of a channel's name.
"""

import re
from collections.abc import Iterable

import msgspec

from core.plugin import LiveEvent, RefusedError

DATA_BYTES = 10_240
"""The longest data of one event, in UTF-8."""
NAME_LENGTH = 200
"""The longest name of an event."""
BATCH = 10
"""The most events of one request."""
_CHANNEL = re.compile(r"[A-Za-z0-9_\-=@,.;]{1,164}")
_SOCKET = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_PROGRESS = ".progress"


class Message(msgspec.Struct, frozen=True):
    """One event for one channel, as the API reads it."""

    name: str
    channel: str
    data: str


class _Data(msgspec.Struct, frozen=True):
    campaign_id: int | None = None
    job_id: int | None = None


class _Envelope(msgspec.Struct, frozen=True):
    data: _Data


_decode = msgspec.json.Decoder(_Envelope).decode


def channel_of(user_id: int) -> str:
    """Return the one channel of a user; only they are ever let into it."""
    return f"private-user-{user_id}"


def is_socket_id(text: str) -> bool:
    """Say whether this can be the id that Pusher gives a connection."""
    return _SOCKET.fullmatch(text) is not None


def message_of(event: LiveEvent) -> Message:
    """Return what is sent of an event.

    Raises:
        RefusedError: Pusher would not take it.
    """
    data, channel = bytes(event.body).decode(), channel_of(event.user_id)
    size = len(event.body)
    if size > DATA_BYTES:
        text = f"The event {event.type} has {size} bytes, and Pusher takes {DATA_BYTES} at most."
        raise RefusedError(text, provider_code="event_too_large")
    if not 1 <= len(event.type) <= NAME_LENGTH:
        text = f"The name of an event has {len(event.type)} characters, and Pusher takes 1 to {NAME_LENGTH}."
        raise RefusedError(text, provider_code="event_name")
    if not _CHANNEL.fullmatch(channel):
        raise RefusedError(f"Pusher has no channel of the name {channel}.", provider_code="channel_name")
    return Message(name=event.type, channel=channel, data=data)


def coalesce(events: Iterable[LiveEvent]) -> list[LiveEvent]:
    """Return the events in their order, of several that tell one subject's progress the last alone."""
    kept: list[LiveEvent] = []
    seen: set[tuple[int, str, _Data]] = set()
    for event in reversed([*events]):
        if event.type.endswith(_PROGRESS):
            subject = (event.user_id, event.type, _decode(event.body).data)
            if subject in seen:
                continue
            seen.add(subject)
        kept.append(event)
    return kept[::-1]
