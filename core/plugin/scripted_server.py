"""A raw HTTP server that misbehaves on demand, for tests of whatever calls a service."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Self

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """A complete HTTP response."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = {}


class Hang(msgspec.Struct, frozen=True):
    """The request is read and never answered."""


class Cut(msgspec.Struct, frozen=True):
    """The request is read and the connection closed without a byte of answer."""


class Drip(msgspec.Struct, frozen=True):
    """A response starts and its body goes on for ever, a byte each 20 ms: no read timeout ends it."""


Reaction = Answer | Hang | Cut | Drip
Routes = Mapping[str, Reaction | tuple[Reaction, ...]]
"""What a server does, by the start of the target or by method and start (``"GET /messages/"``); the longest that fits
wins. Of several reactions each request takes the next, and the last one stays."""


class ReceivedRequest(msgspec.Struct, frozen=True):
    """One request as it came over the wire; header names are in lower case, ``target`` includes the query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class ScriptedServer:
    """An HTTP server on a free port of 127.0.0.1 that does what ``reaction`` says and remembers every request.

    ``routes`` holds other reactions for some targets.
    """

    def __init__(self, reaction: Reaction | None = None, routes: Routes | None = None) -> None:
        self.reaction = reaction or Answer()
        self.routes = dict(routes or {})
        self.requests: list[ReceivedRequest] = []
        self.url = ""
        self._server: asyncio.Server | None = None
        self._closed = False
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closed = True
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            # Accepted before the listener closed, and handed over after it.
            writer.close()
            return
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._connections.add(task)

        def end(done: asyncio.Task[None]) -> None:
            # Here rather than in the task, which may be cancelled before it begins.
            self._connections.discard(done)
            writer.close()

        task.add_done_callback(end)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await _read_request(reader)
                self.requests.append(request)
                if not await _react(self._reaction_to(request), writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def _reaction_to(self, request: ReceivedRequest) -> Reaction:
        named = (request.target, f"{request.method} {request.target}")
        fitting = [start for start in self.routes if any(name.startswith(start) for name in named)]
        if not fitting:
            return self.reaction
        chosen = max(fitting, key=lambda start: (len(start.rpartition(" ")[2]), len(start)))
        found = self.routes[chosen]
        if not isinstance(found, tuple):
            return found
        if len(found) > 1:
            self.routes[chosen] = found[1:]
        return found[0]


async def _read_request(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body)


async def _react(reaction: Reaction, writer: asyncio.StreamWriter) -> bool:
    """Do what ``reaction`` says; return whether the connection may serve another request."""
    match reaction:
        case Answer():
            headers = {"Content-Type": "application/json", "Content-Length": str(len(reaction.body))}
            lines = [f"{name}: {value}" for name, value in (headers | dict(reaction.headers)).items()]
            head = "\r\n".join([f"HTTP/1.1 {reaction.status} Scripted", *lines, "", ""])
            writer.write(head.encode() + reaction.body)
            await writer.drain()
            return True
        case Drip():
            writer.write(b"HTTP/1.1 200 Scripted\r\nContent-Length: 1000000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        case Hang():
            await asyncio.Event().wait()
        case Cut():
            pass
    return False


def unreachable_url() -> str:
    """Return the URL of a port of this machine on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
