"""Whether any worker lives: each says so in Redis every few seconds, for as long as it takes messages."""

import asyncio

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

KEY = "recado:worker_alive"
BEAT_SECONDS = 3.0
LIFETIME_SECONDS = 10

_log = structlog.get_logger(__name__)


async def beat(redis: Redis) -> None:
    """Say once that a worker lives."""
    await redis.set(KEY, "1", ex=LIFETIME_SECONDS)


async def keep_beating(redis: Redis, stopping: asyncio.Event) -> None:
    """Say so again and again until ``stopping``; a Redis that is away is tried again."""
    while not stopping.is_set():
        try:
            await beat(redis)
        except (RedisError, OSError) as error:
            _log.warning("heartbeat_failed", error=type(error).__name__)
        try:
            async with asyncio.timeout(BEAT_SECONDS):
                await stopping.wait()
        except TimeoutError:
            continue


async def worker_lives(redis: Redis) -> bool:
    """Whether a worker said so lately; raises what keeps Redis from answering."""
    return bool(await redis.exists(KEY))
