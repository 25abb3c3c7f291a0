import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, nullcontext

import httpx
import msgspec
import pytest
import uvicorn

from core import database
from core.numbers import senders
from core.runtime import Runtime
from tests.conftest import ClientOf
from tests.core.campaigns.sink import NAME, Relay, Sink, SinkProvider
from tests.factories import Member

ENGINE_TABLES = (
    "message_by_contacts",
    "message_attempts",
    "messages",
    "campaign_numbers",
    "campaign_counters",
    "campaigns",
    "send_counters",
    "lanes",
    "server_breakers",
    "contact_activity",
    "conversations",
    "number_checks",
    "jobs",
)


@pytest.fixture(scope="session")
async def plugin() -> AsyncIterator[SinkProvider]:
    """The sink's plugin; opening its client takes longer than most tests."""
    plugin = SinkProvider()
    yield plugin
    await plugin.aclose()


@pytest.fixture
async def provider(runtime: Runtime, plugin: SinkProvider) -> AsyncIterator[SinkProvider]:
    """The run's process with the sink's plugin alone, and an engine that has nothing to do yet."""
    before = runtime.providers
    plugin.reset()
    runtime.providers = msgspec.structs.replace(before, messaging_by_name={NAME: plugin})
    senders.forget()
    async with database.unit_of_work():
        for table in ENGINE_TABLES:
            await database.execute(f"DELETE FROM {table}")
    yield plugin
    runtime.providers = before
    senders.forget()


@pytest.fixture
async def user(provider: SinkProvider, user: Member) -> Member:
    """The tenant of an engine that has nothing to do yet."""
    del provider
    return user


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals to pytest."""
        return nullcontext()


@pytest.fixture(scope="session")
async def relay() -> AsyncIterator[Relay]:
    """One address for the sinks of all tests."""
    listening = socket.create_server(("127.0.0.1", 0))
    relay = Relay(f"http://127.0.0.1:{listening.getsockname()[1]}")
    server = _Server(uvicorn.Config(relay, log_config=None, access_log=False, ws="none", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    yield relay
    server.should_exit = True
    await task


@pytest.fixture
def sink(relay: Relay) -> Sink:
    relay.sink = Sink()
    return relay.sink


@pytest.fixture
def sink_url(relay: Relay, sink: Sink) -> str:
    """The sink's address."""
    assert relay.sink is sink
    return relay.url


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


@pytest.fixture
async def stranger(api: ClientOf, other_user: Member) -> AsyncIterator[httpx.AsyncClient]:
    """Another tenant."""
    async with api(other_user) as opened:
        yield opened
