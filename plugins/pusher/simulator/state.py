"""What a simulated app knows: what was published, and who is connected."""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from plugins.pusher.simulator.options import Options

_KEPT = 1000
_QUEUED = 1000

Frame = Mapping[str, object]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One event on one channel, as the API took it."""

    at: datetime
    channel: str
    name: str
    data: str
    request: int
    """Events of one request have the same number."""
    receivers: int
    """To how many connections it went."""


class Connection:
    """One browser; frames for it wait in a queue, so that a slow one holds up nobody."""

    def __init__(self) -> None:
        self.socket_id = f"{secrets.randbelow(10**6) + 1}.{secrets.randbelow(10**9) + 1}"
        self.channels: set[str] = set()
        self.frames: asyncio.Queue[Frame | None] = asyncio.Queue(_QUEUED)

    def put(self, frame: Frame | None) -> bool:
        """Queue a frame; ``None`` ends the connection. A full queue takes no more, as nothing is guaranteed."""
        try:
            self.frames.put_nowait(frame)
        except asyncio.QueueFull:
            return False
        return True


class State:
    """One app."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.published: deque[Published] = deque(maxlen=_KEPT)
        self.connections: dict[str, Connection] = {}
        self.requests = 0

    def counts(self) -> dict[str, int]:
        """Return how many connections each channel in use has."""
        found: dict[str, int] = {}
        for connection in self.connections.values():
            for channel in connection.channels:
                found[channel] = found.get(channel, 0) + 1
        return found

    def publish(self, channel: str, name: str, data: str, except_for: str | None) -> None:
        """Give an event to every connection of a channel but one."""
        frame = {"event": name, "channel": channel, "data": data}
        receivers = sum(
            one.put(frame)
            for one in self.connections.values()
            if channel in one.channels and one.socket_id != except_for
        )
        self.published.append(
            Published(
                at=datetime.now(UTC), channel=channel, name=name, data=data, request=self.requests, receivers=receivers
            )
        )
