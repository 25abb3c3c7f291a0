"""Servers of platform.toml."""

import asyncio
import secrets

import pytest

from core import database
from core.numbers.seeding import seed_servers
from core.plugin.loader import load_providers
from core.runtime import Runtime
from tests.core.numbers.messaging import KEY, Waha


@pytest.fixture
def name() -> str:
    return f"seeded {secrets.token_hex(4)}"


@pytest.fixture
async def seeded(messaging: Runtime, waha: Waha, name: str) -> object:
    """The process with one server in its settings."""
    before = messaging.providers
    messaging.providers = load_providers({"waha": {"servers": [{"name": name, "url": waha.url, "api_key": KEY}]}})
    yield messaging
    await messaging.providers.aclose()
    messaging.providers = before


@pytest.mark.usefixtures("seeded")
class TestSeeding:
    async def test_a_seeded_server_is_added_once_and_probed(self, name: str) -> None:
        added = await asyncio.gather(seed_servers(), seed_servers())
        assert sorted(len(ids) for ids in added) == [0, 1]
        assert await seed_servers() == []
        rows = await database.fetch("SELECT status FROM servers WHERE name = $1", name)
        assert [row["status"] for row in rows] == [True]

    async def test_a_deleted_server_stays_deleted(self, name: str) -> None:
        await seed_servers()
        await database.execute("UPDATE servers SET deleted_at = now() WHERE name = $1", name)
        assert await seed_servers() == []
