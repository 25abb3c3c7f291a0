"""Tell browsers through Pusher Channels, and let them into the channel of their own user.

Nothing is kept there: who is not connected misses the event, so a frontend reads the state again when it connects.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec

from core.plugin import (
    Channel,
    HandingOver,
    LiveEvent,
    MisconfiguredError,
    Notification,
    RefusedError,
    Secret,
    build_client,
    decode,
)
from plugins.pusher.messages import BATCH, Message, channel_of, coalesce, is_socket_id, message_of
from plugins.pusher.origins import Origin
from plugins.pusher.signing import sign_request, sign_subscription

_log = logging.getLogger(__name__)


class App(msgspec.Struct, frozen=True, kw_only=True):
    """One app of Pusher, or of a compatible ``server``; browsers reach that at ``public`` where it is set."""

    app_id: str
    key: str
    secret: Secret
    cluster: str = "sa1"
    server: Origin | None = None
    public: Origin | None = None
    timeout_seconds: float = 10.0

    @property
    def origin(self) -> Origin:
        """Where the API answers."""
        return self.server or Origin("https", f"api-{self.cluster}.pusher.com", 443)

    @property
    def public_origin(self) -> Origin:
        """Where browsers connect."""
        return self.public or self.server or Origin("https", f"ws-{self.cluster}.pusher.com", 443)


class _Channels(msgspec.Struct, frozen=True):
    channels: dict[str, Any] | list[Any]
    """PHP servers write an empty object as a list."""


class PusherNotifier:
    """Notifications and live events of one app, over HTTP with signed requests."""

    name = "pusher"
    channel: Channel = "realtime"

    def __init__(self, app: App) -> None:
        self._app = app
        self._client = build_client()

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        """Publish the notification's event on the channel of its user.

        Raises:
            RefusedError: It has no event, or one that Pusher would not take.
            ProviderError: As ``Client.call`` says; an app that Pusher does not know is a ``MisconfiguredError``.
        """
        if notification.event is None:
            raise RefusedError("A notification without an event cannot be told in a browser.")
        message = message_of(notification.event)
        body = {"name": message.name, "channels": [message.channel], "data": message.data}
        request = self._request("POST", "events", msgspec.json.encode(body))
        await handing_over()
        await self._call(request, "publishing a notification")

    async def publish(self, events: Sequence[LiveEvent]) -> None:
        """Publish events in their order, ten a request; one that Pusher would not take is logged and left out.

        Raises:
            ProviderError: As ``send``; what comes after the request that failed is not sent.
        """
        messages: list[Message] = []
        for event in coalesce(events):
            try:
                messages.append(message_of(event))
            except RefusedError as error:
                _log.warning("Event %s of user %d is left out: %s", event.id, event.user_id, error)
        for start in range(0, len(messages), BATCH):
            body = msgspec.json.encode({"batch": messages[start : start + BATCH]})
            await self._call(self._request("POST", "batch_events", body), "publishing events")

    def connection(self, user_id: int) -> Mapping[str, str]:
        """Return what pusher-js needs: ``key``, ``cluster``, ``host``, ``port``, ``scheme`` and ``channel``."""
        app, public = self._app, self._app.public_origin
        return {
            "key": app.key,
            "cluster": app.cluster,
            "scheme": public.scheme,
            "host": public.host,
            "port": str(public.port),
            "channel": channel_of(user_id),
        }

    def authorize(self, user_id: int, socket_id: str, channel: str) -> Mapping[str, str]:
        """Let one connection into the user's own channel; the answer is that of Pusher's authorization endpoint.

        Raises:
            RefusedError: It is another channel, or ``socket_id`` is none that Pusher gives.
        """
        if channel != channel_of(user_id):
            raise RefusedError("This channel is not yours.", provider_code="foreign_channel")
        if not is_socket_id(socket_id):
            raise RefusedError("This is no id of a connection.", provider_code="socket_id")
        return {"auth": sign_subscription(socket_id, channel, key=self._app.key, secret=self._app.secret)}

    async def check(self) -> str:
        """Say which app answers, and how many channels have somebody listening."""
        doing = "asking for the channels in use"
        response = await self._call(self._request("GET", "channels"), doing)
        found = decode(response, _Channels, doing)
        return f"Pusher app {self._app.app_id} at {self._app.origin}, {len(found.channels)} channels in use"

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def _request(self, method: str, resource: str, body: bytes = b"") -> httpx.Request:
        app, path = self._app, f"/apps/{self._app.app_id}/{resource}"
        query = sign_request(method, path, body, key=app.key, secret=app.secret, at=int(time.time()))
        url = f"{app.origin}{path}?{urlencode(query)}"
        headers = {"Content-Type": "application/json"} if body else {}
        return self._client.build_request(method, url, content=body or None, headers=headers)

    async def _call(self, request: httpx.Request, doing: str) -> httpx.Response:
        limit = self._app.timeout_seconds
        response = await self._client.call(request, doing=doing, limit_seconds=limit, accept={404})
        if response.status_code == httpx.codes.NOT_FOUND:
            text = f"{self._app.origin} knows no app {self._app.app_id} (404 while {doing}): check app_id and cluster"
            raise MisconfiguredError(text, http_status=response.status_code)
        return response
