"""What a whole run of tests may not leave behind, whichever of its tests did it; each process judges its own."""

import re
from pathlib import Path

import asyncpg

from core.config import PlatformConfig
from tests.factories import PASSWORD

SHAPE = re.compile(r"\brc[dk]_[A-Za-z0-9_-]{40,}")
"""Tokens of sessions and API keys."""
SEALED = re.compile(r"\bv1\.[0-9a-f]{8}\.[\w=-]+")
"""What is encrypted: among thousands, one begins like a token by chance."""


async def dump(config: PlatformConfig) -> str:
    """Return every row of every table as text."""
    assert config.database.url is not None
    connection = await asyncpg.connect(config.database.url.reveal())
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f'SELECT t::text AS row FROM "{table["tablename"]}" t') for table in tables]
    finally:
        await connection.close()
    return "\n".join(row["row"] for found in rows for row in found)


async def secrets_left(config: PlatformConfig, log: Path) -> list[str]:
    """Return which kinds of secrets of the run's users stand in its log or database, and in which of them."""
    places = {"log": log.read_text(encoding="utf-8"), "database": await dump(config)}
    kinds = {"a password": re.compile(re.escape(PASSWORD)), "a token": SHAPE}
    return [
        f"{kind} in the {place}"
        for kind, known in kinds.items()
        for place, text in places.items()
        if known.search(SEALED.sub("", text))
    ]
