"""Whether any worker lives, and has nothing to send: each says so in Redis every few seconds."""

import asyncio
from contextlib import suppress

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

KEY = "recado:worker_alive"
BEAT_SECONDS = 3.0
LIFETIME_SECONDS = 10
IDLE_KEY = "recado:worker_idle"
IDLE_SECONDS = 2
ANSWER_SECONDS = 0.2
"""A courtesy to others is not worth a longer wait."""

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


async def say_idle(redis: Redis) -> None:
    """Say that a worker has nothing to send, for the next moment."""
    with suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            await redis.set(IDLE_KEY, "1", ex=IDLE_SECONDS)


async def anybody_idle(redis: Redis) -> bool:
    """Whether a worker said so just now; nobody did where Redis does not answer."""
    with suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            return bool(await redis.exists(IDLE_KEY))
    return False
