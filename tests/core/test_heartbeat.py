import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.heartbeat import (
    IDLE_KEY,
    IDLE_SECONDS,
    KEY,
    LIFETIME_SECONDS,
    anybody_idle,
    beat,
    keep_beating,
    say_idle,
    worker_lives,
)
from core.runtime import Runtime


@pytest.fixture
async def redis(runtime: Runtime) -> AsyncIterator[Redis]:
    """The run's Redis, in which no worker has said anything."""
    await runtime.redis.delete(KEY, IDLE_KEY)
    yield runtime.redis
    await runtime.redis.delete(KEY, IDLE_KEY)


async def test_nobody_lives_who_said_nothing(redis: Redis) -> None:
    assert await worker_lives(redis) is False


async def test_a_word_counts_for_some_seconds(redis: Redis) -> None:
    await beat(redis)
    assert await worker_lives(redis) is True
    assert 0 < await redis.ttl(KEY) <= LIFETIME_SECONDS


async def test_is_said_at_once_and_until_the_end(redis: Redis) -> None:
    stopping = asyncio.Event()
    task = asyncio.create_task(keep_beating(redis, stopping))
    async with asyncio.timeout(5):
        while not await worker_lives(redis):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.01)
        stopping.set()
        await task


async def test_a_redis_that_is_away_ends_nothing() -> None:
    refused = asyncio.Event()

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        refused.set()

    stopping = asyncio.Event()
    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        away = Redis(host="127.0.0.1", port=server.sockets[0].getsockname()[1], retry=Retry(NoBackoff(), 0))
        task = asyncio.create_task(keep_beating(away, stopping))
        async with asyncio.timeout(5):
            await refused.wait()
            stopping.set()
            await task
        with pytest.raises(RedisError):
            await worker_lives(away)
        await say_idle(away)
        assert await anybody_idle(away) is False
        await away.aclose()


async def test_nobody_is_idle_who_said_nothing(redis: Redis) -> None:
    assert await anybody_idle(redis) is False


async def test_an_idle_worker_counts_for_a_moment(redis: Redis) -> None:
    await say_idle(redis)
    assert await anybody_idle(redis) is True
    assert 0 < await redis.ttl(IDLE_KEY) <= IDLE_SECONDS
