"""How much the sink alone takes: requests written to open sockets, without an HTTP client.

python bench/flood.py URL COUNT CONCURRENCY prints requests per second.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.bare import bodies
from bench.sink import ANSWER


class Slot(asyncio.Protocol):
    """One connection with one request in the air."""

    def __init__(self, waiting: Iterator[bytes], done: asyncio.Event) -> None:
        self._waiting = waiting
        self._done = done
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is complete."""
        self._received += len(data)
        while self._received >= len(ANSWER):
            self._received -= len(ANSWER)
            self._next()

    def _next(self) -> None:
        request = next(self._waiting, None)
        if request is None:
            self._done.set()
        else:
            self._transport.write(request)


async def main() -> None:
    """Measure and print."""
    url, count, concurrency = urlsplit(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    head = f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies(count)]
    slots = [asyncio.Event() for _ in range(concurrency)]
    waiting = iter(requests)
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    for done in slots:
        await loop.create_connection(partial(Slot, waiting, done), "127.0.0.1", url.port or 80)
    await asyncio.gather(*(done.wait() for done in slots))
    print(count / (time.perf_counter() - begun))


if __name__ == "__main__":
    uvloop.run(main())
