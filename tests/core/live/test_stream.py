"""Events reach Redis with their cause or not at all, once, and are kept for a while."""

import asyncio
import contextlib
import logging
from typing import Any

import msgspec
import pytest

from core import database
from core.announcing import emit, emit_all
from core.events.catalogue import MessageUpdated, PasswordChanged, StreamReset, seal
from core.live import relaying, stream
from core.runtime import Runtime
from tests.core.live.ears import Ears, listen
from tests.core.live.listening import happen, message_received, progress
from tests.core.live.services import Service, plugged_in
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


async def test_whoever_missed_something_is_told_with_the_next_event_of_anybody(
    runtime: Runtime, user: Member, other_user: Member, ears: Ears
) -> None:
    others = await listen(other_user.id)
    async with without_redis(runtime):
        await happen(user.id)
    (told,) = await happen(other_user.id)
    assert await ears.heard() == [StreamReset()]
    assert await others.heard() == [progress(told)]


async def test_whoever_missed_something_is_told_where_nothing_else_happens(
    runtime: Runtime, user: Member, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RETRY_SECONDS", 0.05)
    async with without_redis(runtime):
        await happen(user.id)
        (telling,) = stream._telling
    async with asyncio.timeout(5):
        await telling
    assert await ears.heard() == [StreamReset()]


async def test_somebody_who_reads_on_is_given_what_fits(user: Member) -> None:
    begun = await stream.read_after(user.id, None)
    text = "x" * 20_000
    told = [seal(message_received(place, text)) for place in range(10)]
    await stream.publish([(user.id, envelope) for envelope in told])
    first = await stream.read_after(user.id, (begun.newest, begun.epoch))
    assert (len(first.events), first.more) == (4, True)
    second = await stream.read_after(user.id, (first.events[-1].position, first.epoch))
    third = await stream.read_after(user.id, (second.events[-1].position, first.epoch))
    assert (len(third.events), third.more) == (2, False)
    read = [event.body for part in (first, second, third) for event in part.events]
    assert read == [msgspec.json.encode(envelope) for envelope in told]


async def test_what_is_too_old_is_removed(runtime: Runtime, user: Member) -> None:
    key = f"recado:live:user:{user.id}"
    seconds, _ = await runtime.redis.time()
    kept = {key: stream.KEPT_SECONDS, stream.RELAYED: stream.RELAYED_SECONDS}
    await runtime.redis.delete(stream.RELAYED)
    for name, age in kept.items():
        for older in (age + 5, age - 5):
            await runtime.redis.xadd(name, {"user": 1, "type": str(older), "body": "{}"}, id=f"{seconds - older}000-0")
    async with plugged_in(runtime, Service("only")):
        await happen(user.id)
    for name, age in kept.items():
        entries: Any = await runtime.redis.xrange(name)
        assert [fields[b"type"] for _, fields in entries] == [b"%d" % (age - 5), b"job.progress"]
        assert 0 < await runtime.redis.ttl(name) <= stream.KEPT_SECONDS


def test_what_is_relayed_is_kept_for_as_long_as_it_is_handed_over() -> None:
    assert stream.RELAYED_SECONDS >= relaying.STALE_SECONDS
