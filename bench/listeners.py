"""Connections of ``GET /api/events``: python -m bench.listeners URL CONNECTIONS, with a token of each user on stdin.

Prints a line once every connection is told that it stands, and another once each was told an event.
"""

import asyncio
import sys
from typing import cast
from urllib.parse import urlsplit

import uvloop

AT_ONCE = 50
OPENED = b"event: stream.opened"
EVENT = b"event: campaign.progress"


class Connection(asyncio.Protocol):
    """One connection; it keeps what of an answer is needed to tell where it stands."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.opened = loop.create_future()
        self.told = loop.create_future()
        self._request = request
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the events."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Look for what is waited for."""
        self._received += data
        for waiting, mark in ((self.opened, OPENED), (self.told, EVENT)):
            if not waiting.done() and mark in self._received:
                waiting.set_result(None)
        self._received = self._received[-len(EVENT) :] if self.opened.done() else self._received

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where something is still waited for."""
        for waiting in (self.opened, self.told):
            if not waiting.done():
                waiting.set_exception(exc or ConnectionResetError(f"closed: {self._received[:200]!r}"))


async def main() -> None:
    """Connect, wait and print."""
    url, count = urlsplit(sys.argv[1]), int(sys.argv[2])
    tokens = sys.stdin.readline().split()
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    for start in range(0, count, AT_ONCE):
        for place in range(start, min(start + AT_ONCE, count)):
            token = tokens[place % len(tokens)]
            request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
            connection = Connection(request.encode())
            connections.append(connection)
            await loop.create_connection(lambda made=connection: made, "127.0.0.1", url.port or 80)  # type: ignore[misc]
        await asyncio.gather(*(connection.opened for connection in connections[start:]))
    print("open", flush=True)
    await asyncio.gather(*(connection.told for connection in connections))
    print("told", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
