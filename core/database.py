"""PostgreSQL: the pool, plain statements and ``unit_of_work``, the one way to change more than one row.

Plain statements take asyncpg's ``$1`` placeholders and run in the current unit of work, else on a connection of
the pool. No provider call belongs inside a unit of work, and no ``asyncio.gather``: child tasks would share its
connection.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar

import asyncpg
import msgspec
import structlog

os.environ.setdefault("PICCOLO_CONF", "core.piccolo_conf")

from core.config import PlatformConfig
from core.errors import OperatorError
from core.piccolo_conf import DB

Hook = Callable[[], Awaitable[None]]

_hooks: ContextVar[list[Hook] | None] = ContextVar("after_commit_hooks", default=None)

_log = structlog.get_logger(__name__)


MINIMUM_VERSION = 150_000


class DatabaseTooOldError(OperatorError):
    """The server is older than PostgreSQL 15."""

    def __init__(self, version: str) -> None:
        super().__init__(f"The database server is PostgreSQL {version}; Recado needs 15 or newer.")


class DatabaseNotConfiguredError(OperatorError):
    """No database url is known: neither configured nor given by ``recado up``."""

    def __init__(self) -> None:
        super().__init__("No database is configured: set [database] url, or start the platform with `recado up`.")


async def open_pool(config: PlatformConfig, *, size: int | None = None) -> None:
    """Open this process's connections; called once, on the event loop that will use them."""
    if config.database.url is None:
        raise DatabaseNotConfiguredError
    if DB.pool is not None:
        return
    DB.config = {"dsn": config.database.url.reveal()}
    await DB.start_connection_pool(
        min_size=1,
        max_size=size or config.database.pool_size,
        reset=_keep_session,
        server_settings={"timezone": "UTC", "jit": "off", "application_name": "recado"},
    )
    version = await fetch_row("SELECT current_setting('server_version_num')::int AS num, version() AS text")
    if version is not None and version["num"] < MINIMUM_VERSION:
        await close_pool()
        raise DatabaseTooOldError(version["text"].split()[1])


async def _keep_session(_connection: asyncpg.Connection) -> None:
    """Skip asyncpg's round trip on every release: no statement here leaves a setting, lock or cursor behind."""


async def close_pool() -> None:
    """Close this process's connections; does nothing when none are open."""
    if DB.pool is not None:
        await DB.close_connection_pool()


def encode_json(value: object) -> str:
    """Encode a value for a ``jsonb`` parameter."""
    return msgspec.json.encode(value).decode()


@asynccontextmanager
async def _connection() -> AsyncIterator[asyncpg.Connection]:
    transaction = DB.current_transaction.get()
    if transaction is not None:
        yield transaction.connection
        return
    if DB.pool is None:
        raise DatabaseNotConfiguredError
    async with DB.pool.acquire() as connection:
        yield connection


async def fetch(statement: str, *args: object) -> Sequence[asyncpg.Record]:
    """Run one statement and return its rows."""
    async with _connection() as connection:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *args)
        return rows


async def fetch_row(statement: str, *args: object) -> asyncpg.Record | None:
    """Run one statement and return its first row, or ``None``."""
    async with _connection() as connection:
        return await connection.fetchrow(statement, *args)


async def fetch_value(statement: str, *args: object) -> object:
    """Run one statement and return the first column of its first row, or ``None``."""
    async with _connection() as connection:
        return await connection.fetchval(statement, *args)


async def execute(statement: str, *args: object) -> int:
    """Run one statement and return how many rows it touched."""
    async with _connection() as connection:
        tag: str = await connection.execute(statement, *args)
        return int(tag.rsplit(" ", 1)[-1]) if tag[-1:].isdigit() else 0


def connection() -> AbstractAsyncContextManager[asyncpg.Connection]:
    """Borrow a connection: the unit of work's own, else one of the pool; for ``COPY``, cursors and session locks."""
    return _connection()


@asynccontextmanager
async def unit_of_work() -> AsyncIterator[None]:
    """Commit everything inside together, then run what was handed to ``after_commit``; roll all back on an error.

    A unit of work inside another joins it.
    """
    if _hooks.get() is not None:
        yield
        return
    if DB.pool is None:
        raise DatabaseNotConfiguredError
    hooks: list[Hook] = []
    token = _hooks.set(hooks)
    try:
        async with DB.transaction():
            yield
    finally:
        _hooks.reset(token)
    for hook in hooks:
        try:
            await hook()
        except Exception:  # noqa: BLE001 - a hook may fail in any way
            # The commit stands; the sweep finds what a lost hint would have started.
            _log.exception("after_commit_failed")


def in_unit_of_work() -> bool:
    """Whether a unit of work is open here."""
    return _hooks.get() is not None


def after_commit(hook: Hook) -> None:
    """Run ``hook`` once the present unit of work is committed; a rollback drops it.

    Raises:
        RuntimeError: There is no unit of work.
    """
    hooks = _hooks.get()
    if hooks is None:
        raise RuntimeError("after_commit needs a unit of work")
    hooks.append(hook)
