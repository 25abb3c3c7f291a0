"""Hints to the workers: the first at once, the rest together."""

import asyncio

import pytest

from core.runtime import Runtime
from core.webhooks.hints import EVENTS, INBOUND, INTERVAL_SECONDS, Hints, line_of
from tests.core.numbers.messaging import eventually


@pytest.fixture
async def queues(messaging: Runtime) -> Runtime:
    await messaging.redis.delete("recado:events", "recado:inbound")
    return messaging


async def _lengths(queues: Runtime) -> tuple[int, int]:
    return await queues.redis.llen("recado:inbound"), await queues.redis.llen("recado:events")


async def test_many_wishes_make_few_hints(queues: Runtime) -> None:
    hints = Hints()
    for _ in range(1000):
        hints.want(EVENTS)
    hints.want(INBOUND)
    await asyncio.sleep(0)
    for _ in range(1000):
        hints.want(EVENTS)

    async def sent() -> bool:
        return await _lengths(queues) == (1, 2)

    await eventually(sent)
    await asyncio.sleep(2 * INTERVAL_SECONDS)
    assert await _lengths(queues) == (1, 2)


@pytest.mark.parametrize(
    ("kind", "line"), [("message_in", INBOUND), ("message_status", EVENTS), ("sender_status", EVENTS)]
)
def test_what_people_write_has_a_line_of_its_own(kind: str, line: str) -> None:
    assert line_of(kind) == line
