from datetime import timedelta
from typing import Any

from core import database
from core.campaigns import lanes, services
from core.campaigns.pacing import Pacing
from tests.core.campaigns.making import (
    HOLDER,
    Made,
    add_campaign,
    claim_all,
    give_plan,
    hold,
    lane_row,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    recipients,
    running,
    start,
)
from tests.factories import Member


async def _lane(made: Made) -> Any:
    return await lane_row(made.number_ids[0])


class TestAcquire:
    async def test_takes_what_is_due_longest_first(self, user: Member) -> None:
        made = await running(user, numbers=3)
        moment = await now()
        for hours, number_id in enumerate(made.number_ids):
            await database.execute(
                "UPDATE lanes SET due_at = $2 WHERE number_id = $1", number_id, moment - timedelta(hours=hours)
            )
        taken = await lanes.acquire(moment, HOLDER, moment + timedelta(seconds=15), 2)
        assert sorted(taken) == sorted(made.number_ids[1:])

    async def test_leaves_what_is_due_later(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        await database.execute("UPDATE lanes SET due_at = $1", moment + timedelta(seconds=1))
        assert await lanes.acquire(moment, HOLDER, moment, 5) == []
        assert await lanes.acquire(moment + timedelta(seconds=1), HOLDER, moment, 5) == made.number_ids

    async def test_takes_over_from_a_holder_that_fell_silent(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        until = moment + timedelta(seconds=15)
        await lanes.acquire(moment, "dead", until, 5)
        assert await lanes.acquire(until, HOLDER, until, 5) == []
        assert await lanes.acquire(until + timedelta(seconds=1), HOLDER, until, 5) == made.number_ids
        assert await lanes.held("dead") == {}

    async def test_a_renewed_lease_is_not_taken_over(self, user: Member) -> None:
        await running(user)
        moment = await now()
        await lanes.acquire(moment, "alive", moment + timedelta(seconds=15), 5)
        await lanes.extend("alive", moment + timedelta(seconds=60))
        assert await lanes.acquire(moment + timedelta(seconds=30), HOLDER, moment, 5) == []


class TestRelease:
    async def test_leaves_its_next_time_and_pause(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        lane.burst, lane.next_at = 3, moment + timedelta(minutes=9)
        assert await lanes.release(HOLDER, lane, moment + timedelta(minutes=9), "pause")
        row = await _lane(made)
        assert (row["holder"], row["due_at"], row["wait_reason"]) == (None, moment + timedelta(minutes=9), "pause")
        assert (row["burst"], row["pause_until"]) == (3, moment + timedelta(minutes=9))

    async def test_is_refused_when_somebody_woke_it(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        await lanes.wake(made.id, moment)
        assert not await lanes.release(HOLDER, lane, None, "")
        assert (await _lane(made))["holder"] == HOLDER

    async def test_of_everything_keeps_pauses_and_bursts(self, user: Member) -> None:
        made = await running(user, numbers=2, pacing=Pacing(delay_min=1, delay_max=1))
        moment = await now()
        held = await hold(made, moment)
        rest_ends = moment + timedelta(minutes=10)
        held[0].burst, held[0].next_at = 0, rest_ends
        held[1].burst = 5
        await lanes.give_up(HOLDER, held)
        rows = [await lane_row(number_id) for number_id in made.number_ids]
        assert [(row["holder"], row["burst"], row["pause_until"]) for row in rows] == [
            (None, 0, rest_ends),
            (None, 5, None),
        ]


class TestWake:
    async def test_makes_a_lane_due_no_later(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        await database.execute("UPDATE lanes SET due_at = $1", moment - timedelta(hours=1))
        await lanes.wake_numbers([(made.number_ids[0], moment)])
        assert (await _lane(made))["due_at"] == moment - timedelta(hours=1)
        await database.execute("UPDATE lanes SET due_at = NULL")
        later = moment + timedelta(hours=1)
        await lanes.wake_numbers([(made.number_ids[0], later), (made.number_ids[0], moment)])
        assert (await _lane(made))["due_at"] == moment


class TestLoad:
    async def test_brings_the_running_campaigns_of_a_number(self, user: Member) -> None:
        await give_plan(user.id)
        public_id = await make_public(user.id, await make_contacts(user.id, [phone()]))
        number_id = await make_number(user.id)
        made = [await add_campaign(user, [number_id], public_id) for _ in range(3)]
        for one in made[:2]:
            await start(one)
        await services.pause_campaign(user.id, made[0].id)
        (lane,) = await hold(made[1], await now())
        assert [turn.id for turn in lane.campaigns] == [made[1].id]
        assert list(lane.campaigns[0].steps) == made[1].message_ids

    async def test_brings_what_decide_asks_for(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(per_hour=9), plan={"monthly_messages": 100})
        await claim_all(made, await now())
        (lane,) = await hold(made, await now())
        turn = lane.campaigns[0]
        assert (turn.state.monthly_messages, turn.state.timezone) == (100, "America/Sao_Paulo")
        history = lane.history(turn, await now())
        assert (history.hour, history.day, history.month) == (3, 3, 3)

    async def test_a_plan_that_is_unlimited_has_no_cap(self, user: Member) -> None:
        made = await running(user, plan={"monthly_messages": 5, "unlimited": True})
        (lane,) = await hold(made, await now())
        assert lane.campaigns[0].state.monthly_messages is None

    async def test_without_a_plan_nothing_is_sent(self, user: Member) -> None:
        made = await running(user)
        await database.execute("UPDATE users SET plan_id = NULL WHERE id = $1", user.id)
        (lane,) = await hold(made, await now())
        assert lane.campaigns[0].state.monthly_messages == 0

    async def test_a_campaign_that_cannot_be_read_does_not_hold_up_the_others(self, user: Member) -> None:
        broken = await running(user)
        sound = await running(user)
        await database.execute("UPDATE messages SET content = '{{ a.b }}' WHERE campaign_id = $1", broken.id)
        moment = await now()
        await lanes.acquire(moment, HOLDER, moment + timedelta(seconds=60), 10)
        held = await lanes.load(HOLDER, broken.number_ids + sound.number_ids, moment)
        assert sound.id in [turn.id for lane in held for turn in lane.campaigns]

    async def test_what_a_lane_not_held_says_is_not_read(self, user: Member) -> None:
        made = await running(user)
        assert await lanes.load("somebody", made.number_ids, await now()) == []


class TestNextDue:
    async def test_is_of_its_own_rows_and_those_of_any_number(self, user: Member) -> None:
        made = await running(user, contacts=3, numbers=2)
        moment = await now()
        rows = await recipients(made.id)
        plan = [(made.number_ids[0], 3), (made.number_ids[1], 1), (None, 2)]
        for row, (number_id, minutes) in zip(rows, plan, strict=True):
            await database.execute(
                "UPDATE message_by_contacts SET number_id = $2, due_at = $3 WHERE id = $1",
                row["id"],
                number_id,
                moment + timedelta(minutes=minutes),
            )
        assert [await lanes.next_due(number_id, [made.id]) for number_id in made.number_ids] == [
            moment + timedelta(minutes=2),
            moment + timedelta(minutes=1),
        ]

    async def test_of_nothing_is_none(self, user: Member) -> None:
        made = await running(user, contacts=0)
        assert await lanes.next_due(made.number_ids[0], [made.id]) is None
        assert await lanes.next_due(made.number_ids[0], []) is None
