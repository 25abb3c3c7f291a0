from datetime import timedelta
from typing import Any

from core import database
from core.campaigns import lanes
from core.campaigns.pacing import Pacing
from tests.core.campaigns.making import (
    HOLDER,
    Made,
    hold,
    lane_row,
    now,
    recipients,
    running,
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

    async def test_leaves_a_lane_without_pauses_to_others_for_a_while(self, user: Member) -> None:
        made = await running(user, numbers=2)
        moment = await now()
        unpaced, paced = made.number_ids
        await database.execute("UPDATE lanes SET due_at = $1", moment)
        await database.execute("UPDATE lanes SET pause_until = $2 WHERE number_id = $1", paced, moment)
        a_while = moment - timedelta(seconds=2)
        assert await lanes.acquire(moment, HOLDER, moment, 5, unpaced_due=a_while) == [paced]
        assert await lanes.acquire(moment, HOLDER, moment, 5, unpaced_due=moment) == [unpaced]


class TestAnybody:
    async def test_a_due_lane_is_seen_until_it_is_held(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        until = moment + timedelta(seconds=15)
        assert (await lanes.any_due(moment), await lanes.any_held(made.number_ids, moment)) == (True, False)
        await lanes.acquire(moment, HOLDER, until, 5)
        assert (await lanes.any_due(moment), await lanes.any_held(made.number_ids, moment)) == (False, True)
        later = until + timedelta(seconds=1)
        assert (await lanes.any_due(later), await lanes.any_held(made.number_ids, later)) == (True, False)

    async def test_a_lane_due_later_is_not_due(self, user: Member) -> None:
        await running(user)
        moment = await now()
        await database.execute("UPDATE lanes SET due_at = $1", moment + timedelta(seconds=1))
        assert await lanes.any_due(moment) is False


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
