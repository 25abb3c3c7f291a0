"""The simulator as an ASGI application."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Litestar

from plugins.pusher.simulator.api import Api, refuse
from plugins.pusher.simulator.control import Control
from plugins.pusher.simulator.faults import Faults, Kind
from plugins.pusher.simulator.options import Options, parse_options
from plugins.pusher.simulator.page import Page
from plugins.pusher.simulator.signatures import Refused
from plugins.pusher.simulator.sockets import Sockets
from plugins.pusher.simulator.state import State

DEFAULT_PORT = 6001

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

_ANSWERS: Mapping[Kind, tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]] = {
    "down": (503, b"Service Unavailable\n", ()),
    "busy": (429, b"Too many requests\n", ((b"retry-after", b"7"),)),
    "500": (500, b"Internal Server Error\n", ()),
    "quota": (403, b"Account over quota\n", ()),
}


class Simulator:
    """One simulated app of Pusher."""

    def __init__(self, options: Options) -> None:
        self._secret = options.secret
        state = State(options)
        sockets = Sockets(state)
        self._faults = Faults()
        self._app = Litestar(
            [
                *Api(state).handlers(),
                *sockets.handlers(),
                *Page(state).handlers(),
                *Control(state, sockets, self._faults).handlers(),
            ],
            exception_handlers={Refused: refuse},
            openapi_config=None,
            # Litestar's own would tell of every call.
            logging_config=None,
        )

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        path = scope.get("path", "")
        if scope["type"] == "http" and path.startswith("/simulator/") and not self._has_secret(scope):
            await _answer(send, 401, b"Give the app's secret as Authorization: Bearer\n")
        elif scope["type"] == "http" and path.startswith("/apps/"):
            await self._strike(scope, receive, send)
        else:
            await self._app(scope, receive, send)  # type: ignore[arg-type]

    async def _strike(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a call of the API, with the fault that strikes it."""
        fault = self._faults.take()
        if fault is None:
            await self._app(scope, receive, send)  # type: ignore[arg-type]
        elif fault == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        elif fault in {"cut", "cut_after"}:
            if fault == "cut_after":
                await self._app(scope, receive, _lose)  # type: ignore[arg-type]
            # More is promised than comes, so the server closes the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
        else:
            await _answer(send, *_ANSWERS[fault])

    def _has_secret(self, scope: Any) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        return hmac.compare_digest(given, f"Bearer {self._secret}".encode())


async def _lose(_: Message) -> None:
    """Take an answer that nobody gets."""


async def _answer(send: Send, status: int, body: bytes, more: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create_simulator(options: Options | None = None) -> ASGIApp:
    """Return a simulator; it needs an ASGI server that speaks WebSocket."""
    return Simulator(options or Options())


def create(options: Mapping[str, str]) -> ASGIApp:
    """Return a simulator from the options of a command line.

    Raises:
        ValueError: An option is not known or has a wrong value.
    """
    return create_simulator(parse_options(options))
