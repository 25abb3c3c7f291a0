"""Events reach Redis with their cause or not at all, once, and are kept for a while."""

import contextlib
import logging

import msgspec
import pytest

from core import database
from core.announcing import emit, emit_all
from core.events.catalogue import MessageUpdated, PasswordChanged, seal
from core.live import stream
from core.runtime import Runtime
from tests.core.live.ears import Ears, listen
from tests.core.live.listening import happen, progress
from tests.factories import Member
from tests.outages import without_redis


@pytest.fixture
async def ears(user: Member) -> Ears:
    return await listen(user.id)


async def test_an_event_is_told_once_its_cause_is_committed(user: Member, ears: Ears) -> None:
    async with database.unit_of_work():
        await emit(user.id, PasswordChanged())
        assert await ears.heard() == []
    assert await ears.heard() == [PasswordChanged()]
    with contextlib.suppress(LookupError):
        async with database.unit_of_work():
            await emit(user.id, PasswordChanged())
            raise LookupError
    assert await ears.heard() == []


async def test_each_user_hears_their_own(user: Member, other_user: Member, ears: Ears) -> None:
    others = await listen(other_user.id)
    async with database.unit_of_work():
        await emit_all([(user.id, progress(1)), (other_user.id, progress(2)), (user.id, progress(3))])
    assert await ears.heard() == [progress(1), progress(3)]
    assert await others.heard() == [progress(2)]


async def test_what_is_for_webhooks_alone_is_not_told(user: Member, ears: Ears) -> None:
    known = {"recipient_id": 1, "campaign_id": 1, "contact_id": 1, "number_id": None, "state": "sent", "reason": ""}
    event = msgspec.convert({**known, "delivered_at": None, "read_at": None}, MessageUpdated)
    async with database.unit_of_work():
        await emit(user.id, event)
    assert await ears.heard() == []


async def test_what_was_told_is_not_told_again(user: Member, ears: Ears) -> None:
    envelope = seal(progress(1))
    await stream.publish([(user.id, envelope), (user.id, envelope)])
    await stream.publish([(user.id, envelope)])
    assert await ears.heard() == [progress(1)]


async def test_a_stream_is_bounded_and_ends(runtime: Runtime, user: Member) -> None:
    await happen(user.id, 1_500)
    key = f"recado:live:user:{user.id}"
    # Redis cuts off whole nodes of a hundred.
    assert stream.KEPT_EVENTS <= await runtime.redis.xlen(key) <= stream.KEPT_EVENTS + 100
    assert 0 < await runtime.redis.ttl(key) <= stream.KEPT_SECONDS


async def test_without_redis_an_event_is_lost_and_nobody_held_up(
    runtime: Runtime, user: Member, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    complaints = stream._complaints
    complaints._said_at.clear()
    with caplog.at_level(logging.WARNING):
        async with without_redis(runtime):
            for _ in range(3):
                async with database.unit_of_work():
                    await emit(user.id, PasswordChanged())
    assert await ears.heard() == []
    assert caplog.text.count("live_events_lost") == 1
