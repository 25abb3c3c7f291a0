"""The start and the end of a process, the same for the API, the workers and the scheduler."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dramatiq.broker
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core import database, texts
from core.config import PlatformConfig
from core.live import progress
from core.logging import configure_logging
from core.plugin.loader import load_providers
from core.queue import QueueNotConfiguredError, connect_broker
from core.runtime import Runtime, runtime, set_runtime
from core.secret_key import load_secret_key

REDIS_SECONDS = 5.0
REDIS_CONNECTIONS = 64
"""Of one process; what comes beyond waits for one that is free."""


async def start_process(config: PlatformConfig) -> Runtime:
    """Open everything the process needs; call it once, on the event loop that will do the work.

    A worker connects its broker earlier, before actors are imported; that one is kept.

    Raises:
        OperatorError: Something is missing or wrong in the configuration.
    """
    configure_logging(config.logging)
    texts.load()
    providers = load_providers(config.plugins)
    secret_key = load_secret_key(config)
    redis = connect_redis(config)
    if dramatiq.broker.global_broker is None:
        connect_broker(config)
    await database.open_pool(config)
    started = Runtime(config=config, providers=providers, secret_key=secret_key, redis=redis, stopping=asyncio.Event())
    set_runtime(started)
    return started


async def stop_process() -> None:
    """Close what ``start_process`` opened."""
    ending = runtime()
    ending.stopping.set()
    # It would open a connection of the closed client again.
    await progress.NOTES.flush()
    await ending.providers.aclose()
    await ending.redis.aclose()
    await database.close_pool()
    set_runtime(None)


@asynccontextmanager
async def running_process(config: PlatformConfig) -> AsyncIterator[Runtime]:
    """Keep the process started while the block runs."""
    started = await start_process(config)
    try:
        yield started
    finally:
        await stop_process()


def connect_redis(config: PlatformConfig) -> Redis:
    """Make this process's Redis client; nothing is connected yet.

    A command is tried twice, so that a restarted Redis is found again at once, and no more: callers have other ways.
    """
    if config.redis.url is None:
        raise QueueNotConfiguredError
    pool = BlockingConnectionPool.from_url(
        config.redis.url.reveal(),
        max_connections=REDIS_CONNECTIONS,
        timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)
