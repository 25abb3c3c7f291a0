"""Bodies of the routes of live events."""

from collections.abc import Mapping
from typing import Annotated

import msgspec


class TicketRead(msgspec.Struct, frozen=True, kw_only=True):
    """What opens ``GET /api/events`` once."""

    ticket: Annotated[str, msgspec.Meta(examples=["p3aD0Zk1w5lq2bS7xvT9yKc4nUe8mRf6hGj0iOaLdVs"])]
    expires_in: Annotated[int, msgspec.Meta(examples=[45])]
    """Seconds within which it has to be used."""


class RealtimeRead(msgspec.Struct, frozen=True, kw_only=True):
    """The realtime services that tell the same events."""

    services: Annotated[
        Mapping[str, Mapping[str, str]],
        msgspec.Meta(
            examples=[{"pusher": {"key": "app-key", "cluster": "sa1", "channel": "private-user-7"}}],
        ),
    ]
    """By the name of the notifier: what a browser needs to connect; no secret."""


class ChannelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that wants to listen to a channel, as pusher-js asks for it."""

    socket_id: Annotated[str, msgspec.Meta(min_length=1, max_length=100, examples=["1234.5678"])]
    channel_name: Annotated[str, msgspec.Meta(min_length=1, max_length=200, examples=["private-user-7"])]
