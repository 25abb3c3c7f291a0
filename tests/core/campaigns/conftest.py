from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from core import database
from core.numbers import senders
from core.plugin.registry import Providers
from core.runtime import Runtime
from tests.conftest import ClientOf, Serve
from tests.core.campaigns.sink import NAME, Sink, SinkProvider
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
    "number_checks",
    "jobs",
)


@pytest.fixture(autouse=True)
async def provider(runtime: Runtime) -> AsyncIterator[SinkProvider]:
    """The run's process with the sink's plugin alone, and an engine that has nothing to do yet."""
    before = runtime.providers
    provider = SinkProvider()
    runtime.providers = msgspec.structs.replace(before, messaging_by_name={NAME: provider})
    senders.forget()
    async with database.unit_of_work():
        for table in ENGINE_TABLES:
            await database.execute(f"DELETE FROM {table}")
    yield provider
    await provider.aclose()
    runtime.providers = before
    senders.forget()


@pytest.fixture
def providers(runtime: Runtime) -> Providers:
    return runtime.providers


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def sink_url(sink: Sink, serve: Serve) -> str:
    """The sink's address."""
    return await serve(sink)


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


@pytest.fixture
async def stranger(api: ClientOf, other_user: Member) -> AsyncIterator[httpx.AsyncClient]:
    """Another tenant."""
    async with api(other_user) as opened:
        yield opened
