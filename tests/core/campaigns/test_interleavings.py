"""What comes in the wrong order while a message is on its way; each order is forced, none is hoped for."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from core import database
from core.campaigns import resolving, services
from core.campaigns.claims import claim
from core.campaigns.completion import complete_finished
from core.campaigns.dispatch import Dispatcher
from core.campaigns.events import apply_replies, apply_statuses
from core.campaigns.pacing import Pacing
from core.campaigns.reconcile import expire_leases, reconcile_due
from core.plugin import AnyEvent, Capabilities, MessageInEvent, MessageStatusEvent
from core.webhooks.handlers import StoredEvent
from tests.core.campaigns.making import (
    FAILED,
    HOLDER,
    Made,
    attempts,
    counted,
    counters,
    hold,
    leased,
    now,
    recipients,
    run_jobs,
    running,
    settle_rows,
    standing,
    states,
    used,
    want,
)
from tests.core.campaigns.sink import BARE, FULL, NAME, Answer, Sink
from tests.factories import Member

LOOKED_UP = Capabilities(version="1", client_message_id=True, lookup_by_id=True)
"""Sends under our id and is asked by it, but acknowledges nothing."""
_ids = itertools.count(1)


@asynccontextmanager
async def _dispatching() -> AsyncIterator[None]:
    """Let dispatchers work beside the test until both are through: a run ends where nothing is due at that moment."""
    stopping = asyncio.Event()
    running_one = Dispatcher(16, stopping)

    async def work() -> None:
        nonlocal running_one
        while not stopping.is_set():
            await running_one.run()
            # Workers look again every second.
            await asyncio.sleep(0.05)
            running_one = Dispatcher(16, stopping)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        stopping.set()
        running_one.nudge()
        async with asyncio.timeout(20):
            await task


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(15):
        while not await condition():  # noqa: ASYNC110 - the database tells, and rings no bell
            await asyncio.sleep(0.01)


async def _until_posts(sink: Sink, count: int) -> None:
    async with asyncio.timeout(15):
        while len(sink.posts) < count:
            sink.changed.clear()
            await sink.changed.wait()


async def _until_in(made: Made, *wanted: str) -> None:
    async def there() -> bool:
        return await states(made.id) == list(wanted)

    await _until(there)


async def _doubt(made: Made) -> None:
    """Let the lease of the message on its way end, and its look-up be due."""
    assert await expire_leases(await now() + timedelta(hours=1)) == 1
    assert await states(made.id) == ["unknown:lease_expired"]
    await database.execute(
        "UPDATE message_by_contacts SET lease_until = now() - interval '1 second' WHERE campaign_id = $1", made.id
    )


async def _gated(user: Member, sink: Sink, url: str, **wishes: Any) -> tuple[Made, asyncio.Event]:
    """Make a running campaign whose first answer waits for the event."""
    gate = asyncio.Event()
    sink.gates.append(gate)
    return await running(user, **{"contacts": 1, "url": url, "capabilities": LOOKED_UP, **wishes}), gate


def _stored(made: Made, event: AnyEvent) -> StoredEvent:
    number_id = made.number_ids[0]
    return StoredEvent(id=next(_ids), plugin=NAME, number_id=number_id, received_at=datetime.now(UTC), event=event)


class TestLeases:
    async def test_one_that_ends_while_the_message_is_in_the_air_sends_it_once(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        made, gate = await _gated(user, sink, sink_url)
        async with _dispatching():
            await _until_posts(sink, 1)
            await _doubt(made)
            gate.set()
            await _until_in(made, "sent")
        assert sink.addresses == made.phones
        assert await counters(made.id) == {"sent": 1} == await counted(made.id)

    async def test_an_answer_that_comes_before_the_second_attempt_prevents_it(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        made, gate = await _gated(user, sink, sink_url)
        async with _dispatching():
            await _until_posts(sink, 1)
            await _doubt(made)
            # So that the second attempt cannot begin before the answer of the first.
            await services.pause_campaign(user.id, made.id)
            await reconcile_due()
            assert await states(made.id) == ["pending:absent"]
            gate.set()
            await _until_in(made, "sent")
            await services.resume_campaign(user.id, made.id)
        async with _dispatching():
            assert await complete_finished(await now()) == [made.id]
        assert sink.addresses == made.phones
        assert await counters(made.id) == {"sent": 1} == await counted(made.id)

    @pytest.mark.parametrize("late", ["retryable", "rejected", "unknown", "accepted"])
    async def test_the_first_attempts_answer_after_the_seconds_changes_nothing(
        self, user: Member, sink: Sink, sink_url: str, late: Literal["retryable", "rejected", "unknown", "accepted"]
    ) -> None:
        made, gate = await _gated(user, sink, sink_url)
        async with _dispatching():
            await _until_posts(sink, 1)
            await _doubt(made)
            await reconcile_due()
            await _until_in(made, "sent")
            sink.answers[made.phones[0]] = [Answer(late)]
            gate.set()
            (row,) = await recipients(made.id)

            async def recorded() -> bool:
                first, second = await attempts(row["id"])
                return bool(first["ended_at"] > second["ended_at"])

            await _until(recorded)
        assert [attempt["outcome"] for attempt in await attempts(row["id"])] == [late, "accepted"]
        assert await states(made.id) == ["sent"]
        assert len(sink.posts) == 2
        assert await counters(made.id) == {"sent": 1} == await counted(made.id)

    async def test_a_taken_first_attempt_is_not_followed_by_a_third(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        made, first = await _gated(user, sink, sink_url)
        second = asyncio.Event()
        sink.gates.append(second)
        async with _dispatching():
            await _until_posts(sink, 1)
            await _doubt(made)
            await reconcile_due()
            await _until_posts(sink, 2)
            first.set()
            await _until_in(made, "sent")
            sink.answers[made.phones[0]] = [Answer("retryable")]
            second.set()
        assert await states(made.id) == ["sent"]
        assert len(sink.posts) == 2


class TestEvents:
    async def test_an_acknowledgement_before_the_answer_is_kept(self, user: Member, sink: Sink, sink_url: str) -> None:
        made, gate = await _gated(user, sink, sink_url, capabilities=FULL)
        async with _dispatching():
            await _until_posts(sink, 1)
            ids = (sink.posts[0].client_id,)
            event = MessageStatusEvent(dedupe_key=ids[0], ids=ids, status="delivered", at=datetime.now(UTC))
            assert len(await apply_statuses([_stored(made, event)])) == 1
            gate.set()
        assert await states(made.id) == ["sent"]
        assert await counters(made.id) == {"sent": 1, "delivered": 1} == await counted(made.id)

    async def test_a_reply_before_the_answer_ends_the_steps(self, user: Member, sink: Sink, sink_url: str) -> None:
        made, gate = await _gated(user, sink, sink_url, messages=("um", "dois"), capabilities=BARE)
        async with _dispatching():
            await _until_posts(sink, 1)
            event = MessageInEvent(
                dedupe_key="in", id="in", at=datetime.now(UTC), text="Sim", phone=made.phones[0], address=""
            )
            await apply_replies([_stored(made, event)])
            gate.set()
            await _until_in(made, "sent", "skipped:replied")
        assert [post.text for post in sink.posts] == ["um"]


class TestLocks:
    async def test_a_cap_of_one_and_two_lanes_at_the_same_moment_send_one(self, user: Member) -> None:
        made = await running(user, contacts=2, numbers=2, pacing=Pacing(campaign_per_day=1))
        moment = await now()
        wants = [want(lane, moment, take=1) for lane in await hold(made, moment)]
        async with _held("send_counters"):
            claims = [asyncio.create_task(claim(moment, HOLDER, [one])) for one in wants]
            await _until_waiting(2)
        assert sorted([len(result.claimed) for result in await asyncio.gather(*claims)]) == [0, 1]
        assert list((await used("campaign", made.id)).values()) == [1]

    @pytest.mark.parametrize("retry_first", [True, False])
    async def test_completion_and_a_retry_at_the_same_moment_leave_no_row_behind(
        self, user: Member, *, retry_first: bool
    ) -> None:
        made, rows, moment = await leased(user)
        await settle_rows(rows, moment, **FAILED)
        await resolving.retry_failed(user.id, made.id)
        racing: list[Callable[[], Awaitable[object]]] = [lambda: complete_finished(moment), lambda: run_jobs(made.id)]
        tasks = []
        async with _held("campaigns"):
            for count, begin in enumerate(reversed(racing) if retry_first else racing, 1):
                tasks.append(asyncio.ensure_future(begin()))
                await _until_waiting(count)
        await asyncio.gather(*tasks)
        assert await standing(made.id) == (2, "sending")
        assert set(await states(made.id)) == {"pending:retried_by_user"}


@asynccontextmanager
async def _held(table: Literal["send_counters", "campaigns"]) -> AsyncIterator[None]:
    """Lock every row of a table while the block runs."""
    async with database.connection() as connection, connection.transaction():
        await connection.execute(f"SELECT FROM {table} FOR UPDATE")
        yield


async def _until_waiting(count: int) -> None:
    """Wait until so many statements wait for a lock."""

    async def waiting() -> bool:
        found = await database.fetch_value(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return found == count

    await _until(waiting)
