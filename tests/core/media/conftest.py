from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from core.media import delivery
from core.runtime import Runtime
from tests.conftest import ClientOf
from tests.core.campaigns.making import give_plan
from tests.factories import Member

Configure = Callable[..., None]


@pytest.fixture
async def user(user: Member) -> Member:
    """A tenant whose plan includes files."""
    await give_plan(user.id, medias=True)
    return user


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


@pytest.fixture
async def stranger(api: ClientOf, other_user: Member) -> AsyncIterator[httpx.AsyncClient]:
    """Another tenant."""
    async with api(other_user) as opened:
        yield opened


@pytest.fixture
def configure(runtime: Runtime) -> Iterator[Configure]:
    """Change a table of the configuration for one test: ``configure("media", delivery="url")``."""
    before = runtime.config

    def put(table: str, **keys: Any) -> None:
        changed = msgspec.structs.replace(getattr(runtime.config, table), **keys)
        runtime.config = msgspec.structs.replace(runtime.config, **{table: changed})

    delivery.forget()
    yield put
    runtime.config = before
    delivery.forget()
