import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

import httpx
import msgspec
import pytest
import uvicorn
from recado_telegram.connection import TelegramCredentials
from recado_telegram.provider import ABILITIES, Limits, TelegramProvider
from recado_telegram.simulator import Options
from recado_telegram.simulator.app import build
from recado_telegram.simulator.state import Person, Service

from core.plugin import Secret, Sender, Server

TOKEN = Options().token


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals to pytest."""
        return nullcontext()


class Telegram:
    """A simulated Bot API that listens, and the provider's view of its bot."""

    def __init__(self, service: Service, url: str) -> None:
        self.service = service
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, trust_env=False)

    def sender(self, token: str = TOKEN) -> Sender:
        server = Server(id=1, url=self.url, credentials=TelegramCredentials(token=Secret(token)))
        return Sender(
            number_id=1, instance="bot", server=server, capabilities=ABILITIES, webhook_secret=Secret("unused")
        )

    async def call(self, method: str, **fields: object) -> httpx.Response:
        """Call a method as a program that is not ours would."""
        return await self.http.post(f"/bot{TOKEN}/{method}", json=fields)


StartTelegram = Callable[..., Awaitable[Telegram]]


@pytest.fixture
async def start_telegram() -> AsyncIterator[StartTelegram]:
    """Serve simulators with chosen options; each has somebody, 1001, who started the bot."""
    running: list[tuple[Telegram, uvicorn.Server, asyncio.Task[None]]] = []

    async def start(**options: object) -> Telegram:
        service = Service(msgspec.convert(options, Options))
        await service.start(Person(id=1001, first_name="Ana"))
        listening = socket.create_server(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(build(service), log_config=None, access_log=False, ws="none", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        telegram = Telegram(service, f"http://127.0.0.1:{listening.getsockname()[1]}")
        running.append((telegram, server, task))
        return telegram

    yield start
    for telegram, server, task in running:
        await telegram.http.aclose()
        server.should_exit = True
        await task


@pytest.fixture
async def telegram(start_telegram: StartTelegram) -> Telegram:
    return await start_telegram()


@pytest.fixture
async def provider() -> AsyncIterator[TelegramProvider]:
    provider = TelegramProvider(Limits(text_seconds=5, media_seconds=5))
    yield provider
    await provider.aclose()
