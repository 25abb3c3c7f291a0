from datetime import datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns.failover import fail_over, release
from core.campaigns.schemas import FAILOVER_MINUTES
from tests.core.campaigns.making import Made, claim_all, insert, lane_row, now, recipients, running
from tests.factories import Member

MINUTES = timedelta(minutes=FAILOVER_MINUTES)


async def _pinned(user: Member, **wishes: Any) -> Made:
    """A campaign on two numbers, all of whose rows are the first one's."""
    made = await running(user, numbers=2, **wishes)
    await database.execute("UPDATE message_by_contacts SET number_id = $1", made.number_ids[0])
    return made


async def _numbers(made: Made) -> list[int | None]:
    return [row["number_id"] for row in await recipients(made.id)]


async def _unable(made: Made, change: str = "status_connection = false") -> datetime:
    """Have the campaign's first number unable to send, seen by a round."""
    await database.execute(f"UPDATE numbers SET {change} WHERE id = $1", made.number_ids[0])
    moment = await now()
    assert await fail_over(moment, FAILOVER_MINUTES) == 0
    return moment


class TestFailOver:
    @pytest.mark.parametrize(
        "change",
        [
            "status_connection = false",
            "status = false",
            "deleted_at = now()",
            "restricted_until = now() + interval '1 day'",
        ],
    )
    async def test_what_was_never_tried_goes_to_the_others_in_time(self, user: Member, change: str) -> None:
        made = await _pinned(user)
        moment = await _unable(made, change)
        assert await fail_over(moment + MINUTES - timedelta(seconds=1), FAILOVER_MINUTES) == 0
        wakes = (await lane_row(made.number_ids[1]))["wakes"]
        assert await fail_over(moment + MINUTES, FAILOVER_MINUTES) == 3
        assert await _numbers(made) == [None] * 3
        assert (await lane_row(made.number_ids[1]))["wakes"] == wakes + 1

    async def test_a_number_that_came_back_keeps_its_rows(self, user: Member) -> None:
        made = await _pinned(user)
        moment = await _unable(made)
        await database.execute("UPDATE numbers SET status_connection = true WHERE id = $1", made.number_ids[0])
        assert await fail_over(moment + MINUTES, FAILOVER_MINUTES) == 0
        assert await fail_over(moment + 2 * MINUTES, FAILOVER_MINUTES) == 0
        assert await _numbers(made) == [made.number_ids[0]] * 3

    async def test_rows_that_were_tried_stay(self, user: Member) -> None:
        made = await _pinned(user)
        await database.execute("UPDATE message_by_contacts SET attempt = 1 WHERE contact_id = $1", made.contact_ids[0])
        moment = await _unable(made)
        assert await fail_over(moment + MINUTES, FAILOVER_MINUTES) == 2
        assert await _numbers(made) == [made.number_ids[0], None, None]

    async def test_a_restricted_number_keeps_whom_it_knows(self, user: Member) -> None:
        made = await _pinned(user)
        await insert(
            "conversations",
            user_id=user.id,
            contact_id=made.contact_ids[1],
            number_id=made.number_ids[0],
            last_inbound_at=await now(),
        )
        moment = await _unable(made, "restricted_until = now() + interval '1 day'")
        assert await fail_over(moment + MINUTES, FAILOVER_MINUTES) == 2
        assert await _numbers(made) == [None, made.number_ids[0], None]

    async def test_without_another_number_that_can_send_nothing_moves(self, user: Member) -> None:
        made = await _pinned(user)
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[1])
        moment = await _unable(made)
        assert await fail_over(moment + MINUTES, FAILOVER_MINUTES) == 0

    @pytest.mark.parametrize(("minutes", "moved"), [(0, 3), (30, 0), (None, 0)])
    async def test_goes_by_what_the_campaign_says(self, user: Member, minutes: float | None, moved: int) -> None:
        made = await _pinned(user, settings={"failover_minutes": minutes})
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        moment = await now()
        assert await fail_over(moment, FAILOVER_MINUTES) + await fail_over(moment + MINUTES, FAILOVER_MINUTES) == moved

    async def test_of_a_paused_campaign_nothing_moves(self, user: Member) -> None:
        made = await _pinned(user)
        moment = await _unable(made)
        await database.execute("UPDATE campaigns SET status = 3 WHERE id = $1", made.id)
        assert await fail_over(moment + MINUTES, FAILOVER_MINUTES) == 0


async def test_release_gives_back_what_waits_for_a_number_no_longer_used(user: Member) -> None:
    made = await _pinned(user)
    await database.execute("UPDATE message_by_contacts SET number_id = $2 WHERE contact_id = $1", *_last(made))
    await database.execute("DELETE FROM campaign_numbers WHERE number_id = $1", made.number_ids[0])
    await release(made.id, await now())
    assert await _numbers(made) == [None, None, made.number_ids[1]]
    made.number_ids = made.number_ids[1:]
    assert len((await claim_all(made, await now())).claimed) == 3


def _last(made: Made) -> tuple[int, int]:
    return made.contact_ids[-1], made.number_ids[1]
