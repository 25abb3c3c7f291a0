from collections.abc import AsyncIterator

import httpx
import pytest

from core.plugin.loader import load_providers
from core.runtime import Runtime
from tests.conftest import ClientOf
from tests.factories import Member


@pytest.fixture(autouse=True)
def messaging(runtime: Runtime) -> Runtime:
    """The run's process with a messaging plugin, whose groups contacts may be."""
    if "waha" not in runtime.providers.messaging_by_name:
        runtime.providers = load_providers({"waha": {}})
    return runtime


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


@pytest.fixture
async def stranger(api: ClientOf, other_user: Member) -> AsyncIterator[httpx.AsyncClient]:
    """Another tenant."""
    async with api(other_user) as opened:
        yield opened
