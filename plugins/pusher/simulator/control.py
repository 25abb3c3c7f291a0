"""What no Pusher has: what was published as JSON, connections that end and troubles, to order."""

import msgspec
from litestar import Response, delete, get, post
from litestar.handlers import HTTPRouteHandler

from plugins.pusher.simulator.api import AnyRequest, reply
from plugins.pusher.simulator.faults import Fault, Faults
from plugins.pusher.simulator.signatures import Refused
from plugins.pusher.simulator.sockets import Sockets
from plugins.pusher.simulator.state import State


class Control:
    """The calls under ``/simulator``."""

    def __init__(self, state: State, sockets: Sockets, faults: Faults) -> None:
        self._state = state
        self._sockets = sockets
        self._faults = faults

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the routes."""
        return [
            get("/simulator/published")(self.published),
            delete("/simulator/published", status_code=204)(self.forget),
            get("/simulator/connections")(self.connections),
            delete("/simulator/connections", status_code=200)(self.disconnect),
            get("/simulator/faults")(self.faults),
            post("/simulator/faults")(self.add_fault),
            delete("/simulator/faults", status_code=204)(self.clear_faults),
        ]

    async def published(self) -> Response[bytes]:
        """List what was published, the oldest first."""
        return reply([*self._state.published])

    async def forget(self) -> None:
        """Forget what was published."""
        self._state.published.clear()

    async def connections(self) -> Response[bytes]:
        """List who is connected, with their channels."""
        return reply({one.socket_id: sorted(one.channels) for one in self._state.connections.values()})

    async def disconnect(self) -> Response[bytes]:
        """End every connection with the code that asks to connect again."""
        return reply({"disconnected": self._sockets.disconnect()})

    async def faults(self) -> Response[bytes]:
        """List the faults in force."""
        return reply(self._faults.orders)

    async def add_fault(self, request: AnyRequest) -> Response[bytes]:
        """Order a fault."""
        try:
            fault = msgspec.json.decode(await request.body(), type=Fault)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Refused(400, str(error)) from None
        self._faults.orders.append(fault)
        return reply(fault, 201)

    async def clear_faults(self) -> None:
        """End all faults."""
        self._faults.orders.clear()
