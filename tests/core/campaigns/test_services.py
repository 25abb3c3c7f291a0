import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import editing, resolving, scheduling, services
from core.campaigns.completion import complete_finished
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate, MessageCreate
from core.campaigns.skipping import skip_strays
from core.campaigns.tables import CampaignType, RecipientState
from core.campaigns.transitions import FROM_LEASED
from core.contacts.filters import AudienceFilter
from core.errors import ConflictError, InvalidInputError, NotFoundError, PlanLimitError
from tests.core.campaigns.making import (
    SENT,
    Made,
    campaign_row,
    counted,
    counters,
    give_plan,
    lane_row,
    leased,
    make_campaign,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    run_jobs,
    running,
    settle_rows,
    standing,
    start,
    states,
)
from tests.factories import Member


async def _schedule(made: Made, when: datetime | None) -> None:
    await editing.update_campaign(made.user_id, made.id, CampaignUpdate(schedule_date=when))


class TestStart:
    async def test_begins_at_once(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        row = await campaign_row(made.id)
        assert (row["status"], row["status_reason"]) == (2, "freezing")
        assert row["started_at"] is not None

    async def test_twice_freezes_once(self, user: Member) -> None:
        made = await make_campaign(user)
        for _ in range(2):
            await services.start_campaign(user.id, made.id)
        jobs = await database.fetch_value("SELECT count(*) FROM jobs WHERE subject_id = $1", made.id)
        assert jobs == 1

    async def test_several_at_once_start_it_once(self, user: Member) -> None:
        made = await make_campaign(user)
        await asyncio.gather(*(services.start_campaign(user.id, made.id) for _ in range(5)))
        assert await standing(made.id) == (2, "freezing")
        jobs = await database.fetch("SELECT kind FROM jobs WHERE subject_id = $1", made.id)
        assert [job["kind"] for job in jobs] == ["campaigns.freeze"]
        await run_jobs(made.id)
        assert await states(made.id) == ["pending"] * 3

    async def test_names_everything_that_is_missing(self, user: Member) -> None:
        await give_plan(user.id)
        campaign_id = await editing.create_campaign(user.id, CampaignCreate(name="Empty"))
        with pytest.raises(InvalidInputError) as caught:
            await services.start_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"number_ids", "public_id", "messages"}
        assert await standing(campaign_id) == (1, "draft")

    async def test_a_campaign_by_labels_needs_labels(self, user: Member) -> None:
        await give_plan(user.id)
        number_id = await make_number(user.id)
        draft = CampaignCreate(
            name="L", type=CampaignType.BY_LABELS, number_ids=(number_id,), messages=(MessageCreate(content="x"),)
        )
        campaign_id = await editing.create_campaign(user.id, draft)
        with pytest.raises(InvalidInputError) as caught:
            await services.start_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"settings.labels"}

    async def test_audiences_of_its_settings_are_enough(self, user: Member) -> None:
        campaign_id = await _of_audiences(user, "any")
        await services.start_campaign(user.id, campaign_id)
        await run_jobs(campaign_id)
        assert await states(campaign_id) == ["pending"]

    async def test_audiences_that_are_left_out_are_not_enough(self, user: Member) -> None:
        campaign_id = await _of_audiences(user, "none")
        with pytest.raises(InvalidInputError) as caught:
            await services.start_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"public_id"}

    async def test_a_cancelled_campaign_does_not_start(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.cancel_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await services.start_campaign(user.id, made.id)


async def _of_audiences(user: Member, how: str) -> int:
    """Make a campaign whose settings alone name an audience, of one contact."""
    await give_plan(user.id)
    public_id = await make_public(user.id, await make_contacts(user.id, [phone()]))
    draft = CampaignCreate(
        name="A",
        number_ids=(await make_number(user.id),),
        settings=CampaignSettings(audiences=AudienceFilter(**{how: [public_id]})),
        messages=(MessageCreate(content="x"),),
    )
    return await editing.create_campaign(user.id, draft)


class TestSchedule:
    async def test_waits_for_its_date(self, user: Member) -> None:
        made = await make_campaign(user)
        moment = await now()
        await _schedule(made, moment + timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        assert await standing(made.id) == (1, "scheduled")
        assert await scheduling.start_due(moment + timedelta(minutes=59)) == 0
        assert await scheduling.start_due(moment + timedelta(minutes=61)) == 1
        assert await standing(made.id) == (2, "freezing")

    async def test_a_date_that_passed_begins_at_once(self, user: Member) -> None:
        made = await make_campaign(user)
        await _schedule(made, await now() - timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        assert await standing(made.id) == (2, "freezing")

    async def test_needs_a_plan_that_has_it(self, user: Member) -> None:
        made = await make_campaign(user, plan={"schedule": False})
        await _schedule(made, await now() + timedelta(hours=1))
        with pytest.raises(PlanLimitError):
            await services.start_campaign(user.id, made.id)
        assert await standing(made.id) == (1, "draft")

    async def test_without_its_date_it_is_a_draft_that_can_start(self, user: Member) -> None:
        made = await make_campaign(user)
        await _schedule(made, await now() + timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        await _schedule(made, None)
        assert await standing(made.id) == (1, "draft")
        await services.start_campaign(user.id, made.id)
        assert await standing(made.id) == (2, "freezing")

    async def test_it_must_stay_ready_to_start(self, user: Member) -> None:
        made = await make_campaign(user)
        await _schedule(made, await now() + timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        with pytest.raises(InvalidInputError):
            await editing.update_campaign(user.id, made.id, CampaignUpdate(messages=()))

    async def test_a_deleted_one_does_not_start(self, user: Member) -> None:
        made = await make_campaign(user)
        moment = await now()
        await _schedule(made, moment + timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        await editing.delete_campaign(user.id, made.id)
        assert await scheduling.start_due(moment + timedelta(hours=2)) == 0


class TestPause:
    async def test_and_resume(self, user: Member) -> None:
        made = await running(user)
        lane = await lane_row(made.number_ids[0])
        for _ in range(2):
            await services.pause_campaign(user.id, made.id)
        assert await standing(made.id) == (3, "paused_by_user")
        for _ in range(2):
            await services.resume_campaign(user.id, made.id)
        assert await standing(made.id) == (2, "sending")
        assert (await lane_row(made.number_ids[0]))["wakes"] == lane["wakes"] + 1

    async def test_before_the_freeze_is_over(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        await services.pause_campaign(user.id, made.id)
        await services.resume_campaign(user.id, made.id)
        assert await standing(made.id) == (2, "freezing")

    async def test_of_a_draft_is_a_conflict(self, user: Member) -> None:
        made = await make_campaign(user)
        for change in (services.pause_campaign, services.resume_campaign):
            with pytest.raises(ConflictError):
                await change(user.id, made.id)


class TestCancel:
    async def test_skips_what_is_pending(self, user: Member) -> None:
        made, rows, moment = await leased(user, messages=("a", "b"), delays=(0, 60))
        await settle_rows(rows[:1], moment, **SENT)
        await services.cancel_campaign(user.id, made.id)
        await run_jobs(made.id)
        assert await states(made.id) == ["sent", "leased", "leased"] + ["skipped:canceled"] * 3
        assert await standing(made.id) == (5, "canceled_by_user")
        assert await counters(made.id) == await counted(made.id)

    async def test_twice_changes_nothing(self, user: Member) -> None:
        made = await running(user)
        await services.cancel_campaign(user.id, made.id)
        before = await campaign_row(made.id)
        await services.cancel_campaign(user.id, made.id)
        assert await campaign_row(made.id) == before

    async def test_what_comes_back_from_the_air_is_skipped_too(self, user: Member) -> None:
        made, rows, moment = await leased(user)
        await services.cancel_campaign(user.id, made.id)
        await run_jobs(made.id)
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=RecipientState.PENDING, due_at=moment)
        await skip_strays(await now())
        assert await states(made.id) == ["skipped:canceled"] * 3
        assert await counters(made.id) == {"skipped": 3}

    async def test_a_running_campaigns_rows_are_no_strays(self, user: Member) -> None:
        made = await running(user)
        await skip_strays(await now())
        assert await states(made.id) == ["pending"] * 3

    async def test_of_a_completed_campaign_is_a_conflict(self, user: Member) -> None:
        made = await running(user, contacts=0)
        await complete_finished(await now())
        with pytest.raises(ConflictError):
            await services.cancel_campaign(user.id, made.id)


class TestTenants:
    @pytest.mark.parametrize(
        "call",
        [
            services.start_campaign,
            services.pause_campaign,
            services.resume_campaign,
            services.cancel_campaign,
            editing.delete_campaign,
            resolving.retry_failed,
        ],
    )
    async def test_another_tenants_campaign_is_not_found(self, user: Member, other_user: Member, call: Any) -> None:
        made = await start(await make_campaign(user))
        with pytest.raises(NotFoundError):
            await call(other_user.id, made.id)
