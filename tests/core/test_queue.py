"""Messages leave after the commit, to a real Valkey."""

import json
import secrets

import dramatiq
import msgspec
import pytest

from core import database, queue
from core.config import PlatformConfig, RedisConfig
from core.queue import QueueNotConfiguredError
from core.runtime import Runtime


@pytest.fixture
def name() -> str:
    return f"test.{secrets.token_hex(8)}"


async def sent(runtime: Runtime, name: str, queue_name: str) -> list[dict[str, object]]:
    """The messages for the actor ``name`` that wait in a queue."""
    found = await runtime.redis.hgetall(f"recado:{queue_name}.msgs")
    messages = [json.loads(body) for body in found.values()]
    return [message for message in messages if message["actor_name"] == name]


async def test_message_leaves_after_the_commit(runtime: Runtime, name: str) -> None:
    async with database.unit_of_work():
        queue.enqueue(name, 7, "x", queue=queue.JOBS)
        assert await sent(runtime, name, "jobs") == []
    [message] = await sent(runtime, name, "jobs")
    assert (message["args"], message["queue_name"]) == ([7, "x"], "jobs")


async def test_rollback_drops_the_message(runtime: Runtime, name: str) -> None:
    async def fail() -> None:
        async with database.unit_of_work():
            queue.enqueue(name, queue=queue.JOBS)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        await fail()
    assert await sent(runtime, name, "jobs") == []


@pytest.mark.usefixtures("runtime")
def test_needs_a_unit_of_work(name: str) -> None:
    with pytest.raises(RuntimeError, match="unit of work"):
        queue.enqueue(name, queue=queue.JOBS)


async def test_delayed_message(runtime: Runtime, name: str) -> None:
    await queue.send(name, 1, queue=queue.DISPATCH, delay_seconds=90)
    [message] = await sent(runtime, name, "dispatch.DQ")
    options = message["options"]
    assert isinstance(options, dict)
    assert options["eta"] - message["message_timestamp"] == pytest.approx(90_000, abs=1_000)


@pytest.mark.usefixtures("runtime")
def test_every_queue_is_declared() -> None:
    declared = set(dramatiq.get_broker().get_declared_queues())
    assert set(queue.QUEUES) <= declared


def test_broker_needs_a_url(config: PlatformConfig) -> None:
    with pytest.raises(QueueNotConfiguredError, match="set \\[redis\\] url"):
        queue.connect_broker(msgspec.structs.replace(config, redis=RedisConfig()))
