"""Which sign-ins a connection that stays open may still stand on."""

import httpx
import pytest

from core import database
from core.accounts import sessions
from core.accounts.liveness import living
from core.accounts.tables import UserStatus
from tests.conftest import ClientOf
from tests.core.contacts.making import add
from tests.core.walking import session_id
from tests.factories import Member


@pytest.fixture
async def both(api: ClientOf, user: Member) -> tuple[int, int]:
    """A session and a key of the user."""
    async with api(user) as client:
        key = await add(client, "api-keys", name="Shop", scopes=["read"])
    return await session_id(user.token), key["id"]


async def _living(both: tuple[int, int]) -> tuple[bool, bool]:
    found_sessions, found_keys = await living({both[0], 2**60}, {both[1], 2**60})
    assert 2**60 not in found_sessions | found_keys
    return both[0] in found_sessions, both[1] in found_keys


async def test_what_is_used_lives(both: tuple[int, int]) -> None:
    assert await _living(both) == (True, True)
    assert await living((), ()) == (set(), set())


async def test_a_session_that_is_revoked_does_not(user: Member, both: tuple[int, int]) -> None:
    await sessions.revoke(user.id, both[0])
    assert await _living(both) == (False, True)


async def test_nor_a_key(client: httpx.AsyncClient, user: Member, both: tuple[int, int]) -> None:
    client.headers["Authorization"] = f"Bearer {user.token}"
    await client.delete(f"/api/api-keys/{both[1]}")
    assert await _living(both) == (True, False)


@pytest.mark.parametrize("table", ["user_sessions", "api_keys"])
async def test_nor_what_is_past_its_end(both: tuple[int, int], table: str) -> None:
    row_id = both[0] if table == "user_sessions" else both[1]
    await database.execute(f"UPDATE {table} SET expires_at = now() - interval '1 s' WHERE id = $1", row_id)
    assert await _living(both) == (table != "user_sessions", table != "api_keys")


@pytest.mark.parametrize(
    "change", [f"status = '{UserStatus.INACTIVE}'", f"status = '{UserStatus.CANCELED}'", "deleted_at = now()"]
)
async def test_nor_anything_of_an_account_that_is_closed(user: Member, both: tuple[int, int], change: str) -> None:
    await database.execute(f"UPDATE users SET {change} WHERE id = $1", user.id)
    assert await _living(both) == (False, False)


async def test_looking_prolongs_nothing(user: Member, both: tuple[int, int]) -> None:
    await database.execute("UPDATE user_sessions SET last_used_at = '2026-01-01' WHERE id = $1", both[0])
    ends = "SELECT (last_used_at, expires_at)::text FROM user_sessions WHERE user_id = $1"
    before = await database.fetch_value(ends, user.id)
    await _living(both)
    assert await database.fetch_value(ends, user.id) == before
