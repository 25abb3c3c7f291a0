"""What libraries raise for real, in the platform's terms."""

import asyncio

import asyncpg
import pytest
from redis.exceptions import RedisError

from core import database
from core.errors import ConflictError, InvalidInputError, NotReadyError, PlatformError, ProviderFailedError
from core.foreign_errors import as_platform_error
from core.plugin.errors import ProviderError, UnavailableError
from core.runtime import Runtime, runtime
from tests.factories import Member
from tests.outages import free_port, without_redis


async def raised_by(statement: str, *args: object) -> PlatformError:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await database.execute(statement, *args)
    return as_platform_error(caught.value, "id")


@pytest.mark.parametrize("value", ["a\0b", "a\ud800b"])
async def test_text_that_cannot_be_stored(user: Member, value: str) -> None:
    refusal = await raised_by("UPDATE users SET name = $2 WHERE id = $1", user.id, value)
    assert isinstance(refusal, InvalidInputError)


@pytest.mark.usefixtures("runtime")
async def test_number_that_cannot_be_stored() -> None:
    assert isinstance(await raised_by("SELECT $1::bigint", 2**63), InvalidInputError)


async def test_text_too_long_for_its_column(user: Member) -> None:
    refusal = await raised_by("UPDATE users SET name = $2 WHERE id = $1", user.id, "x" * 121)
    assert isinstance(refusal, InvalidInputError)


@pytest.mark.usefixtures("runtime")
async def test_nul_inside_json() -> None:
    assert isinstance(await raised_by("SELECT $1::jsonb", database.encode_json({"a": "\0"})), InvalidInputError)


async def test_row_that_exists(user: Member) -> None:
    refusal = await raised_by("INSERT INTO users (id) VALUES ($1)", user.id)
    assert (type(refusal), refusal.code) == (ConflictError, "already_exists")


async def test_deadlock(user: Member, other_user: Member) -> None:
    turn = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.unit_of_work():
            await database.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", first)
            await turn.wait()
            await database.execute("SELECT 1 FROM users WHERE id = $1 FOR UPDATE", second)

    results = await asyncio.gather(lock(user.id, other_user.id), lock(other_user.id, user.id), return_exceptions=True)
    [error] = [result for result in results if isinstance(result, Exception)]
    assert as_platform_error(error, "id").code == "try_again"


async def test_database_that_is_gone() -> None:
    with pytest.raises(OSError, match=r"refused|Connect call failed") as caught:
        await asyncpg.connect(f"postgresql://nobody@127.0.0.1:{free_port()}/none", timeout=5)
    refusal = as_platform_error(caught.value, "id")
    assert (type(refusal), str(refusal)) == (
        NotReadyError,
        "Something the platform stands on does not answer: database.",
    )


async def test_connection_killed_while_in_use(user: Member) -> None:
    async def kill_own_connection() -> None:
        async with database.unit_of_work():
            await database.execute("UPDATE users SET name = 'lost' WHERE id = $1", user.id)
            await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
        await kill_own_connection()
    assert isinstance(as_platform_error(caught.value, "id"), NotReadyError)
    assert await database.fetch_value("SELECT name FROM users WHERE id = $1", user.id) == user.row.name


async def test_redis_that_is_gone(runtime: Runtime) -> None:
    async with without_redis(runtime):
        with pytest.raises(RedisError) as caught:
            await ping()
    refusal = as_platform_error(caught.value, "id")
    assert str(refusal) == "Something the platform stands on does not answer: redis."


async def ping() -> object:
    return await runtime().redis.ping()


def test_connection_error_of_something_else_is_a_fault_of_ours() -> None:
    refusal = as_platform_error(ConnectionRefusedError("somewhere"), "abc")
    assert (refusal.status_code, str(refusal)) == (
        500,
        "Something went wrong on our side. The request's id is abc.",
    )


def test_provider_error_names_the_plugin_it_came_from() -> None:
    """The frames of the error tell the plugin, where the service that called it did not."""
    scope: dict[str, object] = {"__name__": "plugins.waha.provider", "UnavailableError": UnavailableError}
    exec("def call():\n    raise UnavailableError('busy', retry_after=9)", scope)  # noqa: S102 - a module of that name
    call = scope["call"]
    assert callable(call)
    with pytest.raises(UnavailableError) as caught:
        call()
    refusal = as_platform_error(caught.value, "id")
    assert isinstance(refusal, ProviderFailedError)
    assert (str(refusal), refusal.retry_after) == ("The service behind waha did not do what was asked.", 9)


def test_provider_error_from_nowhere() -> None:
    refusal = as_platform_error(ProviderError("x"), "id")
    assert str(refusal) == "The service behind this provider did not do what was asked."
