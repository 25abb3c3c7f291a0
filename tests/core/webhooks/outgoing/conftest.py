from collections.abc import AsyncIterator, Callable

import httpx
import msgspec
import pytest

from core.config import OutboundConfig
from core.runtime import Runtime
from tests.conftest import ClientOf, Serve
from tests.core.webhooks.outgoing.receiver import Receiver
from tests.factories import Member


@pytest.fixture
async def rules(runtime: Runtime) -> AsyncIterator[Callable[[OutboundConfig], None]]:
    """Set where tenants' addresses may lead, for one test; loopback is allowed until then."""
    before = runtime.config

    def put(wanted: OutboundConfig) -> None:
        runtime.config = msgspec.structs.replace(before, outbound=wanted)

    put(OutboundConfig(allowed_networks=("127.0.0.0/8",)))
    yield put
    runtime.config = before


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def url(receiver: Receiver, serve: Serve, rules: Callable[[OutboundConfig], None]) -> str:
    """Where the receiver listens, which may be called."""
    del rules  # needed, since it opens loopback
    return await serve(receiver)


@pytest.fixture
async def shop(user: Member, api: ClientOf) -> AsyncIterator[httpx.AsyncClient]:
    """A signed-in tenant."""
    async with api(user) as client:
        yield client
