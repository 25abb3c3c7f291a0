"""The HTTP API: events, batches and channels, with the limits and answers of the real one.

https://pusher.com/docs/channels/library_auth_reference/rest-api.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from plugins.pusher.simulator.signatures import Refused, prove
from plugins.pusher.simulator.state import State

AnyRequest = Request[Any, Any, Any]
_NAME_LENGTH = 200
_CHANNELS = 100
_CHANNEL = re.compile(r"[A-Za-z0-9_\-=@,.;]{1,164}")
_ENCRYPTED = "private-encrypted-"
_Name = Annotated[str, msgspec.Meta(min_length=1)]
_T = TypeVar("_T")


class _Event(msgspec.Struct, kw_only=True):
    name: _Name
    data: str
    channel: str | None = None
    channels: list[str] | None = None
    socket_id: str | None = None


class _Batch(msgspec.Struct):
    batch: list[_Event]


class Api:
    """The calls under ``/apps``."""

    def __init__(self, state: State) -> None:
        self._state = state

    def handlers(self) -> list[HTTPRouteHandler]:
        """Return the routes."""
        return [
            post("/apps/{app_id:str}/events", status_code=200)(self.trigger),
            post("/apps/{app_id:str}/batch_events", status_code=200)(self.trigger_batch),
            get("/apps/{app_id:str}/channels")(self.channels),
            get("/apps/{app_id:str}/channels/{name:str}")(self.channel),
        ]

    async def trigger(self, request: AnyRequest, app_id: FromPath[str]) -> Response[bytes]:
        """Publish one event on up to a hundred channels."""
        event = _read(await self._proved(request, app_id), _Event)
        channels = event.channels if event.channels is not None else [event.channel or ""]
        if not 1 <= len(channels) <= _CHANNELS:
            raise Refused(400, f"Cannot publish to {len(channels)} channels: 1 to {_CHANNELS} can be named")
        if len(channels) > 1 and any(channel.startswith(_ENCRYPTED) for channel in channels):
            raise Refused(400, "Cannot trigger to multiple channels when one of them is encrypted")
        self._publish([(event, channels)])
        return reply({})

    async def trigger_batch(self, request: AnyRequest, app_id: FromPath[str]) -> Response[bytes]:
        """Publish several events; one that is wrong refuses them all."""
        events = _read(await self._proved(request, app_id), _Batch).batch
        most = self._state.options.max_batch
        if len(events) > most:
            raise Refused(400, f"Batch too large: {len(events)} events exceed the maximum of {most}")
        self._publish([(event, [event.channel or ""]) for event in events])
        return reply({})

    async def channels(self, request: AnyRequest, app_id: FromPath[str]) -> Response[bytes]:
        """List the channels in use."""
        await self._proved(request, app_id)
        prefix, wanted = request.query_params.get("filter_by_prefix", ""), _wanted(request)
        found = {name: count for name, count in self._state.counts().items() if name.startswith(prefix)}
        return reply({"channels": {name: dict.fromkeys(wanted, count) for name, count in found.items()}})

    async def channel(self, request: AnyRequest, app_id: FromPath[str], name: FromPath[str]) -> Response[bytes]:
        """Tell of one channel."""
        await self._proved(request, app_id)
        count = self._state.counts().get(name, 0)
        return reply({"occupied": count > 0, **dict.fromkeys(_wanted(request), count)})

    async def _proved(self, request: AnyRequest, app_id: str) -> bytes:
        """Return the body of a request that is for this app and by it."""
        if app_id != self._state.options.app_id:
            raise Refused(404, f"App {app_id} not found")
        body = await request.body()
        query = dict(request.query_params.items())
        prove(request.method, request.scope["path"], query, body, self._state.options)
        return body

    def _publish(self, events: list[tuple[_Event, list[str]]]) -> None:
        for event, channels in events:
            self._expect_fitting(event, channels)
        self._state.requests += 1
        for event, channels in events:
            for channel in channels:
                self._state.publish(channel, event.name, event.data, event.socket_id)

    def _expect_fitting(self, event: _Event, channels: list[str]) -> None:
        if len(event.name) > _NAME_LENGTH:
            raise Refused(400, f"Event name too long: {_NAME_LENGTH} characters are the most")
        for channel in channels:
            if not _CHANNEL.fullmatch(channel):
                raise Refused(400, f"Invalid channel name: {channel[:200]}")
        if event.socket_id is not None and not re.fullmatch(r"[0-9]+\.[0-9]+", event.socket_id):
            raise Refused(400, "Invalid socket_id")
        most = self._state.options.max_data_bytes
        if len(event.data.encode()) > most:
            raise Refused(413, f"The data content of this event exceeds the allowed maximum ({most} bytes).")


def reply(value: object, status: int = 200) -> Response[bytes]:
    """Encode an answer."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def refuse(_: AnyRequest, refusal: Refused) -> Response[str]:
    """Answer a refusal with its line of plain text."""
    return Response(f"{refusal.message}\n", status_code=refusal.status, media_type="text/plain")


def _read(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, f"The body is not as it must be: {error}") from None


def _wanted(request: AnyRequest) -> list[str]:
    """Return what is asked of each channel; users are counted on presence channels alone, which there are none of."""
    wanted = [one for one in request.query_params.get("info", "").split(",") if one]
    if any(one != "subscription_count" for one in wanted):
        raise Refused(400, "subscription_count alone can be asked for")
    return wanted
