"""A simulated Pusher and notifiers of its app over HTTP, and browsers that are real WebSocket clients."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import httpx
import msgspec
import pytest

from core.plugin import LiveEvent, Notification, Secret
from plugins.pusher.notifier import App, PusherNotifier
from plugins.pusher.origins import parse_origin
from plugins.pusher.simulator import Options, create_simulator
from tests.conftest import Serve

APP_ID = "1880783"
KEY = "key-of-the-tests"
SECRET = "secret-of-the-tests"


class Browser:
    """One connection, as pusher-js makes it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.socket_id = ""

    async def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = await self.socket.receive_json(timeout=10)
        return frame

    async def order(self, event: str, **given: str) -> None:
        await self.socket.send_json({"event": event, "data": given})

    async def subscribe(self, channel: str, auth: str = "") -> dict[str, Any]:
        await self.order("pusher:subscribe", channel=channel, **({"auth": auth} if auth else {}))
        return await self.next()


class Service:
    """A running simulator, and notifiers of its app."""

    def __init__(self, url: str, stack: AsyncExitStack, http: httpx.AsyncClient, web: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http
        self.web = web
        self._stack = stack
        self.notifier = self.make_notifier()

    def make_notifier(self, **given: Any) -> PusherNotifier:
        app: dict[str, Any] = {
            "app_id": APP_ID,
            "key": KEY,
            "secret": Secret(SECRET),
            "server": parse_origin("host", self.url),
            "timeout_seconds": 5.0,
        } | given
        notifier = PusherNotifier(App(**app))
        self._stack.push_async_callback(notifier.aclose)
        return notifier

    async def connect(self, key: str = KEY, query: str = "?protocol=7&client=js&version=8.4.0") -> Browser:
        """Connect without waiting for what the service says."""
        url = f"{self.url.replace('http', 'ws', 1)}/app/{key}{query}"
        return Browser(await self._stack.enter_async_context(self.web.ws_connect(url)))

    async def browser(self) -> Browser:
        """Connect and take the id of the connection."""
        browser = await self.connect()
        established = await browser.next()
        assert established["event"] == "pusher:connection_established"
        browser.socket_id = json.loads(established["data"])["socket_id"]
        return browser

    async def browser_of(self, user_id: int) -> Browser:
        """Connect, and subscribe to the user's channel with the notifier's permission."""
        browser = await self.browser()
        channel = self.notifier.connection(user_id)["channel"]
        answer = await browser.subscribe(channel, self.notifier.authorize(user_id, browser.socket_id, channel)["auth"])
        assert answer == {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"}
        return browser

    async def fault(self, kind: str, count: int = 1) -> None:
        answer = await self.http.post("/simulator/faults", json={"kind": kind, "count": count})
        assert answer.status_code == 201

    async def published(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get("/simulator/published")).json()
        return found


Start = Callable[..., Awaitable[Service]]


@pytest.fixture
async def start(serve: Serve) -> AsyncIterator[Start]:
    """Start simulators with chosen options."""
    async with AsyncExitStack() as stack:

        async def one(**options: Any) -> Service:
            given = {"app_id": APP_ID, "key": KEY, "secret": SECRET} | options
            url = await serve(create_simulator(Options(**given)))
            headers = {"Authorization": f"Bearer {SECRET}"}
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=30))
            web = await stack.enter_async_context(aiohttp.ClientSession())
            return Service(url, stack, http, web)

        yield one


@pytest.fixture
async def service(start: Start) -> Service:
    return await start()


def event(
    kind: str = "campaign.completed", user_id: int = 7, number: int = 1, data: dict[str, object] | None = None
) -> LiveEvent:
    body = {"id": f"evt_{number}", "type": kind, "created_at": "2030-01-01T12:00:00Z", "data": data or {}}
    return LiveEvent(id=f"evt_{number}", type=kind, user_id=user_id, body=msgspec.Raw(msgspec.json.encode(body)))


def event_of_size(size: int, number: int = 1) -> LiveEvent:
    """An event whose body has exactly ``size`` bytes."""
    missing = size - len(event(number=number, data={"text": ""}).body)
    return event(number=number, data={"text": "x" * missing})


def notification(told: LiveEvent | None) -> Notification:
    return Notification(
        key="event:7:pusher",
        kind="campaign.completed",
        user_id=7,
        recipient="",
        subject="Done",
        text="Sent",
        event=told,
    )


async def hand_over() -> None:
    """Core's word that a notification goes out, which nobody waits for here."""
