"""A server that takes WAHA's sendText: python bench/sink.py PORT SECONDS; it ends with its parent's pipe."""

import asyncio
import sys
from typing import cast

import uvloop

BODY = b'{"key":{"remoteJid":"5511900000000@s.whatsapp.net","fromMe":true,"id":"3EB0"},"status":"PENDING"}'
ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: "
    + str(len(BODY)).encode()
    + b"\r\n\r\n"
    + BODY
)


LATENCY_SECONDS = float(sys.argv[2]) if sys.argv[2:] else 0.0
"""What each answer takes."""


class Sink(asyncio.Protocol):
    """Answers every request with the same 201 as soon as its body is complete."""

    def __init__(self) -> None:
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; uvloop's is none of asyncio's classes."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self._received += data
        while (head := self._received.find(b"\r\n\r\n")) >= 0:
            headers = bytes(self._received[:head]).lower()
            start = headers.find(b"content-length:") + len(b"content-length:")
            length = int(headers[start:].split(b"\r\n", 1)[0])
            if len(self._received) < head + 4 + length:
                return
            del self._received[: head + 4 + length]
            if LATENCY_SECONDS:
                asyncio.get_running_loop().call_later(LATENCY_SECONDS, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)


async def main() -> None:
    """Serve until standard input closes."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Sink, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
