import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Self

import pytest

from core import database
from core.campaigns import services
from core.campaigns.dispatch import Dispatcher
from core.campaigns.pacing import Pacing
from core.heartbeat import say_idle
from core.numbers import senders
from core.plugin import Capabilities
from core.runtime import Runtime
from tests.core.campaigns.making import (
    Made,
    add_campaign,
    attempts,
    counted,
    counters,
    give_plan,
    insert,
    lane_row,
    make_campaign,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    recipients,
    running,
    start,
    states,
    used,
)
from tests.core.campaigns.sink import BARE, FULL, UNREACHABLE, Answer, Sink, SinkProvider
from tests.core.numbers.messaging import eventually
from tests.factories import Member

SOON_SECONDS = 3.0
CHECKING = Capabilities(version="1", number_check="bulk")
TYPES = Capabilities(version="1", typing=True)
PROMPT = Pacing(typing=True)
"""Shows typing for a second, the least, and pauses not at all."""


@pytest.fixture
async def campaign(user: Member, sink_url: str) -> Callable[..., Awaitable[Made]]:
    """Make and start campaigns on the sink, which acknowledges nothing."""

    async def make(**wishes: Any) -> Made:
        return await running(user, **{"url": sink_url, "capabilities": BARE, **wishes})

    return make


async def _drain(*, slots: int = 16, dispatchers: int = 1, seconds: float = 20) -> None:
    """Let dispatchers work until nothing is due soon, starting them again as the sweep would."""
    async with asyncio.timeout(seconds):
        while True:
            await asyncio.gather(*(Dispatcher(slots, asyncio.Event()).run() for _ in range(dispatchers)))
            wait = await database.fetch_value("SELECT extract(epoch FROM min(due_at) - now())::float FROM lanes")
            if not isinstance(wait, float) or wait > SOON_SECONDS:
                return
            await asyncio.sleep(max(0.0, wait))


