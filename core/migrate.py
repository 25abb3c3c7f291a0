"""Bring the schema up to date; safe to run by any number of processes at once."""

import contextlib
import io

import asyncpg
from piccolo.apps.migrations.commands.forwards import run_forwards

from core import database
from core.config import PlatformConfig
from core.errors import OperatorError

LOCK_KEY = 0x7265636164
"""Advisory lock: "recad" in ASCII; held for the session that migrates."""


class MigrationError(OperatorError):
    """A migration failed; ``str(error)`` names it."""


async def migrate(config: PlatformConfig) -> list[str]:
    """Run what has not run yet and return a line for each domain that changed."""
    if config.database.url is None:
        raise database.DatabaseNotConfiguredError
    lock = await asyncpg.connect(config.database.url.reveal())
    try:
        await lock.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await database.open_pool(config, size=4)
        try:
            return await _run(lock)
        finally:
            await database.close_pool()
    finally:
        await lock.close()


async def _run(lock: asyncpg.Connection) -> list[str]:
    before = await _applied(lock)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            result = await run_forwards(app_name="all", migration_id="all")
    except asyncpg.PostgresError as error:
        raise MigrationError(_told(printed, str(error))) from error
    if not result.success:
        raise MigrationError(_told(printed, result.message))
    return sorted(await _applied(lock) - before)


def _told(printed: io.StringIO, reason: str | None) -> str:
    """Name the migration that Piccolo spoke of last, and why it failed."""
    lines = [line.strip() for line in printed.getvalue().splitlines() if line.strip()]
    at = f" at {lines[-1].removeprefix('- ').removesuffix(' [forwards]...')}" if lines else ""
    return f"The database could not be migrated{at}: {reason or 'see the log'}."


async def _applied(connection: asyncpg.Connection) -> set[str]:
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return set()
    rows = await connection.fetch("SELECT app_name, name FROM migration")
    return {f"{row['app_name']} {row['name']}" for row in rows}
