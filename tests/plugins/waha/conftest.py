"""A WAHA simulator, a receiver of its webhooks, and the provider, each over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from core.plugin import (
    Capabilities,
    Media,
    MessageKind,
    OutgoingMessage,
    Prepared,
    Secret,
    Sender,
    Server,
    WebhookDelivery,
    WebhookTarget,
)
from core.plugin.testing import Answer, ReceivedRequest, ScriptedServer
from plugins.waha.connection import WahaCredentials
from plugins.waha.provider import Limits, WahaProvider
from plugins.waha.simulator import Options, create_simulator

KEY = "simulated-key"
HMAC_KEY = "number-secret"
PHONE = "5511988887777"
TO = "12132132130"
HOOK = WebhookTarget("https://p.example/api/webhooks/waha/token")


class Waha:
    """A running simulator and a client for it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.url = str(http.base_url).rstrip("/")

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.http.post(path, json=body)

    async def phone(self) -> Any:
        return (await self.http.get("/simulator/phone")).json()

    async def fault(self, kind: str, **more: object) -> None:
        response = await self.post("/simulator/faults", {"kind": kind, **more})
        assert response.status_code == 201, response.text

    async def working_session(self, name: str = "snd_17", webhook: str = "", **more: object) -> None:
        """Create a session and scan its QR code."""
        hook = {"url": webhook, "events": ["*"], "hmac": {"key": HMAC_KEY}, "retries": {"delaySeconds": 0.05}}
        config: dict[str, object] = {"webhooks": [{**hook, **more}] if webhook else []}
        config["noweb"] = {"store": {"enabled": True, "fullSync": False}}
        await self.post("/api/sessions", {"name": name, "start": True, "config": config})
        await self.until(name, "SCAN_QR_CODE")
        scanned = await self.post(f"/simulator/sessions/{name}/scan", {"phone": PHONE})
        assert scanned.status_code == 200, scanned.text

    async def until(self, name: str, status: str) -> None:
        async def reached() -> bool:
            return bool((await self.http.get(f"/api/sessions/{name}")).json()["status"] == status)

        await eventually(reached)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is awaited happens in a server
            await asyncio.sleep(0.01)


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[str]:
    """Run an ASGI application on a free port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def simulate(**options: Any) -> AsyncIterator[Waha]:
    """Run a simulator that wastes no time unless told to."""
    quick: dict[str, Any] = {
        "api_key": KEY,
        "patience_seconds": 0.1,
        "start_seconds": 0.0,
        "operation_seconds": 0.0,
        "ack_seconds": 0.01,
    }
    async with (
        serve(create_simulator(Options(**(quick | options)))) as url,
        httpx.AsyncClient(base_url=url, headers={"X-Api-Key": KEY}, timeout=10) as http,
    ):
        yield Waha(http)


@pytest.fixture
async def receiver() -> AsyncIterator[ScriptedServer]:
    """A webhook receiver that remembers what it got; it outlives the simulators, which may be calling to the last."""
    async with ScriptedServer(Answer(200, b"")) as server:
        yield server


@pytest.fixture
async def start(receiver: ScriptedServer) -> AsyncIterator[Callable[..., Awaitable[Waha]]]:  # noqa: ARG001 - see there
    """Start simulators with chosen options."""
    async with AsyncExitStack() as stack:

        async def one(**options: Any) -> Waha:
            return await stack.enter_async_context(simulate(**options))

        yield one


@pytest.fixture
async def waha(receiver: ScriptedServer) -> AsyncIterator[Waha]:  # noqa: ARG001 - see there
    async with simulate() as running:
        yield running


@pytest.fixture
async def provider() -> AsyncIterator[WahaProvider]:
    made = WahaProvider(Limits(text_seconds=1.0, media_seconds=2.0, grace_seconds=60))
    yield made
    await made.aclose()


def sender_on(url: str, capabilities: Capabilities | None = None, instance: str = "snd_17") -> Sender:
    """Make the sender of number 17 on a server."""
    server = Server(id=1, url=url, credentials=WahaCredentials(api_key=Secret(KEY)))
    chosen = capabilities or Capabilities(engine="GOWS", client_message_id=True, lookup_by_id=True)
    return Sender(number_id=17, instance=instance, server=server, capabilities=chosen, webhook_secret=Secret(HMAC_KEY))


async def sender_of(provider: WahaProvider, waha: Waha, instance: str = "snd_17") -> Sender:
    """Make a sender with the capabilities that the server really has."""
    sender = sender_on(waha.url, instance=instance)
    return msgspec.structs.replace(sender, capabilities=await provider.capabilities(sender.server))


async def connect(provider: WahaProvider, waha: Waha, webhook: str = HOOK.url) -> Sender:
    """Let the provider open the number's session, and scan its QR code."""
    sender = await sender_of(provider, waha)
    name = sender.instance if sender.capabilities.multi_session else "default"
    await provider.open(sender, WebhookTarget(webhook))
    await waha.until(name, "SCAN_QR_CODE")
    await waha.post(f"/simulator/sessions/{name}/scan", {"phone": PHONE})
    return sender


def prepare(
    provider: WahaProvider, sender: Sender, text: str = "Hello", to: str = TO, media: Media | None = None
) -> Prepared:
    """Prepare a text, or a picture."""
    kind = MessageKind.IMAGE if media else MessageKind.TEXT
    return provider.prepare(OutgoingMessage(to, kind, text, media), sender, provider.new_client_id())


def delivery_of(request: ReceivedRequest) -> WebhookDelivery:
    """Make what core would hand to the provider."""
    return WebhookDelivery(
        method=request.method, query={}, headers=request.headers, body=request.body, public_url=HOOK.url
    )


def misfits(example: Any, answer: Any, where: str = "") -> list[str]:
    """Say where an answer has not the shape of an example: a member lacks, or is of another type.

    The examples are shortened, so an answer may hold more. What is null in an example may be anything, and an empty
    object or list holds whatever it likes.
    """
    if example is None:
        return []
    if isinstance(example, bool) or not isinstance(example, int | float):
        same = type(example) is type(answer)
    else:
        same = isinstance(answer, int | float) and not isinstance(answer, bool)
    if not same:
        return [f"{where or 'the whole'}: {type(answer).__name__} instead of {type(example).__name__}"]
    if isinstance(example, dict):
        lacking = [f"{where}.{name} is missing" for name in example if name not in answer]
        inside = [misfits(example[name], answer[name], f"{where}.{name}") for name in example if name in answer]
        return lacking + [one for found in inside for one in found]
    if isinstance(example, list) and example:
        if not answer:
            return [f"{where} is empty"]
        return [one for found in answer for one in misfits(example[0], found, f"{where}[]")]
    return []