class _Running:
    """A dispatcher at work beside the test, stopped at the end."""

    def __init__(self, slots: int = 16) -> None:
        self._stopping = asyncio.Event()
        self._dispatcher = Dispatcher(slots, self._stopping)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._dispatcher.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        self._dispatcher.nudge()
        async with asyncio.timeout(20):
            await self._task

    async def until(self, condition: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not await condition():
                assert not self._task.done() or await condition(), "the run ended before it came true"
                await asyncio.sleep(0.01)


async def _all_in(made: Made, *wanted: str) -> bool:
    return set(await states(made.id)) <= set(wanted)


def _each_once(sink: Sink, made: Made) -> None:
    assert Counter(sink.addresses) == Counter(made.phones)


Make = Callable[..., Awaitable[Made]]


class TestUnpaced:
    async def test_every_recipient_gets_its_message_once(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=300)
        await _drain(slots=32)
        _each_once(sink, made)
        assert await states(made.id) == ["sent"] * 300
        assert await counters(made.id) == {"sent": 300}
        assert 1 < sink.most_at_once <= 32
        assert list((await used("plan", made.user_id)).values()) == [300]

    async def test_texts_are_each_ones_own(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=3)
        await _drain()
        texts = {post.address: post.text for post in sink.posts}
        assert texts == {number: f"Oi Name {place}" for place, number in enumerate(made.phones)}

    async def test_every_attempt_is_kept(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=5)
        await _drain()
        for row in await recipients(made.id):
            (attempt,) = await attempts(row["id"])
            assert attempt["outcome"] == "accepted"
            assert attempt["client_id"] in {post.client_id for post in sink.posts if post.address == row["address"]}

    async def test_with_receipts_a_message_is_accepted_first(self, campaign: Make) -> None:
        made = await campaign(contacts=3, capabilities=FULL)
        await _drain()
        assert await states(made.id) == ["accepted"] * 3

    async def test_many_numbers_of_one_campaign_share_the_work(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.01
        made = await campaign(contacts=60, numbers=3)
        await _drain(slots=9)
        _each_once(sink, made)
        assert len({post.instance for post in sink.posts}) == 3

    async def test_gives_half_of_the_work_to_a_process_that_is_idle(
        self, campaign: Make, sink: Sink, runtime: Runtime
    ) -> None:
        sink.delay = 0.05
        made = await campaign(contacts=200, numbers=4)

        async def held_by(*counts: int) -> bool:
            rows = await database.fetch("SELECT count(*) AS lanes FROM lanes WHERE holder <> '' GROUP BY holder")
            return sorted(row["lanes"] for row in rows) == list(counts)

        async with _Running(4) as first:
            await first.until(lambda: held_by(4))
            await say_idle(runtime.redis)
            await first.until(lambda: held_by(2))
            async with _Running(4) as second:
                await second.until(lambda: held_by(2, 2))
                # Whichever of the two is done first ends while the other still sends.
                await eventually(lambda: _all_in(made, "sent"), 20)
        _each_once(sink, made)

    async def test_many_campaigns_of_many_tenants(
        self, sink: Sink, sink_url: str, user: Member, other_user: Member
    ) -> None:
        mades = [
            await running(member, contacts=20, url=sink_url, capabilities=BARE) for member in (user, other_user, user)
        ]
        await _drain()
        assert Counter(sink.addresses) == Counter(number for made in mades for number in made.phones)

    async def test_a_lane_is_free_afterwards(self, campaign: Make) -> None:
        made = await campaign()
        await _drain()
        row = await lane_row(made.number_ids[0])
        assert (row["holder"], row["due_at"]) == (None, None)


class TestSteps:
    async def test_go_in_order_to_each_contact(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=10, messages=("one", "two", "three"))
        await _drain()
        for number in made.phones:
            assert [post.text for post in sink.posts if post.address == number] == ["one", "two", "three"]
        assert await states(made.id) == ["sent"] * 30

    async def test_wait_for_their_delay(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=2, messages=("one", "two"), delays=(0, 1))
        await _drain()
        for number in made.phones:
            first, second = [post.at for post in sink.posts if post.address == number]
            assert second - first >= 1.0

    async def test_a_delay_of_hours_ends_the_run(self, campaign: Make) -> None:
        made = await campaign(contacts=1, messages=("one", "two"), delays=(0, 7200))
        await _drain()
        due_at = (await recipients(made.id))[1]["due_at"]
        assert (await lane_row(made.number_ids[0]))["due_at"] == due_at


class TestPaced:
    async def test_gaps_are_kept(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=5, pacing=Pacing(delay_min=0.2, delay_max=0.3))
        await _drain()
        _each_once(sink, made)
        claimed = sorted(row["claimed_at"] for row in await recipients(made.id))
        gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(claimed)]
        assert all(gap >= 0.2 for gap in gaps)
        assert sink.most_at_once == 1

    async def test_one_message_is_over_before_the_next(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.15
        made = await campaign(contacts=4, pacing=Pacing(delay_min=0.01, delay_max=0.01))
        await _drain()
        _each_once(sink, made)
        assert sink.most_at_once == 1

    async def test_a_rest_is_kept_by_the_next_run_too(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=4, pacing=Pacing(delay_min=0.01, delay_max=0.01, rest_after=2, rest_seconds=600))
        await _drain()
        assert len(sink.posts) == 2
        row = await lane_row(made.number_ids[0])
        assert row["pause_until"] - await now() > timedelta(seconds=550)
        assert (row["burst"], row["due_at"]) == (0, row["pause_until"])
        await database.execute("UPDATE lanes SET due_at = now()")
        await _drain()
        assert len(sink.posts) == 2

    async def test_a_run_cut_short_keeps_the_rest(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=4, pacing=Pacing(delay_min=90, delay_max=90))
        async with _Running() as run:

            async def one_sent() -> bool:
                return "sent" in await states(made.id)

            await run.until(one_sent)
        row = await lane_row(made.number_ids[0])
        assert (row["holder"], row["burst"]) == (None, 1)
        assert timedelta(seconds=80) < row["pause_until"] - await now() < timedelta(seconds=91)
        await _drain()
        assert len(sink.posts) == 1

    async def test_campaigns_of_one_number_take_turns(self, user: Member, sink: Sink, sink_url: str) -> None:
        await give_plan(user.id)
        number_id = await make_number(user.id, sink_url, BARE)
        public_id = await make_public(user.id, await make_contacts(user.id, [phone() for _ in range(3)]))
        pacing = Pacing(delay_min=0.05, delay_max=0.05)
        for text in ("first", "second"):
            await start(await add_campaign(user, [number_id], public_id, messages=(text,), pacing=pacing))
        await _drain()
        texts = [post.text for post in sink.posts]
        assert sorted(texts) == ["first"] * 3 + ["second"] * 3
        assert all(one != other for one, other in itertools.pairwise(texts))

    async def test_many_lanes_wait_beside_each_other(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=30, numbers=10, pacing=Pacing(delay_min=0.3, delay_max=0.3))
        await _drain()
        _each_once(sink, made)
        by_number: dict[str, list[float]] = {}
        for post in sink.posts:
            by_number.setdefault(post.instance, []).append(post.at)
        assert len(by_number) == 10
        for times in by_number.values():
            assert all(later - earlier >= 0.25 for earlier, later in itertools.pairwise(times))


class TestCaps:
    async def test_end_the_run_until_their_period_is_over(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=9)
        await give_plan(made.user_id, monthly_messages=4)
        await _drain()
        assert len(sink.posts) == 4
        assert await states(made.id) == ["sent"] * 4 + ["pending"] * 5
        row = await lane_row(made.number_ids[0])
        assert row["wait_reason"] == "plan_cap"
        assert row["due_at"] > await now()

    async def test_a_plan_is_shared_by_all_numbers(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=30, numbers=3)
        await give_plan(made.user_id, monthly_messages=7)
        await _drain(dispatchers=2)
        assert len(sink.posts) == 7
        assert list((await used("plan", made.user_id)).values()) == [7]

    async def test_a_certain_non_send_takes_none(self, campaign: Make, sink: Sink) -> None:
        sink.always = Answer("rejected", "refused")
        made = await campaign(contacts=3, pacing=Pacing(per_hour=9))
        await _drain()
        assert await states(made.id) == ["failed:refused"] * 3
        assert set((await used("number", made.number_ids[0])).values()) == {0}

    async def test_a_doubt_keeps_its_own(self, campaign: Make, sink: Sink) -> None:
        sink.always = Answer("unknown")
        made = await campaign(contacts=3, pacing=Pacing(per_hour=9))
        await _drain()
        assert set((await used("number", made.number_ids[0])).values()) == {3}


class TestTwoDispatchers:
    async def test_on_one_lane_send_each_message_once(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.005
        made = await campaign(contacts=100)
        await _drain(slots=8, dispatchers=3)
        _each_once(sink, made)
        assert await states(made.id) == ["sent"] * 100

    async def test_on_many_lanes_send_each_message_once(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.005
        made = await campaign(contacts=150, numbers=6)
        await _drain(slots=8, dispatchers=3)
        _each_once(sink, made)
        assert await counters(made.id) == {"sent": 150}

    async def test_a_lane_stolen_from_a_slow_one_is_not_sent_from_twice(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.02
        made = await campaign(contacts=60)
        async with _Running(slots=4) as first:

            async def some_sent() -> bool:
                return len(sink.posts) >= 10

            await first.until(some_sent)
            await database.execute("UPDATE lanes SET lease_until = now() - interval '1 hour'")
            async with _Running(slots=4):
                await _drain(slots=4)
        await _drain()
        _each_once(sink, made)
        assert await states(made.id) == ["sent"] * 60


class TestStopping:
    async def test_lets_what_is_in_the_air_come_home(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.1
        made = await campaign(contacts=60)
        async with _Running(slots=8) as run:

            async def some_sent() -> bool:
                return len(sink.posts) >= 20

            await run.until(some_sent)
        assert await _all_in(made, "sent", "pending")
        assert (await states(made.id)).count("sent") == len(sink.posts) < 60
        assert (await lane_row(made.number_ids[0]))["holder"] is None
        await _drain()
        _each_once(sink, made)

    async def test_a_pause_stops_what_was_not_claimed(self, campaign: Make, sink: Sink) -> None:
        sink.delay = 0.05
        made = await campaign(contacts=80)
        async with _Running(slots=4) as run:

            async def some_sent() -> bool:
                return len(sink.posts) >= 10

            await run.until(some_sent)
            await services.pause_campaign(made.user_id, made.id)
            on_the_wire = len(sink.posts)

            async def home() -> bool:
                return await _all_in(made, "sent", "pending")

            await run.until(home)
        assert len(sink.posts) <= on_the_wire + 4
        assert (await states(made.id)).count("sent") == len(sink.posts)
        await services.resume_campaign(made.user_id, made.id)
        await _drain()
        _each_once(sink, made)

    async def test_a_run_takes_what_is_started_meanwhile(self, user: Member, sink: Sink, sink_url: str) -> None:
        sink.delay = 0.05
        first = await running(user, contacts=1_000, url=sink_url, capabilities=BARE)
        async with _Running(slots=2) as run:

            async def some_sent() -> bool:
                return len(sink.posts) >= 3

            await run.until(some_sent)
            second = await start(await make_campaign(user, contacts=3, url=sink_url, capabilities=BARE))

            async def sent() -> bool:
                return await _all_in(second, "sent")

            await run.until(sent)
            assert not await _all_in(first, "sent")


class TestOutcomes:
    async def test_an_exception_of_a_plugin_is_a_doubt(
        self, campaign: Make, sink: Sink, provider: SinkProvider
    ) -> None:
        provider.raises["send"] = KeyError("broken plugin")
        made = await campaign()
        await _drain()
        assert await states(made.id) == ["unknown:exception_KeyError"] * 3
        assert len(sink.posts) == 3

    async def test_a_doubt_is_not_sent_again(self, campaign: Make, sink: Sink) -> None:
        sink.always = Answer("unknown", "no_answer")
        made = await campaign()
        await _drain()
        await _drain()
        _each_once(sink, made)
        assert await states(made.id) == ["unknown:no_answer"] * 3

    async def test_what_cannot_be_prepared_fails(self, campaign: Make, sink: Sink, provider: SinkProvider) -> None:
        provider.raises["prepare"] = ValueError("broken plugin")
        made = await campaign()
        await _drain()
        assert await states(made.id) == ["failed:prepare_failed"] * 3
        assert sink.posts == []

    async def test_a_rejection_drops_the_later_steps(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=2, messages=("a", "b"))
        sink.answers[made.phones[0]] = [Answer("rejected", "refused")]
        await _drain()
        assert await states(made.id) == ["failed:refused", "sent", "skipped:previous_failed", "sent"]

    async def test_a_busy_service_is_tried_later(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=2)
        sink.answers[made.phones[0]] = [Answer("retryable", "busy", retry_after=0.3)]
        await _drain()
        assert await states(made.id) == ["sent", "sent"]
        first, again = [post.at for post in sink.posts if post.address == made.phones[0]]
        assert again - first >= 0.3
        row = (await recipients(made.id))[0]
        assert (row["attempt"], row["failures"]) == (2, 1)

    async def test_five_times_at_most(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=1)
        sink.answers[made.phones[0]] = [Answer("retryable", "busy", retry_after=0.02)] * 9
        await _drain()
        assert await states(made.id) == ["failed:busy"]
        assert len(sink.posts) == 5
        assert [attempt["outcome"] for attempt in await attempts((await recipients(made.id))[0]["id"])] == [
            "retryable"
        ] * 5

    async def test_a_failing_server_opens_the_breaker_and_burns_no_try(self, campaign: Make, sink: Sink) -> None:
        sink.answers["*"] = [Answer("retryable", "down", retry_after=0.3, scope="server")] * 3
        made = await campaign(contacts=3)
        await _drain()
        assert await states(made.id) == ["sent"] * 3
        assert [row["failures"] for row in await recipients(made.id)] == [0] * 3
        assert len(sink.posts) == 6
        assert sink.posts[3].at - sink.posts[2].at >= 0.25
        row = await lane_row(made.number_ids[0])
        assert (row["failures"], row["open_until"]) == (0, None)

    async def test_an_ineligible_contact_is_skipped_with_its_steps(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=3, messages=("a", "b"))
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[1])
        await _drain()
        assert (await states(made.id))[1::3] == ["skipped:opted_out", "skipped:opted_out"]
        assert made.phones[1] not in sink.addresses
        assert await counters(made.id) == await counted(made.id) == {"sent": 4, "skipped": 2}


class TestStoppedSender:
    @pytest.mark.parametrize("scope", ["sender", "server"])
    async def test_gives_its_rows_back_and_sends_no_more(self, campaign: Make, sink: Sink, scope: str) -> None:
        sink.always = Answer("stopped", "logged_out", scope=scope)  # type: ignore[arg-type]
        made = await campaign(contacts=40)
        await _drain(slots=4)
        assert await _all_in(made, "pending", "pending:logged_out")
        assert len(sink.posts) < 40
        rows = await recipients(made.id)
        assert {row["number_id"] for row in rows} == {None}
        assert {row["failures"] for row in rows} == {0}
        number = await database.fetch_row("SELECT * FROM numbers WHERE id = $1", made.number_ids[0])
        assert number is not None
        assert (number["status_connection"], number["connection_reason"]) == (False, "logged_out")
        assert set((await used("plan", made.user_id)).values()) == {0}

    async def test_another_number_takes_over(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=20, numbers=2)
        sink.answers["*"] = [Answer("stopped", "logged_out", scope="sender")]
        await _drain(slots=4)
        assert await states(made.id) == ["sent"] * 20
        assert len(sink.posts) == 21

    async def test_goes_on_when_it_is_connected_again(self, campaign: Make, sink: Sink) -> None:
        sink.answers["*"] = [Answer("stopped", "logged_out", scope="sender")] * 4
        made = await campaign(contacts=10)
        await _drain(slots=4)
        await database.execute("UPDATE numbers SET status_connection = true")
        await services.resume_campaign(made.user_id, made.id)
        await database.execute("UPDATE lanes SET due_at = now()")
        await _drain(slots=4)
        assert await _all_in(made, "sent")

    async def test_refused_new_contacts_are_spared(self, campaign: Make, sink: Sink) -> None:
        sink.always = Answer("stopped", "restricted", scope="new_contacts")
        made = await campaign(contacts=40)
        await _drain(slots=4)
        assert len(sink.posts) < 40
        number = await database.fetch_row("SELECT * FROM numbers WHERE id = $1", made.number_ids[0])
        assert number is not None
        assert number["restricted_until"] - await now() > timedelta(hours=23)
        assert (await lane_row(made.number_ids[0]))["wait_reason"] == "number_restricted"


class TestChecks:
    async def test_send_to_the_address_the_service_gave(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=1, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory[made.phones[0]] = "5511888@c.us"
        await _drain()
        assert sink.addresses == ["5511888@c.us"]
        assert (await recipients(made.id))[0]["provider_address"] == "5511888@c.us"

    async def test_a_number_without_an_account_is_skipped(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=1, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory[made.phones[0]] = None
        await _drain()
        assert await states(made.id) == ["skipped:no_whatsapp"]
        assert sink.posts == []

    async def test_two_numbers_of_one_account_get_one_message(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=2, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(made.phones, "same@c.us")
        await _drain()
        assert sink.addresses == ["same@c.us"]
        assert sorted(await states(made.id)) == ["sent", "skipped:duplicate_address"]

    async def test_a_silent_answer_is_asked_for_again(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=1, capabilities=CHECKING, settings={"check_numbers": True})
        async with _Running() as run:

            async def tried() -> bool:
                return await states(made.id) == ["pending:number_check_failed"]

            await run.until(tried)
        assert sink.posts == []
        assert (await recipients(made.id))[0]["failures"] == 1

    async def test_a_server_that_fails_the_check_burns_no_try(
        self, campaign: Make, sink: Sink, provider: SinkProvider
    ) -> None:
        provider.raises["check_numbers"] = UNREACHABLE
        made = await campaign(contacts=1, capabilities=CHECKING, settings={"check_numbers": True})
        async with _Running() as run:

            async def tried() -> bool:
                return (await states(made.id))[0].startswith("pending:")

            await run.until(tried)
        assert (await recipients(made.id))[0]["failures"] == 0
        assert sink.posts == []

    async def test_are_left_out_where_the_campaign_says_so(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=1, capabilities=CHECKING)
        await _drain()
        assert sink.addresses == made.phones


class TestBrokenLanes:
    @pytest.mark.parametrize("call", ["new_client_id", "send_timeout"])
    async def test_a_plugin_that_raises_before_the_claim_harms_no_row(
        self, campaign: Make, sink: Sink, provider: SinkProvider, call: str
    ) -> None:
        provider.raises[call] = RuntimeError("broken plugin")
        made = await campaign()
        async with _Running():
            await asyncio.sleep(0.1)
        assert await _all_in(made, "pending")
        del provider.raises[call]
        await database.execute("UPDATE lanes SET pause_until = NULL")
        await _drain()
        _each_once(sink, made)

    async def test_a_number_without_a_plugin_waits(
        self, campaign: Make, sink: Sink, user: Member, sink_url: str
    ) -> None:
        lost = await campaign()
        await database.execute("UPDATE servers SET provider = 'gone'")
        senders.forget()
        sound = await running(user, url=sink_url, capabilities=BARE)
        async with _Running() as run:

            async def sent() -> bool:
                return await _all_in(sound, "sent")

            await run.until(sent)
        assert await _all_in(lost, "pending")
        assert Counter(sink.addresses) == Counter(sound.phones)

    async def test_a_campaign_of_a_suspended_tenant_does_not_keep_a_run_busy(
        self, campaign: Make, sink: Sink, user: Member
    ) -> None:
        made = await campaign()
        await database.execute("UPDATE users SET status = 'inactive' WHERE id = $1", user.id)
        await _drain(seconds=5)
        row = await lane_row(made.number_ids[0])
        assert (row["due_at"], row["wait_reason"], sink.posts) == (None, "tenant_suspended", [])


class TestTyping:
    async def test_is_shown_before_each_message_and_ended_with_it(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=2, messages=("a",), capabilities=TYPES, pacing=PROMPT)
        await _drain()
        _each_once(sink, made)
        for place, post in enumerate(sink.posts):
            signs = [(sign.active, sign.posts_before) for sign in sink.signs if sign.address == post.address]
            assert signs == [(True, place), (False, place)]

    async def test_nothing_claimed_waits_for_it(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=1, messages=("x" * 100,), capabilities=TYPES, pacing=PROMPT)
        async with _Running() as run:

            async def typed() -> bool:
                return bool(sink.signs)

            await run.until(typed)
            assert await states(made.id) == ["pending"]
            await services.pause_campaign(made.user_id, made.id)
        assert sink.posts == []
        assert await states(made.id) == ["pending"]

    async def test_a_service_that_cannot_is_sent_to_without(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=2, pacing=PROMPT)
        await _drain()
        _each_once(sink, made)
        assert sink.signs == []

    async def test_that_fails_holds_no_message_up(self, campaign: Make, sink: Sink, provider: SinkProvider) -> None:
        provider.raises["show_typing"] = RuntimeError("no chat open")
        made = await campaign(contacts=2, messages=("a",), capabilities=TYPES, pacing=PROMPT)
        await _drain()
        _each_once(sink, made)

    async def test_nobody_types_to_whoever_is_not_written_to(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=3, messages=("a",), capabilities=TYPES, pacing=PROMPT)
        await database.execute(
            "UPDATE contacts SET blocked_at = now() WHERE id = ANY($1::bigint[])", made.contact_ids[:2]
        )
        await _drain()
        assert sink.addresses == made.phones[2:]
        assert {sign.address for sign in sink.signs} == {made.phones[2]}

    async def test_two_campaigns_of_one_number_both_come_to_write(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        await give_plan(user.id)
        number_id = await make_number(user.id, sink_url, TYPES)
        public_id = await make_public(user.id, await make_contacts(user.id, [phone()]))
        for text in ("first", "second"):
            await start(await add_campaign(user, [number_id], public_id, messages=(text,), pacing=PROMPT))
        await _drain()
        assert [post.text for post in sink.posts] == ["first", "second"]

    async def test_a_shared_cap_that_others_used_up_ends_it(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=3, messages=("a",), capabilities=TYPES, pacing=PROMPT)
        await give_plan(made.user_id, monthly_messages=1)
        async with _Running() as run:

            async def typed() -> bool:
                return bool(sink.signs)

            await run.until(typed)
            await database.execute("UPDATE send_counters SET used = 1 WHERE scope = 'plan'")
        await _drain()
        assert sink.posts == []
        assert (await lane_row(made.number_ids[0]))["wait_reason"] == "plan_cap"


class TestKnownOnly:
    async def test_a_restricted_number_writes_to_whom_it_knows(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=20, capabilities=TYPES, pacing=Pacing(delay_min=0.01, delay_max=0.01))
        await database.execute("UPDATE numbers SET restricted_until = now() + interval '1 day'")
        for contact_id in made.contact_ids[15:17]:
            await insert(
                "conversations",
                user_id=made.user_id,
                contact_id=contact_id,
                number_id=made.number_ids[0],
                last_inbound_at=await now(),
            )
        await _drain()
        assert sink.addresses == made.phones[15:17]
        row = await lane_row(made.number_ids[0])
        assert row["wait_reason"] == "number_restricted"

    async def test_nobody_else_sees_typing(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=3, messages=("a",), capabilities=TYPES, pacing=PROMPT)
        await database.execute("UPDATE numbers SET restricted_until = now() + interval '1 day'")
        await insert(
            "conversations",
            user_id=made.user_id,
            contact_id=made.contact_ids[2],
            number_id=made.number_ids[0],
            last_inbound_at=await now(),
        )
        await _drain()
        assert sink.addresses == made.phones[2:]
        assert {sign.address for sign in sink.signs} == {made.phones[2]}


class TestServerBreaker:
    async def test_a_fault_of_the_server_stops_every_lane_on_it_and_burns_no_try(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        sink.always = Answer("retryable", "overloaded", retry_after=120, scope="server")
        made = await running(user, contacts=200, numbers=2, url=sink_url, capabilities=BARE)
        first, second = made.number_ids
        await database.execute(
            "UPDATE numbers SET server_id = (SELECT server_id FROM numbers WHERE id = $1) WHERE id = $2", first, second
        )
        senders.forget()
        await _drain(slots=4)
        assert 0 < len(sink.posts) < 200
        assert {row["failures"] for row in await recipients(made.id)} == {0}
        assert await _all_in(made, "pending", "pending:overloaded")
        assert [(await lane_row(number_id))["wait_reason"] for number_id in (first, second)] == ["breaker_open"] * 2

    async def test_another_server_goes_on(self, user: Member, sink: Sink, sink_url: str) -> None:
        made = await running(user, contacts=20, numbers=2, url=sink_url, capabilities=BARE)
        bad = await database.fetch_row("SELECT server_id FROM numbers WHERE id = $1", made.number_ids[0])
        assert bad is not None
        await _open_breaker(bad["server_id"])
        await _drain(slots=4)
        _each_once(sink, made)
        assert len({post.instance for post in sink.posts}) == 1

    async def test_one_message_tries_it_again_and_the_rest_follow(self, campaign: Make, sink: Sink) -> None:
        sink.answers["*"] = [Answer("retryable", "overloaded", scope="server")] * 3
        made = await campaign(contacts=30)
        await _drain(slots=3)
        assert await states(made.id) == ["sent"] * 30
        assert len(sink.posts) == 33
        assert await database.fetch_value("SELECT count(*) FROM server_breakers WHERE open_until IS NOT NULL") == 0

    async def test_what_it_says_of_recipients_does_not_open_it(self, campaign: Make, sink: Sink) -> None:
        sink.always = Answer("rejected", "refused")
        made = await campaign(contacts=30)
        await _drain()
        assert await states(made.id) == ["failed:refused"] * 30
        assert await database.fetch_value("SELECT count(*) FROM server_breakers") == 0


async def _open_breaker(server_id: int) -> None:
    await database.execute(
        "INSERT INTO server_breakers (server_id, failures, open_until, reason)"
        " VALUES ($1, 3, now() + interval '1 hour', 'down')",
        server_id,
    )


class TestContacts:
    async def test_two_campaigns_at_once_keep_the_gap(self, user: Member, sink: Sink, sink_url: str) -> None:
        await give_plan(user.id)
        contact_ids = await make_contacts(user.id, [phone() for _ in range(20)])
        public_id = await make_public(user.id, contact_ids)
        mades = [
            await start(
                await add_campaign(
                    user,
                    [await make_number(user.id, sink_url, BARE)],
                    public_id,
                    pacing=Pacing(contact_gap_hours=6),
                )
            )
            for _ in range(3)
        ]
        await _drain(slots=8, dispatchers=2)
        assert set(Counter(sink.addresses).values()) == {1}
        assert len(sink.posts) == 20
        found = [state for made in mades for state in await states(made.id)]
        assert Counter(found) == {"sent": 20, "pending:contact_gap": 40}

    async def test_many_who_may_not_be_written_to_hold_nobody_up(self, campaign: Make, sink: Sink) -> None:
        made = await campaign(contacts=300, pacing=Pacing(unanswered_max=1))
        await database.execute(
            "INSERT INTO contact_activity (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id)"
            " SELECT unnest($1::bigint[]), $2, 1, now(), 1, 1, 1",
            made.contact_ids[:299],
            made.user_id,
        )
        await _drain(slots=4)
        assert sink.addresses == made.phones[299:]
        assert Counter(await states(made.id)) == {"skipped:unanswered_cap": 299, "sent": 1}
