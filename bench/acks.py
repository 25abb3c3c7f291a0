"""Signed acknowledgements as WAHA delivers them: python -m bench.acks URL COUNT CONCURRENCY prints requests per second.

Written to open sockets, without an HTTP client; an answer that is no 200 ends it.
"""

import asyncio
import hashlib
import hmac
import secrets
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import uvloop

SECRET = "bench"  # noqa: S105 - the bench's own
OK = b"HTTP/1.1 200"


def signed(count: int, path: str, host: str) -> list[bytes]:
    """Build requests, each about another message."""
    run = secrets.token_hex(4)
    found = []
    for place in range(count):
        body = (
            f'{{"id":"evt_{run}_{place}","timestamp":1795441639817,"event":"message.ack","session":"bench",'
            f'"me":{{"id":"5511900000000@c.us","pushName":"Bench"}},"payload":{{"id":"true_{5511900000000 + place}@c.us'
            f'_3EB0{place:018X}","from":"{5511900000000 + place}@c.us","fromMe":true,"ack":2,"ackName":"DEVICE"}}}}'
        ).encode()
        signature = hmac.new(SECRET.encode(), body, hashlib.sha512).hexdigest()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nX-Webhook-Hmac: {signature}\r\n"
            f"X-Webhook-Hmac-Algorithm: sha512\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


class Slot(asyncio.Protocol):
    """One connection with one request in the air."""

    def __init__(self, waiting: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._waiting = waiting
        self._done = done
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Send the next request once the answer is complete."""
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            headers = bytes(self._received[:head]).lower()
            if not headers.startswith(OK.lower()):
                self._done.set_exception(RuntimeError(f"the server answered {headers[:40]!r}"))
                return
            start = headers.find(b"content-length:") + len(b"content-length:")
            length = int(headers[start:].split(b"\r\n", 1)[0])
            if len(self._received) < head + 4 + length:
                return
            del self._received[: head + 4 + length]
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where something is still waited for."""
        if not self._done.done():
            self._done.set_exception(exc or ConnectionResetError("the server closed the connection"))

    def _next(self) -> None:
        request = next(self._waiting, None)
        if request is not None:
            self._transport.write(request)
        elif not self._done.done():
            self._done.set_result(None)


async def main() -> None:
    """Measure and print."""
    url, count, concurrency = urlsplit(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    waiting = iter(signed(count, url.path, url.netloc))
    loop = asyncio.get_running_loop()
    slots = [loop.create_future() for _ in range(concurrency)]
    begun = time.perf_counter()
    for done in slots:
        await loop.create_connection(partial(Slot, waiting, done), "127.0.0.1", url.port or 80)
    await asyncio.gather(*slots)
    print(count / (time.perf_counter() - begun))


if __name__ == "__main__":
    uvloop.run(main())
