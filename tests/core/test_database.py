"""Statements and units of work on a real PostgreSQL."""

import asyncio
import secrets
from functools import partial

import asyncpg
import msgspec
import pytest

from core import database
from core.config import PlatformConfig
from core.database import DatabaseNotConfiguredError
from core.piccolo_conf import DB
from tests.outages import without_database

pytestmark = pytest.mark.usefixtures("runtime")


@pytest.fixture
def key() -> str:
    return f"test.{secrets.token_hex(8)}"


async def insert(key: str) -> int:
    return await database.execute(
        "INSERT INTO settings (key, value, description, created_at, updated_at) VALUES ($1, '', '', now(), now())", key
    )


async def exists(key: str) -> bool:
    return await database.fetch_row("SELECT 1 FROM settings WHERE key = $1", key) is not None


async def run_and_fail(key: str, error: BaseException) -> None:
    async with database.unit_of_work():
        await insert(key)
        raise error


async def test_fetch() -> None:
    rows = await database.fetch("SELECT n FROM generate_series(1, $1) AS n", 3)
    assert [row["n"] for row in rows] == [1, 2, 3]


async def test_fetch_row_and_value_of_nothing() -> None:
    assert await database.fetch_row("SELECT 1 WHERE false") is None
    assert await database.fetch_value("SELECT 1 WHERE false") is None


async def test_execute_counts_rows(key: str) -> None:
    assert await insert(key) == 1
    assert await database.execute("DELETE FROM settings WHERE key = $1", key) == 1
    assert await database.execute("DELETE FROM settings WHERE key = $1", key) == 0
    assert await database.execute("SET search_path = public") == 0


async def test_json() -> None:
    assert await database.fetch_value("SELECT $1::jsonb->'a'->>0", database.encode_json({"a": ["ç"]})) == "ç"


async def test_session_settings() -> None:
    row = await database.fetch_row(
        "SELECT current_setting('timezone') AS zone, current_setting('jit') AS jit,"
        " current_setting('application_name') AS name"
    )
    assert dict(row or {}) == {"zone": "UTC", "jit": "off", "name": "recado"}


async def test_commit(key: str) -> None:
    async with database.unit_of_work():
        await insert(key)
    assert await exists(key)


@pytest.mark.parametrize("error", [RuntimeError("on purpose"), asyncio.CancelledError()])
async def test_rollback(key: str, error: BaseException) -> None:
    with pytest.raises(type(error)):
        await run_and_fail(key, error)
    assert not await exists(key)


async def test_database_error_rolls_back(key: str) -> None:
    async def insert_twice() -> None:
        async with database.unit_of_work():
            await insert(key)
            await insert(key)

    with pytest.raises(asyncpg.UniqueViolationError):
        await insert_twice()
    assert not await exists(key)


async def test_inner_unit_joins_the_outer(key: str) -> None:
    async def nested() -> None:
        async with database.unit_of_work():
            async with database.unit_of_work():
                await insert(key)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        await nested()
    assert not await exists(key)


async def test_nothing_is_seen_before_the_commit(key: str) -> None:
    async def look_from_outside() -> bool:
        assert DB.pool is not None
        async with DB.pool.acquire() as other:
            return await other.fetchrow("SELECT 1 FROM settings WHERE key = $1", key) is not None

    async with database.unit_of_work():
        await insert(key)
        assert not await look_from_outside()
    assert await look_from_outside()


async def test_after_commit_runs_in_order_and_after(key: str) -> None:
    seen: list[tuple[str, bool]] = []

    async def note(name: str) -> None:
        seen.append((name, await exists(key)))

    async with database.unit_of_work():
        database.after_commit(partial(note, "first"))
        async with database.unit_of_work():
            database.after_commit(partial(note, "second"))
        await insert(key)
        assert seen == []
    assert seen == [("first", True), ("second", True)]


async def test_rollback_drops_hooks(key: str) -> None:
    ran: list[str] = []

    async def note() -> None:
        ran.append("ran")

    async def fail() -> None:
        async with database.unit_of_work():
            database.after_commit(note)
            await run_and_fail(key, RuntimeError("on purpose"))

    with pytest.raises(RuntimeError):
        await fail()
    assert ran == []


async def test_failing_hook_undoes_nothing_and_stops_no_other(key: str) -> None:
    ran: list[str] = []

    async def fail() -> None:
        raise RuntimeError("on purpose")

    async def note() -> None:
        ran.append("ran")

    async with database.unit_of_work():
        await insert(key)
        database.after_commit(fail)
        database.after_commit(note)
    assert await exists(key)
    assert ran == ["ran"]


async def test_hook_may_open_a_unit_of_work(key: str) -> None:
    async def write() -> None:
        async with database.unit_of_work():
            await insert(key)

    async with database.unit_of_work():
        database.after_commit(write)
    assert await exists(key)


def test_hook_needs_a_unit_of_work() -> None:
    async def nothing() -> None:
        return None

    with pytest.raises(RuntimeError, match="after_commit needs a unit of work"):
        database.after_commit(nothing)


async def test_connection_of_a_unit_of_work_is_its_own(key: str) -> None:
    async with database.unit_of_work():
        await insert(key)
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM settings WHERE key = $1", key) == 1


async def test_parallel_units_are_apart() -> None:
    keys = [f"test.{secrets.token_hex(8)}" for _ in range(4)]
    results = await asyncio.gather(
        *(run_and_fail(key, RuntimeError("on purpose")) for key in keys[:2]),
        *(insert(key) for key in keys[2:]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [RuntimeError, RuntimeError, int, int]
    assert [await exists(key) for key in keys] == [False, False, True, True]


async def test_broken_connection_is_let_go(key: str) -> None:
    """A unit of work whose connection dies leaves neither its connection nor itself behind."""
    assert DB.pool is not None
    before = DB.pool.get_size() - DB.pool.get_idle_size()

    async def lose_the_connection() -> None:
        async with database.unit_of_work():
            await insert(key)
            await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    for _ in range(3):
        with pytest.raises((asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)):
            await lose_the_connection()
    assert DB.current_transaction.get() is None
    assert DB.pool.get_size() - DB.pool.get_idle_size() == before
    assert not await exists(key)


async def test_failing_commit_rolls_back_and_runs_no_hook(key: str) -> None:
    ran: list[str] = []

    async def note() -> None:
        ran.append("ran")

    async def fail_at_the_commit() -> None:
        async with database.unit_of_work():
            database.after_commit(note)
            await insert(key)
            await database.execute("CREATE TEMP TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
            await database.execute("INSERT INTO late VALUES (1), (1)")

    with pytest.raises(asyncpg.UniqueViolationError):
        await fail_at_the_commit()
    assert DB.current_transaction.get() is None
    assert ran == []
    assert not await exists(key)


async def test_unit_of_work_without_pool(key: str) -> None:
    async with without_database():
        with pytest.raises(DatabaseNotConfiguredError):
            await run_and_fail(key, RuntimeError("never reached"))


async def test_without_pool() -> None:
    async with without_database():
        with pytest.raises(DatabaseNotConfiguredError):
            await database.fetch_value("SELECT 1")


async def test_pool_needs_a_url(config: PlatformConfig) -> None:
    nowhere = msgspec.structs.replace(config, database=PlatformConfig().database)
    with pytest.raises(DatabaseNotConfiguredError, match="set \\[database\\] url"):
        await database.open_pool(nowhere)
