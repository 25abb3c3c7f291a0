"""The copy a rehearsal works on: one tenant and one campaign, in embedded servers that nothing outlives."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec

from core.config import DatabaseConfig, PlatformConfig, RedisConfig
from core.embedded import embedded_servers
from core.errors import OperatorError
from core.migrate import migrate
from core.plugin.secret import Secret

NUMBERS = "SELECT number_id FROM campaign_numbers WHERE campaign_id = {campaign}"

COPIED = {
    "settings": "true",
    "plans": "id = (SELECT plan_id FROM users WHERE id = {user})",
    "users": "id = {user}",
    "configurations": "user_id = {user}",
    "servers": f"id IN (SELECT server_id FROM numbers WHERE id IN ({NUMBERS}))",
    "numbers": f"id IN ({NUMBERS})",
    "number_checks": "number IN (SELECT number FROM contacts WHERE user_id = {user})",
    "contacts": "user_id = {user}",
    "contact_addresses": "contact_id IN (SELECT id FROM contacts WHERE user_id = {user})",
    "contact_variables": "user_id = {user}",
    "contact_activity": "user_id = {user}",
    "conversations": "user_id = {user}",
    "labels": "user_id = {user}",
    "publics": "user_id = {user}",
    "public_by_contacts": "public_id IN (SELECT id FROM publics WHERE user_id = {user})",
    "block_contacts": "user_id = {user}",
    "suppressions": "user_id = {user}",
    "media": "user_id = {user}",
    "campaigns": "id = {campaign}",
    "messages": "campaign_id = {campaign}",
    "campaign_numbers": "campaign_id = {campaign}",
    "campaign_counters": "campaign_id = {campaign}",
    "message_by_contacts": "campaign_id = {campaign}",
    "message_attempts": "recipient_id IN (SELECT id FROM message_by_contacts WHERE campaign_id = {campaign})",
    "lanes": f"number_id IN ({NUMBERS})",
    "send_counters": "(scope = 'plan' AND scope_id = {user}) OR (scope = 'campaign' AND scope_id = {campaign})"
    f" OR (scope = 'number' AND scope_id IN ({NUMBERS}))",
}
"""Table to the rows that have to do with a campaign, in an order in which references find what they name.

What other campaigns will send is not foreseen.
"""

_COLUMNS = """
SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
_CONTINUE = """
SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM {table}))
"""


class NoCampaignError(OperatorError):
    """There is no campaign of that id."""

    def __init__(self, campaign_id: int) -> None:
        super().__init__(f"There is no campaign {campaign_id}.")


@asynccontextmanager
async def copied(config: PlatformConfig, campaign_id: int) -> AsyncIterator[tuple[PlatformConfig, int]]:
    """Give the block a configuration whose database holds a copy of one campaign, and the id of its tenant.

    Raises:
        NoCampaignError: There is nothing to copy.
        OperatorError: The embedded servers cannot run, or the database cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="recado-rehearsal-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with embedded_servers(folder / "servers", durable=False) as urls:
            scratch = msgspec.structs.replace(
                config,
                database=DatabaseConfig(url=Secret(urls.database_url)),
                redis=RedisConfig(url=Secret(urls.redis_url)),
                # What goes wrong on purpose is told by the result.
                logging=msgspec.structs.replace(config.logging, level="error"),
            )
            await migrate(scratch)
            yield scratch, await _copy(config, scratch, campaign_id, folder / "rows")


async def _copy(config: PlatformConfig, scratch: PlatformConfig, campaign_id: int, file: Path) -> int:
    source = await _connect(config)
    try:
        target = await _connect(scratch)
        try:
            # One moment of the platform, however long the copying takes.
            async with source.transaction(isolation="repeatable_read", readonly=True):
                user_id = await source.fetchval(
                    "SELECT user_id FROM campaigns WHERE id = $1 AND deleted_at IS NULL", campaign_id
                )
                if not isinstance(user_id, int):
                    raise NoCampaignError(campaign_id)
                await target.execute(f"TRUNCATE {', '.join(COPIED)} CASCADE")
                for table, where in COPIED.items():
                    await _copy_table(source, target, table, where.format(user=user_id, campaign=campaign_id), file)
        finally:
            await target.close()
    finally:
        await source.close()
    return user_id


async def _connect(config: PlatformConfig) -> asyncpg.Connection:
    if config.database.url is None:
        raise OperatorError("No database is configured: set [database] url, or start the platform with `recado up`.")
    return await asyncpg.connect(config.database.url.reveal(), server_settings={"timezone": "UTC"})


async def _copy_table(
    source: asyncpg.Connection, target: asyncpg.Connection, table: str, where: str, file: Path
) -> None:
    columns: list[str] = await target.fetchval(_COLUMNS, table)
    listed = ", ".join(f'"{column}"' for column in columns)
    await source.copy_from_query(f"SELECT {listed} FROM {table} WHERE {where}", output=file, format="binary")
    await target.copy_to_table(table, source=file, columns=columns, format="binary")
    if "id" in columns:
        await target.execute(_CONTINUE.format(table=table))
    await target.execute(f"ANALYZE {table}")
