"""The servers a command talks to: configured ones, those of a running ``recado up``, or its own for the while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from core.config import PlatformConfig
from core.embedded import EmbeddedServers, EmbeddedUrls, is_held, urls_of
from core.plugin.secret import Secret


def missing_servers(config: PlatformConfig) -> tuple[bool, bool]:
    """Whether PostgreSQL and Valkey have to be embedded ones, for nothing else is configured."""
    return config.database.url is None, config.redis.url is None


def with_urls(config: PlatformConfig, urls: EmbeddedUrls) -> PlatformConfig:
    """Return ``config`` with the addresses of embedded servers where none are configured."""
    database, redis = config.database, config.redis
    if database.url is None and urls.database_url:
        database = msgspec.structs.replace(database, url=Secret(urls.database_url))
    if redis.url is None and urls.redis_url:
        redis = msgspec.structs.replace(redis, url=Secret(urls.redis_url))
    return msgspec.structs.replace(config, database=database, redis=redis)


def attach(config: PlatformConfig) -> PlatformConfig:
    """Return ``config`` with the addresses of a ``recado up`` that runs in the data folder, if one does."""
    if any(missing_servers(config)) and is_held(config.data_folder):
        return with_urls(config, urls_of(config.data_folder))
    return config


@asynccontextmanager
async def servers_for(config: PlatformConfig) -> AsyncIterator[PlatformConfig]:
    """Give the block a configuration whose servers answer, starting embedded ones for as long as it lasts.

    Raises:
        EmbeddedError: The embedded servers cannot run.
    """
    config = attach(config)
    postgres, valkey = missing_servers(config)
    if not postgres and not valkey:
        yield config
        return
    servers = EmbeddedServers(config.data_folder, postgres=postgres, valkey=valkey)
    urls = await servers.start()
    try:
        yield with_urls(config, urls)
    finally:
        await servers.stop()
