"""Simulated Evolution servers and a receiver of their webhooks, over HTTP; test modules name its fixtures."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.simulator import Options, create_simulator
from tests.conftest import Serve

KEY = "simulated-key"
TOKEN = "simulated-token"
PHONE = "5511988887777"
TO = "12132132130"
ADDRESS = f"{TO}@s.whatsapp.net"


class Evolution:
    """A running simulator and a client for it with the global key."""

    def __init__(self, http: httpx.AsyncClient, options: Options) -> None:
        self.http = http
        self.options = options

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def get(self, path: str) -> Any:
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def phone(self) -> Any:
        return await self.get("/simulator/phone")

    async def fault(self, kind: str, **more: object) -> None:
        response = await self.post("/simulator/faults", {"kind": kind, **more})
        assert response.status_code == 201, response.text

    async def create(self, name: str = "snd_17", webhook: str = "", **more: object) -> httpx.Response:
        """Create an instance that shows a QR code, in the form of the version's dialect."""
        body: dict[str, object] = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "token": TOKEN}
        if webhook and self.options.is_v1:
            body["webhook"] = webhook
        elif webhook:
            body["webhook"] = {"enabled": True, "url": webhook, "headers": {"X-Hook-Secret": "s3cret"}}
        return await self.post("/instance/create", {**body, "qrcode": True, **more})

    async def open(self, name: str = "snd_17", webhook: str = "", **more: object) -> None:
        """Create an instance and scan its QR code."""
        created = await self.create(name, webhook, **more)
        assert created.status_code == 201, created.text
        scanned = await self.post(f"/simulator/sessions/{name}/scan", {"phone": PHONE})
        assert scanned.status_code == 200, scanned.text

    async def state(self, name: str = "snd_17") -> str:
        return str((await self.get(f"/instance/connectionState/{name}"))["instance"]["state"])

    async def until(self, state: str, name: str = "snd_17") -> None:
        async def reached() -> bool:
            return await self.state(name) == state

        await eventually(reached)

    async def send(self, text: str = "Hello", number: str = TO, **more: object) -> httpx.Response:
        """Send a text in the form of the version's dialect."""
        body = {"textMessage": {"text": text}} if self.options.is_v1 else {"text": text}
        return await self.post("/message/sendText/snd_17", {"number": number, **body, **more})


class Receiver:
    """The bodies of the webhooks that came, by event."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.url = f"{server.url}/hooks/evolution/17"

    def bodies(self, event: str = "") -> list[Any]:
        found = [json.loads(request.body) for request in self.server.requests]
        return [body for body in found if event in {"", body["event"]}]

    async def wait(self, event: str, count: int) -> list[Any]:
        """Wait for at least ``count`` webhooks of ``event`` and return their bodies."""

        async def came() -> bool:
            return len(self.bodies(event)) >= count

        await eventually(came)
        return self.bodies(event)

    async def statuses(self, count: int) -> list[str]:
        """Wait for acknowledgements and return their statuses as they came."""
        return [body["data"]["status"] for body in await self.wait("messages.update", count)]


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is awaited happens in a server
            await asyncio.sleep(0.01)


@pytest.fixture
async def start_evolution(serve: Serve) -> AsyncIterator[Callable[..., Awaitable[Evolution]]]:
    """Start simulators with chosen options; they waste no time unless told to."""
    quick: dict[str, Any] = {"api_key": KEY, "create_seconds": 0.0, "connect_seconds": 0.0, "start_seconds": 0.0}
    quick |= {"ack_seconds": 0.01, "retry_seconds": 0.01}
    async with AsyncExitStack() as stack:

        async def one(**options: Any) -> Evolution:
            chosen = Options(**(quick | options))
            application: Any = create_simulator(chosen)
            client = httpx.AsyncClient(base_url=await serve(application), headers={"apikey": KEY}, timeout=10)
            return Evolution(await stack.enter_async_context(client), chosen)

        yield one


@pytest.fixture
async def evolution(start_evolution: Callable[..., Awaitable[Evolution]]) -> Evolution:
    """A server of the newest free version."""
    return await start_evolution()


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    """A webhook receiver that remembers what it got."""
    async with ScriptedServer(Answer(200, b"")) as server:
        yield Receiver(server)
