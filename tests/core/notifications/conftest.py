from collections.abc import AsyncIterator

import pytest

from core.runtime import Runtime
from tests.core.notifications.post import Post, open_post


@pytest.fixture
async def post(runtime: Runtime) -> AsyncIterator[Post]:
    async with open_post(runtime) as opened:
        yield opened
