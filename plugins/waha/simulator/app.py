"""The simulator as an ASGI application."""

import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from plugins.waha.simulator.chats import Chats
from plugins.waha.simulator.control import Control
from plugins.waha.simulator.faults import Fault, Faults, unauthorized
from plugins.waha.simulator.http import (
    ASGIApp,
    Hung,
    Receive,
    Refused,
    Reply,
    Request,
    Router,
    Scope,
    Send,
    json_reply,
    read_request,
    write_reply,
)
from plugins.waha.simulator.lifecycle import Lifecycle
from plugins.waha.simulator.lookups import Lookups
from plugins.waha.simulator.options import Options, parse_options
from plugins.waha.simulator.sending import Sending
from plugins.waha.simulator.state import Session, State, utc_now
from plugins.waha.simulator.webhooks import Webhooks

DEFAULT_PORT = 3000
BODY_BYTES = 50 * 2**20
"""The longest JSON body that WAHA takes."""


class Simulator:
    """One simulated WAHA server; made anew with each start of its lifespan."""

    def __init__(
        self,
        options: Options,
        sessions: Iterable[Session] = (),
        orders: Iterable[Fault] = (),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._options = options
        self._state = State(options, now)
        self._state.sessions.update((session.name, session) for session in sessions)
        faults = Faults(self._state)
        faults.orders.extend(orders)
        self._webhooks = Webhooks(self._state, faults)
        lifecycle = Lifecycle(self._state, self._webhooks)
        sending = Sending(self._state, faults, self._webhooks)
        self._router = Router()
        sending.routes(self._router)
        lifecycle.routes(self._router)
        Chats(self._state, sending).routes(self._router)
        Lookups(self._state, faults, sending).routes(self._router)
        Control(self._state, faults, self._webhooks, lifecycle, sending).routes(self._router)
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request = await read_request(scope, receive)
        try:
            reply = await self._answer(request)
        except Refused as refusal:
            reply = refusal.reply
        except Hung:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await write_reply(reply, send)

    async def _answer(self, request: Request) -> Reply:
        if request.path.startswith(("/api/", "/health")) and not self._has_key(request):
            return unauthorized()
        if len(request.body) > BODY_BYTES:
            return json_reply({"statusCode": 413, "message": "request entity too large"}, 413)
        return await self._router.answer(request)

    def _has_key(self, request: Request) -> bool:
        given = request.headers.get("x-api-key", "")
        if not given and self._options.takes_key_in_query:
            given = request.query.get("x-api-key", "")
        key = self._options.api_key
        return not key or hmac.compare_digest(given.encode(), key.encode())

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._lifecycle.resume()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._state.aclose()
        await self._webhooks.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def create_simulator(options: Options | None = None) -> ASGIApp:
    """Return a simulator; it needs an ASGI server that runs lifespans."""
    return Simulator(options or Options())


def create(options: Mapping[str, str]) -> ASGIApp:
    """Return a simulator from the options of a command line.

    Raises:
        ValueError: An option is not known or has a wrong value.
    """
    return create_simulator(parse_options(options))
