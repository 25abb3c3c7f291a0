"""The WebSocket protocol, version 7, for public and private channels.

https://pusher.com/docs/channels/library_auth_reference/pusher-websockets-protocol. Data of the service's own events is
JSON in a text, as that of everybody else's.
"""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import WebsocketRouteHandler
from litestar.params import FromPath

from plugins.pusher.simulator.signatures import may_join
from plugins.pusher.simulator.state import Connection, Frame, State

AnySocket = WebSocket[Any, Any, Any]
_PROTOCOLS = frozenset({"5", "6", "7"})
_NOT_IMITATED = ("presence-", "private-encrypted-", "cache-", "private-cache-")
_UNKNOWN_APP, _UNSUPPORTED, _NO_PROTOCOL, _RECONNECT = 4001, 4007, 4008, 4200


class _Order(msgspec.Struct):
    channel: str = ""
    auth: str = ""


class _Frame(msgspec.Struct):
    event: str
    data: _Order | str | None = None

    @property
    def order(self) -> _Order:
        """What is ordered; empty where the data is a text or none."""
        return self.data if isinstance(self.data, _Order) else _Order()


class Sockets:
    """The browsers' side of the app."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> list[WebsocketRouteHandler]:
        """Return the route."""
        return [websocket("/app/{key:str}")(self.serve)]

    async def serve(self, socket: AnySocket, key: FromPath[str]) -> None:
        """Serve one browser until it leaves."""
        await socket.accept()
        code, message = self._refusal(key, socket.query_params.get("protocol"))
        if code:
            await _send(socket, _error(message, code))
            await socket.close(code=code, reason=message)
            return
        connection = Connection()
        self._state.connections[connection.socket_id] = connection
        timeout = self._state.options.activity_timeout
        connection.put(
            _own("pusher:connection_established", {"socket_id": connection.socket_id, "activity_timeout": timeout})
        )
        writing = asyncio.ensure_future(_write(socket, connection))
        try:
            while True:
                self._take(connection, await socket.receive_text())
        except WebSocketDisconnect:
            return
        finally:
            del self._state.connections[connection.socket_id]
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing

    def disconnect(self) -> int:
        """Ask every browser to connect again, as before a restart of the service; return how many there were."""
        return sum(connection.put(None) for connection in self._state.connections.values())

    def _refusal(self, key: str, protocol: str | None) -> tuple[int, str]:
        if key != self._state.options.key:
            return _UNKNOWN_APP, f"App key {key} not in this cluster. Did you forget to specify the cluster?"
        if protocol is None:
            return _NO_PROTOCOL, "No protocol version supplied"
        if protocol not in _PROTOCOLS:
            return _UNSUPPORTED, "Unsupported protocol version"
        return 0, ""

    def _take(self, connection: Connection, text: str) -> None:
        try:
            frame = msgspec.json.decode(text, type=_Frame)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            connection.put(_error("The message is not as it must be"))
            return
        match frame.event:
            case "pusher:ping":
                connection.put(_own("pusher:pong", {}))
            case "pusher:pong":
                pass
            case "pusher:subscribe":
                connection.put(self._join(connection, frame.order))
            case "pusher:unsubscribe":
                connection.channels.discard(frame.order.channel)
            case _:
                # Events of clients are off at every new app.
                connection.put(_error("To send client events, you must enable this feature in the Settings page"))

    def _join(self, connection: Connection, order: _Order) -> Frame:
        channel = order.channel
        if channel in connection.channels:
            return _error(f"Existing subscription to channel {channel}")
        if not channel or channel.startswith(_NOT_IMITATED):
            return _subscription_error(channel, "Unsupported", "The simulator has no such channels", 501)
        is_private = channel.startswith("private-")
        if is_private and not may_join(connection.socket_id, channel, order.auth, self._state.options):
            return _subscription_error(channel, "AuthError", "The connection is unauthorized.", 401)
        connection.channels.add(channel)
        return {**_own("pusher_internal:subscription_succeeded", {}), "channel": channel}


async def _write(socket: AnySocket, connection: Connection) -> None:
    while (frame := await connection.frames.get()) is not None:
        await _send(socket, frame)
    await socket.close(code=_RECONNECT, reason="Please reconnect immediately")


async def _send(socket: AnySocket, frame: Frame) -> None:
    await socket.send_text(msgspec.json.encode(frame).decode())


def _own(event: str, data: object) -> dict[str, object]:
    return {"event": event, "data": msgspec.json.encode(data).decode()}


def _error(message: str, code: int | None = None) -> Frame:
    return {"event": "pusher:error", "data": {"code": code, "message": message}}


def _subscription_error(channel: str, kind: str, message: str, status: int) -> Frame:
    data = {"type": kind, "error": message, "status": status}
    return {"event": "pusher:subscription_error", "channel": channel, "data": data}
