"""A running simulator, the notifier on it, and what a reader of its mailbox sees."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from core.plugin import Notification, Secret
from plugins.smtp.connection import Account
from plugins.smtp.message import Author
from plugins.smtp.notifier import SmtpNotifier
from plugins.smtp.simulator import Options, Simulator

USER, PASSWORD = "messages@example.com", "simulated"
AUTHOR = Author(address="messages@example.com", name="Recado")

Begin = Callable[..., Awaitable["Mail"]]


class Mail:
    """A running simulator with a client for its orders, and a notifier on it."""

    def __init__(self, http: httpx.AsyncClient, simulator: Simulator, ca_file: Path, seconds: float) -> None:
        self.http = http
        self.simulator = simulator
        self.ca_file = ca_file
        self.handed_over = 0
        self.notifier = self.make_notifier(timeout_seconds=seconds, final_seconds=seconds)

    def make_notifier(self, **changes: Any) -> SmtpNotifier:
        account = Account(
            host="localhost",
            port=self.simulator.server.port,
            security=self.simulator.options.security,
            username=USER,
            password=Secret(PASSWORD),
            ca_file=str(self.ca_file),
            timeout_seconds=5.0,
            final_seconds=5.0,
        )
        return SmtpNotifier(msgspec.structs.replace(account, **changes), AUTHOR)

    async def send(
        self, recipient: str = "ana@example.com", notifier: SmtpNotifier | None = None, **fields: Any
    ) -> None:
        await (notifier or self.notifier).send(notification(recipient=recipient, **fields), self.hand_over)

    async def hand_over(self) -> None:
        self.handed_over += 1

    async def fault(self, kind: str, count: int = 1) -> None:
        answer = await self.http.post("/simulator/faults", json={"kind": kind, "count": count})
        assert answer.status_code == 201, answer.text

    async def look(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def mails(self) -> Any:
        return await self.look("/simulator/mails")

    async def newest(self) -> Any:
        return await self.look(f"/simulator/mails/{(await self.mails())[0]['id']}")

    async def commands(self) -> list[str]:
        return [one.partition(" ")[2] for one in (await self.look("/simulator/server"))["commands"]]

    async def open_connections(self) -> int:
        found: int = (await self.look("/simulator/server"))["open_connections"]
        return found


def notification(**changes: Any) -> Notification:
    made = Notification(
        key="campaign:7:completed:ana:email",
        kind="campaign_completed",
        user_id=1,
        recipient="ana@example.com",
        name="Ana",
        subject="Your campaign is done",
        text="All 40 messages are on their way.\n",
        html="<p>All <b>40</b> messages are on their way.</p>",
    )
    return msgspec.structs.replace(made, **changes)


@asynccontextmanager
async def simulate(folder: Path, *, seconds: float = 5.0, **options: Any) -> AsyncIterator[Mail]:
    """Run a simulator, with its mail and its pages on free ports."""
    ca_file = folder / "ca" / "ca.pem"
    simulator = Simulator(Options(smtp_port=0, ca_file=str(ca_file), **options))
    config = uvicorn.Config(simulator, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http:
            mail = Mail(http, simulator, ca_file, seconds)
            try:
                yield mail
            finally:
                await mail.notifier.aclose()
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[Mail]:
    async with simulate(tmp_path) as running:
        yield running


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Begin simulators with options of their own."""
    async with AsyncExitStack() as stack:

        async def one(**options: Any) -> Mail:
            return await stack.enter_async_context(simulate(tmp_path, **options))

        yield one


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Wait until ``condition`` holds; what is awaited happens in a server."""
    ends = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)
