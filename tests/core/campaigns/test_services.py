from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core import database
from core.campaigns import services
from core.campaigns.claims import Claimed
from core.campaigns.completion import complete_finished
from core.campaigns.pacing import DEFAULT_PACING, Pacing
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate, MessageCreate
from core.campaigns.skipping import skip_strays
from core.campaigns.tables import CampaignType, RecipientState
from core.campaigns.transitions import FROM_IN_DOUBT, FROM_LEASED
from core.errors import ConflictError, InvalidInputError, NotFoundError, PlanLimitError
from tests.core.campaigns.making import (
    Made,
    campaign_row,
    claim_all,
    counted,
    counters,
    give_plan,
    lane_row,
    make_campaign,
    make_number,
    now,
    recipients,
    run_jobs,
    running,
    settle_rows,
    standing,
    start,
    states,
)
from tests.factories import Member

UNKNOWN: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.UNKNOWN, "reason": "timeout"}
FAILED: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.FAILED, "reason": "busy", "burnt": 1}
SENT: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.SENT}


async def _leased(user: Member, **wishes: Any) -> tuple[Made, list[Claimed], datetime]:
    made = await running(user, **wishes)
    moment = await now()
    return made, (await claim_all(made, moment)).claimed, moment


async def _schedule(made: Made, when: datetime | None) -> None:
    await services.update_campaign(made.user_id, made.id, CampaignUpdate(schedule_date=when))


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

    async def test_names_everything_that_is_missing(self, user: Member) -> None:
        await give_plan(user.id)
        campaign_id = await services.create_campaign(user.id, CampaignCreate(name="Empty"))
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
        campaign_id = await services.create_campaign(user.id, draft)
        with pytest.raises(InvalidInputError) as caught:
            await services.start_campaign(user.id, campaign_id)
        assert set(caught.value.errors) == {"settings.labels"}

    async def test_a_cancelled_campaign_does_not_start(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.cancel_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await services.start_campaign(user.id, made.id)


class TestSchedule:
    async def test_waits_for_its_date(self, user: Member) -> None:
        made = await make_campaign(user)
        moment = await now()
        await _schedule(made, moment + timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        assert await standing(made.id) == (1, "scheduled")
        assert await services.start_due(moment + timedelta(minutes=59)) == 0
        assert await services.start_due(moment + timedelta(minutes=61)) == 1
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
            await services.update_campaign(user.id, made.id, CampaignUpdate(messages=()))

    async def test_a_deleted_one_does_not_start(self, user: Member) -> None:
        made = await make_campaign(user)
        moment = await now()
        await _schedule(made, moment + timedelta(hours=1))
        await services.start_campaign(user.id, made.id)
        await services.delete_campaign(user.id, made.id)
        assert await services.start_due(moment + timedelta(hours=2)) == 0


class TestDrafts:
    async def test_a_type_brings_its_pacing(self, user: Member) -> None:
        await give_plan(user.id)
        for kind, pacing in (
            (CampaignType.STANDARD, DEFAULT_PACING),
            (CampaignType.SIMPLIFIED, DEFAULT_PACING),
            (CampaignType.CUSTOM, None),
        ):
            campaign_id = await services.create_campaign(user.id, CampaignCreate(name="x", type=kind))
            stored = (await campaign_row(campaign_id))["settings"]
            assert msgspec.json.decode(stored, type=CampaignSettings).pacing == pacing

    @pytest.mark.parametrize(
        ("draft", "field"),
        [
            ({"messages": (MessageCreate(content="{{ a.b }}"),)}, "messages.0.content"),
            ({"messages": (MessageCreate(content="a"), MessageCreate(content="{{"))}, "messages.1.content"),
            (
                {
                    "type": CampaignType.SIMPLIFIED,
                    "messages": (MessageCreate(content="a"), MessageCreate(content="b")),
                },
                "messages",
            ),
            ({"number_ids": (2**40,)}, "number_ids"),
            ({"public_id": 2**40}, "public_id"),
            ({"type": CampaignType.BY_LABELS, "public_id": 2**40}, "public_id"),
            (
                {"settings": CampaignSettings(pacing=Pacing(delay_min=5, delay_max=2))},
                "settings.pacing.delay_max",
            ),
            (
                {
                    "settings": msgspec.convert(
                        {"pacing": {"windows": [{"start": "10:00", "end": "09:00"}]}}, CampaignSettings
                    )
                },
                "settings.pacing.windows.0.end",
            ),
            ({"settings": msgspec.convert({"labels": {"any": [2**40]}}, CampaignSettings)}, "settings.labels"),
        ],
    )
    async def test_what_cannot_work_is_named(self, user: Member, draft: dict[str, Any], field: str) -> None:
        await give_plan(user.id)
        with pytest.raises(InvalidInputError) as caught:
            await services.create_campaign(user.id, CampaignCreate(name="x", **draft))
        assert set(caught.value.errors) == {field}

    async def test_a_refused_draft_leaves_nothing(self, user: Member) -> None:
        await give_plan(user.id)
        with pytest.raises(InvalidInputError):
            await services.create_campaign(user.id, CampaignCreate(name="x", public_id=2**40))
        assert await database.fetch_value("SELECT count(*) FROM campaigns WHERE user_id = $1", user.id) == 0

    async def test_the_plan_limits_how_many(self, user: Member) -> None:
        await give_plan(user.id, campaigns_limit=1)
        await services.create_campaign(user.id, CampaignCreate(name="x"))
        with pytest.raises(PlanLimitError):
            await services.create_campaign(user.id, CampaignCreate(name="x"))

    async def test_another_tenants_number_is_none(self, user: Member, other_user: Member) -> None:
        await give_plan(user.id)
        theirs = await make_number(other_user.id)
        with pytest.raises(InvalidInputError, match="There is no number"):
            await services.create_campaign(user.id, CampaignCreate(name="x", number_ids=(theirs,)))

    async def test_a_change_keeps_the_rest(self, user: Member) -> None:
        made = await make_campaign(user, messages=("a", "b"), delays=(0, 60))
        before = await campaign_row(made.id)
        await services.update_campaign(user.id, made.id, CampaignUpdate(name="New"))
        after = await campaign_row(made.id)
        changed = {name for name in before.keys() if before[name] != after[name]}  # noqa: SIM118 - a record's names
        assert changed == {"name", "version", "updated_at"}

    async def test_a_running_campaign_does_not_change(self, user: Member) -> None:
        made = await running(user)
        with pytest.raises(ConflictError):
            await services.update_campaign(user.id, made.id, CampaignUpdate(name="New"))


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
        made, rows, moment = await _leased(user, messages=("a", "b"), delays=(0, 60))
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
        made, rows, moment = await _leased(user)
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


class TestDelete:
    async def test_hides_a_draft(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.delete_campaign(user.id, made.id)
        with pytest.raises(NotFoundError):
            await services.start_campaign(user.id, made.id)

    async def test_not_while_it_sends_or_is_paused(self, user: Member) -> None:
        made = await running(user)
        with pytest.raises(ConflictError):
            await services.delete_campaign(user.id, made.id)
        await services.pause_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await services.delete_campaign(user.id, made.id)


class TestRetry:
    async def test_makes_failed_rows_pending_with_five_new_tries(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows[:2], moment, **{**FAILED, "burnt": 5})
        await settle_rows(rows[2:], moment, **SENT)
        await complete_finished(moment)
        assert await services.retry_failed(user.id, made.id) == 2
        found = await recipients(made.id)
        assert await states(made.id) == ["pending:retried_by_user"] * 2 + ["sent"]
        assert [(row["failures"], row["first_attempt_at"]) for row in found[:2]] == [(0, None)] * 2
        assert await standing(made.id) == (2, "sending")
        assert (await campaign_row(made.id))["completed_at"] is None
        assert await counters(made.id) == {"sent": 1}
        assert len((await claim_all(made, await now())).claimed) == 2

    async def test_gives_their_later_steps_back(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1, messages=("a", "b"))
        await settle_rows(rows, moment, **FAILED)
        await services.retry_failed(user.id, made.id)
        assert await states(made.id) == ["pending:retried_by_user", "pending"]
        await settle_rows((await claim_all(made, await now())).claimed, await now(), **SENT)
        assert [row.message_id for row in (await claim_all(made, await now())).claimed] == made.message_ids[1:]

    async def test_leaves_what_was_skipped_alone(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **{**FAILED, "state": RecipientState.SKIPPED, "reason": "no_whatsapp"})
        await complete_finished(moment)
        assert await services.retry_failed(user.id, made.id) == 0
        assert await standing(made.id) == (4, "completed")

    async def test_of_a_paused_campaign_waits_for_its_resumption(self, user: Member) -> None:
        made, rows, moment = await _leased(user)
        await settle_rows(rows, moment, **FAILED)
        await services.pause_campaign(user.id, made.id)
        assert await services.retry_failed(user.id, made.id) == 3
        assert await standing(made.id) == (3, "paused_by_user")

    @pytest.mark.parametrize("status", [1, 5, 6])
    async def test_otherwise_is_a_conflict(self, user: Member, status: int) -> None:
        made = await running(user)
        await database.execute("UPDATE campaigns SET status = $2 WHERE id = $1", made.id, status)
        with pytest.raises(ConflictError):
            await services.retry_failed(user.id, made.id)


class TestResolve:
    async def test_assumed_sent_counts_as_sent(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await services.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await states(made.id) == ["sent:assumed_sent"]
        assert await counters(made.id) == {"sent": 1}
        assert await complete_finished(await now()) == [made.id]

    async def test_assumed_sent_lets_the_next_step_go(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1, messages=("a", "b"))
        await settle_rows(rows, moment, **UNKNOWN)
        await complete_finished(moment)
        await services.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (2, "sending")
        assert len((await claim_all(made, await now())).claimed) == 1

    async def test_after_the_end_the_skipped_steps_go_too(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1, messages=("a", "b"))
        await settle_rows(rows, moment, **UNKNOWN)
        assert await complete_finished(moment + timedelta(hours=25)) == [made.id]
        await services.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (2, "sending")
        assert await states(made.id) == ["sent:assumed_sent", "pending"]
        assert len((await claim_all(made, await now())).claimed) == 1
        assert await counters(made.id) == await counted(made.id)

    async def test_without_later_steps_the_end_stays(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await complete_finished(moment + timedelta(hours=25))
        await services.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (4, "completed_with_unknown")

    async def test_a_retry_sends_again_by_the_same_number(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1, numbers=2)
        await settle_rows(rows, moment, **UNKNOWN)
        await services.resolve_recipient(user.id, made.id, rows[0].id, "retry")
        assert await states(made.id) == ["pending:retried_by_user"]
        assert [row.number_id for row in (await claim_all(made, await now())).claimed] == [rows[0].number_id]

    @pytest.mark.parametrize("action", ["retry", "assume_sent"])
    async def test_a_row_that_is_being_looked_up_is_a_conflict(self, user: Member, action: str) -> None:
        made, rows, moment = await _leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN, look_at=moment)
        with pytest.raises(ConflictError):
            await services.resolve_recipient(user.id, made.id, rows[0].id, action)

    @pytest.mark.parametrize("action", ["retry", "assume_sent"])
    async def test_a_settled_row_is_a_conflict(self, user: Member, action: str) -> None:
        made, rows, moment = await _leased(user, contacts=1)
        await settle_rows(rows, moment, allowed=FROM_IN_DOUBT, state=RecipientState.ACCEPTED)
        with pytest.raises(ConflictError):
            await services.resolve_recipient(user.id, made.id, rows[0].id, action)

    async def test_a_cancelled_campaign_sends_nothing_again(self, user: Member) -> None:
        made, rows, moment = await _leased(user, contacts=1)
        await settle_rows(rows, moment, **UNKNOWN)
        await services.cancel_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await services.resolve_recipient(user.id, made.id, rows[0].id, "retry")
        await services.resolve_recipient(user.id, made.id, rows[0].id, "assume_sent")
        assert await standing(made.id) == (5, "canceled_by_user")
        assert await states(made.id) == ["sent:assumed_sent"]

    async def test_another_campaigns_row_is_not_found(self, user: Member) -> None:
        made, rows, _ = await _leased(user, contacts=1)
        other = await running(user, contacts=0)
        with pytest.raises(NotFoundError):
            await services.resolve_recipient(user.id, other.id, rows[0].id, "retry")
        assert made.id != other.id


class TestTenants:
    @pytest.mark.parametrize(
        "call",
        [
            services.start_campaign,
            services.pause_campaign,
            services.resume_campaign,
            services.cancel_campaign,
            services.delete_campaign,
            services.retry_failed,
        ],
    )
    async def test_another_tenants_campaign_is_not_found(self, user: Member, other_user: Member, call: Any) -> None:
        made = await start(await make_campaign(user))
        with pytest.raises(NotFoundError):
            await call(other_user.id, made.id)


def test_the_moment_of_a_schedule_has_its_offset() -> None:
    with pytest.raises(msgspec.ValidationError, match="schedule_date"):
        msgspec.convert({"name": "x", "schedule_date": "2026-12-24T09:00:00"}, CampaignCreate)
    given = msgspec.convert({"name": "x", "schedule_date": "2026-12-24T09:00:00-03:00"}, CampaignCreate)
    assert given.schedule_date == datetime(2026, 12, 24, 12, tzinfo=UTC)
