"""The simulator as an ASGI application."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from litestar import Litestar

from plugins.mercadopago.simulator.api import Api
from plugins.mercadopago.simulator.billing import Billing
from plugins.mercadopago.simulator.control import Control
from plugins.mercadopago.simulator.faults import Fault, Faults
from plugins.mercadopago.simulator.options import Options, parse_options
from plugins.mercadopago.simulator.state import State, utc_now
from plugins.mercadopago.simulator.webhooks import Webhooks
from plugins.mercadopago.simulator.wire import Refused, refuse

DEFAULT_PORT = 3902

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

_PAGES = ("/subscriptions/checkout",)
_JSON = [(b"content-type", b"application/json")]


class Simulator:
    """One simulated Mercado Pago."""

    def __init__(self, options: Options, now: Callable[[], datetime] = utc_now) -> None:
        self._state = State(options, now)
        self._webhooks = Webhooks(self._state)
        self._faults = Faults()
        billing = Billing(self._state, self._webhooks.emit)
        api = Api(self._state, billing, self._webhooks.emit)
        self._control = Control(self._state, api, billing, self._webhooks, self._faults)
        self._ticking: asyncio.Task[None] | None = None
        self._app = Litestar(
            [*api.handlers(), *self._control.handlers(), *self._control.pages.handlers()],
            exception_handlers={Refused: refuse},
            on_startup=[self._begin],
            on_shutdown=[self._end],
            openapi_config=None,
            # Litestar's own would tell of every call.
            logging_config=None,
        )

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] != "http" or scope["path"] == "/" or scope["path"].startswith(_PAGES):
            await self._app(scope, receive, send)  # type: ignore[arg-type]
            self._webhooks.start()
        elif not self._has_token(scope):
            await _answer(
                send, 401, b'{"message":"invalid access token","error":"unauthorized","status":401,"cause":[]}'
            )
        elif scope["path"].startswith("/simulator"):
            await self._app(scope, receive, send)  # type: ignore[arg-type]
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer one of the service's own calls, with the fault that strikes it."""
        fault = self._faults.take(f"{scope['method']} {scope['path']}")
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        if fault is None or fault.is_late:
            await self._app(scope, receive, keep)  # type: ignore[arg-type]
            if self._state.options.webhooks_first:
                await self._webhooks.flush()
        if fault is None:
            for message in messages:
                await send(message)
        self._webhooks.start()
        if fault is not None:
            await _strike(fault, receive, send)

    def _has_token(self, scope: Any) -> bool:
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        token = self._state.options.access_token
        if not token:
            return bool(given.startswith(b"Bearer ") and len(given) > len(b"Bearer "))
        return hmac.compare_digest(given, f"Bearer {token}".encode())

    async def _begin(self) -> None:
        self._ticking = asyncio.ensure_future(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._state.options.tick_seconds)
            self._control.run_due()
            self._webhooks.start()

    async def _end(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        await self._webhooks.aclose()


async def _strike(fault: Fault, receive: Receive, send: Send) -> None:
    kind = fault.kind.partition("_")[0]
    match kind:
        case "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
        case "cut":
            # More is promised than comes, so the server closes the connection.
            headers = [*_JSON, (b"content-length", b"1000")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
        case "html":
            await _answer(send, 502, b"<html><h1>502 Bad Gateway</h1></html>")
        case _:
            words = b'{"message":"internal_error","error":"internal_error","status":%s,"cause":[]}' % kind.encode()
            await _answer(send, int(kind), words)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [*_JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create_simulator(options: Options | None = None, now: Callable[[], datetime] = utc_now) -> ASGIApp:
    """Return a simulator; it needs an ASGI server that runs lifespans."""
    return Simulator(options or Options(), now)


def create(options: Mapping[str, str]) -> ASGIApp:
    """Return a simulator from the options of a command line.

    Raises:
        ValueError: An option is not known or has a wrong value.
    """
    return create_simulator(parse_options(options))
