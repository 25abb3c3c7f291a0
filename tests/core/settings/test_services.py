"""Settings of the platform and configurations of tenants."""

import secrets

import pytest

from core import database
from core.settings import services
from tests.factories import Member


@pytest.fixture
def key() -> str:
    return f"test.{secrets.token_hex(8)}"


@pytest.mark.usefixtures("runtime")
async def test_setting(key: str) -> None:
    assert await services.get_setting(key) is None
    await services.put_setting(key, "a", "What it is")
    await services.put_setting(key, "b")
    row = await database.fetch_row("SELECT value, description FROM settings WHERE key = $1", key)
    assert row is not None
    assert (await services.get_setting(key), row["description"]) == ("b", "What it is")


@pytest.mark.usefixtures("runtime")
async def test_removed_setting(key: str) -> None:
    await services.put_setting(key, "a")
    assert await services.remove_setting(key)
    assert not await services.remove_setting(key)
    assert await services.get_setting(key) is None


@pytest.mark.usefixtures("runtime")
async def test_locked_setting(key: str) -> None:
    await services.put_setting(key, "a")
    async with database.unit_of_work():
        assert await services.lock_setting(key) == "a"


async def test_configuration_belongs_to_one_tenant(user: Member, other_user: Member, key: str) -> None:
    await services.put_configuration(user.id, key, "mine")
    await services.put_configuration(user.id, key, "mine again")
    await services.put_configuration(other_user.id, key, "theirs")
    assert await services.get_configuration(user.id, key) == "mine again"
    assert await services.get_configuration(other_user.id, key) == "theirs"
    assert await services.remove_configuration(user.id, key) is True
    assert await services.remove_configuration(user.id, key) is False
    assert await services.get_configuration(user.id, key) is None
    assert await services.get_configuration(other_user.id, key) == "theirs"
