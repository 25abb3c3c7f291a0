import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import resolving, services
from core.campaigns.claims import Claimed
from core.campaigns.completion import ATTENTION_LIFETIME, complete_finished
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED, Transition, apply
from tests.core.campaigns.making import (
    Made,
    campaign_row,
    claim_all,
    counted,
    counters,
    make_campaign,
    now,
    recipients,
    run_jobs,
    running,
    settle_rows,
    standing,
    states,
)
from tests.factories import Member

SENT: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.SENT}
FAILED: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.FAILED, "reason": "refused"}
UNKNOWN: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.UNKNOWN, "reason": "timeout"}
ACCEPTED: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.ACCEPTED}
PENDING: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.PENDING}


async def _leased(user: Member, **wishes: Any) -> tuple[Made, list[Claimed], datetime]:
    made = await running(user, **wishes)
    moment = await now()
    return made, (await claim_all(made, moment)).claimed, moment


class TestComplete:
    async def test_when_every_row_is_settled(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows[:2], moment, **SENT)
        await settle_rows(rows[2:], moment, **FAILED)
        before = await campaign_row(made.id)
        assert await complete_finished(moment) == [made.id]
        row = await campaign_row(made.id)
        assert (row["status"], row["status_reason"], row["completed_at"]) == (4, "completed", moment)
        assert (row["progress"], row["version"]) == (100, before["version"] + 1)

    async def test_once(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **SENT)
        assert await complete_finished(moment) == [made.id]
        assert await complete_finished(moment) == []

    async def test_with_nobody_in_the_audience(self, user: Member) -> None:
        made = await running(user, contacts=0)
        assert await complete_finished(await now()) == [made.id]

    async def test_with_everybody_skipped(self, user: Member) -> None:
        made = await make_campaign(user, contacts=2)
        await database.execute("UPDATE contacts SET status = 2 WHERE user_id = $1", user.id)
        await services.start_campaign(user.id, made.id)
        await run_jobs(made.id)
        assert await complete_finished(await now()) == [made.id]

    @pytest.mark.parametrize("last", [PENDING, ACCEPTED, None])
    async def test_never_with_a_row_that_is_open(self, user: Member, last: dict[str, Any] | None) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows[:2], moment, **SENT)
        if last is not None:
            await settle_rows(rows[2:], moment, **last)
        for later in (moment, moment + timedelta(days=2)):
            assert await complete_finished(later) == []
        assert await standing(made.id) == (2, "sending")

    async def test_never_while_counters_and_rows_disagree(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows[:2], moment, **SENT)
        await database.execute("UPDATE campaign_counters SET sent = 99 WHERE campaign_id = $1", made.id)
        assert await complete_finished(moment) == []

    async def test_never_before_the_audience_is_frozen(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **SENT)
        await database.execute("UPDATE campaigns SET frozen_at = NULL WHERE id = $1", made.id)
        assert await complete_finished(moment) == []

    async def test_never_while_paused(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **SENT)
        await services.pause_campaign(user.id, made.id)
        assert await complete_finished(moment) == []
        await services.resume_campaign(user.id, made.id)
        assert await complete_finished(moment) == [made.id]

    async def test_never_with_a_step_to_come(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1, messages=("a", "b"), delays=(0, 600))
        await settle_rows(rows, moment, **SENT)
        assert await complete_finished(moment) == []
        assert await states(made.id) == ["sent", "pending"]

    async def test_and_a_retry_at_once_leave_no_row_behind(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **FAILED)
        await resolving.retry_failed(user.id, made.id)
        await asyncio.gather(complete_finished(moment), run_jobs(made.id))
        assert await standing(made.id) == (2, "sending")
        assert set(await states(made.id)) == {"pending:retried_by_user"}


class TestUnknown:
    async def test_rows_alone_need_attention(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows[:2], moment, **SENT)
        await settle_rows(rows[2:], moment, **UNKNOWN)
        assert await complete_finished(moment) == []
        row = await campaign_row(made.id)
        assert (row["status"], row["status_reason"], row["completed_at"]) == (2, "needs_attention", None)

    async def test_is_said_once(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **UNKNOWN)
        await complete_finished(moment)
        before = await campaign_row(made.id)
        await complete_finished(moment + timedelta(hours=1))
        assert await campaign_row(made.id) == before

    async def test_with_others_open_is_not_said(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows[:1], moment, **UNKNOWN)
        await complete_finished(moment)
        assert await standing(made.id) == (2, "sending")

    async def test_after_a_day_it_completes_and_says_so(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **UNKNOWN)
        last_moment = moment + ATTENTION_LIFETIME
        assert await complete_finished(last_moment) == []
        assert await complete_finished(last_moment + timedelta(seconds=1)) == [made.id]
        assert await standing(made.id) == (4, "completed_with_unknown")
        assert await counters(made.id) == {"unknown": 3}

    async def test_need_none_while_all_of_them_will_be_looked_up(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **UNKNOWN, look_at=moment + timedelta(seconds=30))
        await complete_finished(moment)
        assert await standing(made.id) == (2, "sending")
        await database.execute("UPDATE message_by_contacts SET lease_until = NULL WHERE id = $1", rows[0].id)
        await complete_finished(moment)
        assert await standing(made.id) == (2, "needs_attention")

    async def test_steps_that_wait_for_one_need_attention_too(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=2, messages=("a", "b", "c"))
        await settle_rows(rows[:1], moment, **UNKNOWN)
        await settle_rows(rows[1:], moment, **FAILED)
        await complete_finished(moment)
        assert await standing(made.id) == (2, "needs_attention")

    async def test_and_are_skipped_when_nobody_decides(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1, messages=("a", "b", "c"))
        await settle_rows(rows, moment, **UNKNOWN)
        assert await complete_finished(moment + timedelta(hours=25)) == [made.id]
        assert await states(made.id) == ["unknown:timeout", "skipped:previous_unknown", "skipped:previous_unknown"]
        assert await counters(made.id) == await counted(made.id) == {"unknown": 1, "skipped": 2}

    async def test_a_step_that_is_due_is_waited_for(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=2, messages=("a", "b"), delays=(0, 100_000))
        await settle_rows(rows[:1], moment, **UNKNOWN)
        await settle_rows(rows[1:], moment, **SENT)
        assert await complete_finished(moment + timedelta(hours=25)) == []
        assert await standing(made.id) == (2, "sending")

    async def test_a_row_sent_again_is_over_in_the_end(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await complete_finished(moment)
        absent = Transition(
            id=rows[0].id, attempt=1, allowed=32, state=RecipientState.PENDING, due_at=moment, requeued=1
        )
        await apply(moment, [absent], shard=18)
        assert await complete_finished(moment) == []
        await settle_rows((await claim_all(made, moment)).claimed, moment, **SENT)
        assert await complete_finished(moment) == [made.id]
        assert [row["attempt"] for row in await recipients(made.id)] == [2]
