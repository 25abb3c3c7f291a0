"""The simulator as an ASGI application."""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from plugins.evolution.simulator.control import Control
from plugins.evolution.simulator.faults import (
    REQUEST_KINDS,
    Fault,
    Faults,
    failure_reply,
    licence_required,
    no_instance,
)
from plugins.evolution.simulator.hooks import Hooks
from plugins.evolution.simulator.http import (
    ASGIApp,
    Handler,
    Hung,
    Receive,
    Refused,
    Reply,
    Request,
    Router,
    Scope,
    Send,
    error_reply,
    read_request,
    write_reply,
)
from plugins.evolution.simulator.lifecycle import Lifecycle
from plugins.evolution.simulator.lookups import Lookups
from plugins.evolution.simulator.options import Options, parse_options
from plugins.evolution.simulator.people import People
from plugins.evolution.simulator.sending import Sending
from plugins.evolution.simulator.state import Instance, State, utc_now
from plugins.evolution.simulator.webhooks import Webhooks

DEFAULT_PORT = 8080
BODY_BYTES = 136 * 2**20
"""The longest JSON body that Evolution takes."""
_OWN = "/simulator"


class Simulator:
    """One simulated Evolution server."""

    def __init__(
        self,
        options: Options,
        instances: Iterable[Instance] = (),
        orders: Iterable[Fault] = (),
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._options = options
        self._state = State(options, now)
        self._state.instances.update((instance.name, instance) for instance in instances)
        self._faults = Faults(self._state)
        self._faults.orders.extend(orders)
        self._webhooks = Webhooks(self._state, self._faults)
        lifecycle = Lifecycle(self._state, self._webhooks)
        self._sending = Sending(self._state, self._faults, self._webhooks)
        self._router = Router()
        control = Control(self._state, self._faults, self._webhooks, lifecycle)
        parts = (self._sending, lifecycle, Lookups(self._state), People(self._state), Hooks(self._state), control)
        for part in parts:
            part.routes(self._router)

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
        is_own = request.path == _OWN or request.path.startswith(f"{_OWN}/")
        if not is_own and request.path != "/" and self._options.is_from_2_4 and not self._options.licensed:
            return licence_required()
        handler = self._router.find(request)
        if is_own or request.path == "/":
            return await handler(request)
        name = request.names.get("instance")
        # The key is looked at last, so that a wrong one may hide behind a 404.
        if name is not None and name not in self._state.instances:
            return no_instance(name)
        if not self._has_key(request):
            return error_reply(401, "Unauthorized")
        if len(request.body) > BODY_BYTES:
            return error_reply(413, "request entity too large", "PayloadTooLargeError")
        return await self._with_faults(request, handler)

    async def _with_faults(self, request: Request, handler: Handler) -> Reply:
        if not self._faults.orders:
            return await handler(request)
        where = self._sending.where(request)
        fault = self._faults.take(REQUEST_KINDS, where, is_send=request.path.startswith("/message/"))
        if fault is None:
            return await handler(request)
        if not fault.goes_out:
            return failure_reply(fault, where)
        if fault.kind == "late_success":
            # A client that has gone changes nothing.
            reply: Reply = await asyncio.shield(self._state.begin(_later(fault.seconds, handler, request)))
            return reply
        await handler(request)
        return failure_reply(fault, where)

    def _has_key(self, request: Request) -> bool:
        """Ask for the global key, or for the token of the instance in the path, or of any one that lists itself."""
        key = self._options.api_key
        given = request.headers.get("apikey", "").encode()
        if not key or hmac.compare_digest(given, key.encode()):
            return True
        instances = self._state.instances
        name = request.names.get("instance")
        own = [instances[name]] if name is not None else []
        if request.path == "/instance/fetchInstances":
            own = list(instances.values())
        return any(hmac.compare_digest(given, instance.token.encode()) for instance in own)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._state.aclose()
        await self._webhooks.aclose()
        await send({"type": "lifespan.shutdown.complete"})


async def _later(seconds: float, handler: Handler, request: Request) -> Reply:
    await asyncio.sleep(seconds)
    try:
        return await handler(request)
    except Refused as refusal:
        return refusal.reply


def create_simulator(options: Options | None = None) -> ASGIApp:
    """Return a simulator; it needs an ASGI server that runs lifespans."""
    return Simulator(options or Options())


def create(options: Mapping[str, str]) -> ASGIApp:
    """Return a simulator from the options of a command line.

    Raises:
        ValueError: An option is not known or has a wrong value.
    """
    return create_simulator(parse_options(options))
