"""Migrations on empty databases."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from core.config import DatabaseConfig, PlatformConfig
from core.embedded import EmbeddedUrls
from core.plugin.secret import Secret
from tests.conftest import administrate, with_name

COMMAND = "import asyncio; from core.config import load_config; from core.migrate import migrate;"
COMMAND += " print(len(asyncio.run(migrate(load_config()))))"


@pytest.fixture
async def blank(servers: EmbeddedUrls, config: PlatformConfig) -> AsyncIterator[PlatformConfig]:
    """A database without any table."""
    name = f"blank_{secrets.token_hex(4)}"
    await administrate(servers, f'CREATE DATABASE "{name}"')
    yield msgspec.structs.replace(config, database=DatabaseConfig(url=Secret(with_name(servers.database_url, name))))
    await administrate(servers, f'DROP DATABASE "{name}" WITH (FORCE)')


async def run_migrate(config: PlatformConfig) -> tuple[int | None, str]:
    assert config.database.url is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        COMMAND,
        env={**os.environ, "RECADO_DATABASE_URL": config.database.url.reveal()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode().strip()


async def tables_of(config: PlatformConfig) -> set[str]:
    assert config.database.url is not None
    connection = await asyncpg.connect(config.database.url.reveal())
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_two_processes_at_once_and_a_third_later(blank: PlatformConfig) -> None:
    results = await asyncio.gather(run_migrate(blank), run_migrate(blank))
    assert sorted((code, output != "0") for code, output in results) == [(0, False), (0, True)], results
    assert await run_migrate(blank) == (0, "0")
    assert {"users", "plans", "campaigns", "message_by_contacts", "webhooks_log"} <= await tables_of(blank)


async def test_every_table_of_the_seed_exists(template: PlatformConfig) -> None:
    seed = {
        *("users", "plans", "servers", "numbers", "campaigns", "messages", "contacts", "publics", "labels"),
        *("public_by_contacts", "message_by_contacts", "block_contacts", "payments", "settings", "configurations"),
        *("logs", "webhooks_log"),
    }
    assert seed <= await tables_of(template)


async def test_failure_is_told(blank: PlatformConfig) -> None:
    assert blank.database.url is not None
    connection = await asyncpg.connect(blank.database.url.reveal())
    try:
        await connection.execute("CREATE TABLE plans (something int)")
    finally:
        await connection.close()
    code, output = await run_migrate(blank)
    assert code == 1
    line = output.splitlines()[-1]
    assert line.startswith("core.migrate.MigrationError: ")
    assert "The database could not be migrated" in line
    assert 'relation "plans" already exists' in line
