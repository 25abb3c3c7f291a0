from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core import database
from core.campaigns import editing, services
from core.campaigns.pacing import DEFAULT_PACING, Pacing
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate, MessageCreate
from core.campaigns.tables import CampaignType
from core.contacts.variables import remember_names
from core.errors import ConflictError, InvalidInputError, NotFoundError, PlanLimitError
from tests.core.campaigns.making import (
    SENT,
    UNKNOWN,
    campaign_row,
    claim_all,
    give_plan,
    lane_row,
    leased,
    make_campaign,
    make_number,
    now,
    recipients,
    running,
    settle_rows,
    standing,
    states,
)
from tests.factories import Member


class TestDrafts:
    async def test_a_type_brings_its_pacing(self, user: Member) -> None:
        await give_plan(user.id)
        for kind, pacing in (
            (CampaignType.STANDARD, DEFAULT_PACING),
            (CampaignType.SIMPLIFIED, DEFAULT_PACING),
            (CampaignType.CUSTOM, None),
        ):
            campaign_id = await editing.create_campaign(user.id, CampaignCreate(name="x", type=kind))
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
            await editing.create_campaign(user.id, CampaignCreate(name="x", **draft))
        assert set(caught.value.errors) == {field}

    async def test_a_refused_draft_leaves_nothing(self, user: Member) -> None:
        await give_plan(user.id)
        with pytest.raises(InvalidInputError):
            await editing.create_campaign(user.id, CampaignCreate(name="x", public_id=2**40))
        assert await database.fetch_value("SELECT count(*) FROM campaigns WHERE user_id = $1", user.id) == 0

    async def test_the_plan_limits_how_many(self, user: Member) -> None:
        await give_plan(user.id, campaigns_limit=1)
        await editing.create_campaign(user.id, CampaignCreate(name="x"))
        with pytest.raises(PlanLimitError):
            await editing.create_campaign(user.id, CampaignCreate(name="x"))

    async def test_another_tenants_number_is_none(self, user: Member, other_user: Member) -> None:
        await give_plan(user.id)
        theirs = await make_number(other_user.id)
        with pytest.raises(InvalidInputError, match="There is no number"):
            await editing.create_campaign(user.id, CampaignCreate(name="x", number_ids=(theirs,)))

    async def test_a_change_keeps_the_rest(self, user: Member) -> None:
        made = await make_campaign(user, messages=("a", "b"), delays=(0, 60))
        before = await campaign_row(made.id)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(name="New"))
        after = await campaign_row(made.id)
        changed = {name for name in before.keys() if before[name] != after[name]}  # noqa: SIM118 - a record's names
        assert changed == {"name", "version", "updated_at"}


async def _changed(user: Member, campaign_id: int, **changes: Any) -> dict[str, list[str]]:
    """Return what is wrong with a change, by field."""
    with pytest.raises(InvalidInputError) as caught:
        await editing.update_campaign(user.id, campaign_id, CampaignUpdate(**changes))
    return {field: [str(problem) for problem in problems] for field, problems in caught.value.errors.items()}


class TestBegun:
    async def test_a_new_text_is_for_what_is_not_leased_yet(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=2)
        del rows, moment
        before = await recipients(made.id)
        await editing.update_campaign(
            user.id, made.id, CampaignUpdate(messages=(MessageCreate(content="Olá {{ nome }}", delay=5),))
        )
        assert await recipients(made.id) == before
        row = await database.fetch_row("SELECT * FROM messages WHERE campaign_id = $1", made.id)
        assert row is not None
        assert (row["id"], row["content"], row["delay"]) == (made.message_ids[0], "Olá {{ nome }}", 5)

    async def test_is_seen_by_whoever_holds_the_lane(self, user: Member) -> None:
        made = await running(user)
        before = await lane_row(made.number_ids[0])
        version = (await campaign_row(made.id))["version"]
        await editing.update_campaign(user.id, made.id, CampaignUpdate(name="New"))
        assert (await lane_row(made.number_ids[0]))["wakes"] == before["wakes"] + 1
        assert (await campaign_row(made.id))["version"] == version + 1

    async def test_a_paused_one_changes_and_stays_paused(self, user: Member) -> None:
        made = await running(user)
        await services.pause_campaign(user.id, made.id)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(name="New"))
        assert await standing(made.id) == (3, "paused_by_user")

    async def test_its_audience_and_date_stay(self, user: Member) -> None:
        made = await running(user)
        moment = await now() + timedelta(days=1)
        told = "Cannot change once the campaign has begun."
        assert await _changed(user, made.id, public_id=None, schedule_date=moment) == {
            "public_id": ["Choose an audience."]
        }
        assert await _changed(user, made.id, schedule_date=moment) == {"schedule_date": [told]}

    async def test_its_messages_stay_as_many(self, user: Member) -> None:
        made = await running(user)
        two = (MessageCreate(content="a"), MessageCreate(content="b"))
        assert set(await _changed(user, made.id, messages=two)) == {"messages"}

    async def test_a_variable_that_was_not_frozen_is_refused(self, user: Member) -> None:
        await remember_names(user.id, ("cidade",))
        made = await running(user)
        assert await _changed(user, made.id, messages=(MessageCreate(content="{{ cidade }}"),)) == {
            "messages.0.content": ["The variable cidade was not written down when the campaign began: use nome."]
        }

    async def test_whose_clock_the_windows_go_by_stays(self, user: Member) -> None:
        made = await running(user)
        settings = CampaignSettings(pacing=Pacing(window_zone="recipient"))
        assert set(await _changed(user, made.id, settings=settings)) == {"settings.pacing.window_zone"}

    @pytest.mark.parametrize("status", [4, 5, 6])
    async def test_one_that_is_over_does_not_change(self, user: Member, status: int) -> None:
        made = await running(user)
        await database.execute("UPDATE campaigns SET status = $2 WHERE id = $1", made.id, status)
        with pytest.raises(ConflictError):
            await editing.update_campaign(user.id, made.id, CampaignUpdate(name="New"))

    async def test_what_waited_for_a_number_taken_out_goes_to_the_others(self, user: Member) -> None:
        made = await running(user, contacts=2, numbers=2)
        await database.execute("UPDATE message_by_contacts SET number_id = $1", made.number_ids[0])
        await editing.update_campaign(user.id, made.id, CampaignUpdate(number_ids=(made.number_ids[1],)))
        assert [row["number_id"] for row in await recipients(made.id)] == [None, None]
        made.number_ids = made.number_ids[1:]
        assert len((await claim_all(made, await now())).claimed) == 2

    async def test_a_number_with_messages_in_doubt_stays(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, numbers=2)
        first, second = made.number_ids
        told = f"Number {first} has messages on their way or in doubt: resolve them first."
        assert await _changed(user, made.id, number_ids=(second,)) == {"number_ids": [told]}
        await settle_rows(rows, moment, **UNKNOWN)
        assert await _changed(user, made.id, number_ids=(second,)) == {"number_ids": [told]}
        await database.execute("UPDATE message_by_contacts SET state = 'sent'")
        await editing.update_campaign(user.id, made.id, CampaignUpdate(number_ids=(second,)))


class TestDelete:
    async def test_hides_a_draft(self, user: Member) -> None:
        made = await make_campaign(user)
        await editing.delete_campaign(user.id, made.id)
        with pytest.raises(NotFoundError):
            await services.start_campaign(user.id, made.id)

    async def test_not_while_it_sends_or_is_paused(self, user: Member) -> None:
        made = await running(user)
        with pytest.raises(ConflictError):
            await editing.delete_campaign(user.id, made.id)
        await services.pause_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await editing.delete_campaign(user.id, made.id)


class TestDuplicate:
    async def test_has_everything_but_date_and_results(self, user: Member) -> None:
        made, rows, moment = await leased(user, contacts=1, messages=("a", "b"), delays=(0, 60))
        await settle_rows(rows, moment, **SENT)
        copy_id = await editing.duplicate_campaign(user.id, made.id)
        copy, original = await campaign_row(copy_id), await campaign_row(made.id)
        same = ("type", "number_id", "public_id", "settings", "user_id")
        assert {name: copy[name] for name in same} == {name: original[name] for name in same}
        assert (copy["name"], copy["status"], copy["status_reason"], copy["total"]) == ("Test (2)", 1, "draft", 0)
        assert (copy["schedule_date"], copy["started_at"], copy["frozen_at"]) == (None, None, None)
        assert await states(copy_id) == []

    async def test_a_long_name_keeps_its_end(self, user: Member) -> None:
        made = await make_campaign(user)
        await database.execute("UPDATE campaigns SET name = $2 WHERE id = $1", made.id, "x" * 160)
        copy = await campaign_row(await editing.duplicate_campaign(user.id, made.id))
        assert copy["name"] == "x" * 156 + " (2)"

    async def test_counts_against_the_plan(self, user: Member) -> None:
        made = await make_campaign(user)
        await give_plan(user.id, campaigns_limit=1)
        with pytest.raises(PlanLimitError):
            await editing.duplicate_campaign(user.id, made.id)

    async def test_of_one_whose_audience_is_gone_says_so(self, user: Member) -> None:
        made = await make_campaign(user)
        await database.execute("UPDATE publics SET deleted_at = now() WHERE id = $1", made.public_id)
        with pytest.raises(InvalidInputError) as caught:
            await editing.duplicate_campaign(user.id, made.id)
        assert set(caught.value.errors) == {"public_id"}

    async def test_of_another_tenant_is_not_found(self, user: Member, other_user: Member) -> None:
        made = await make_campaign(user)
        await give_plan(other_user.id)
        with pytest.raises(NotFoundError):
            await editing.duplicate_campaign(other_user.id, made.id)


class TestDates:
    @pytest.mark.parametrize(
        ("zone", "expected"),
        [
            (None, datetime(2026, 12, 24, 12, tzinfo=UTC)),
            ("Europe/Lisbon", datetime(2026, 12, 24, 9, tzinfo=UTC)),
        ],
    )
    async def test_without_an_offset_is_a_time_of_its_zone_else_of_the_account(
        self, user: Member, zone: str | None, expected: datetime
    ) -> None:
        await give_plan(user.id)
        await database.execute("UPDATE users SET timezone = 'America/Sao_Paulo' WHERE id = $1", user.id)
        given: dict[str, Any] = {"name": "x", "schedule_date": "2026-12-24T09:00:00"}
        if zone is not None:
            given["settings"] = {"schedule": {"timezone": zone}}
        campaign_id = await editing.create_campaign(user.id, msgspec.convert(given, CampaignCreate))
        assert (await campaign_row(campaign_id))["schedule_date"] == expected

    async def test_with_an_offset_is_what_it_says(self, user: Member) -> None:
        await give_plan(user.id)
        given = {"name": "x", "schedule_date": "2026-12-24T09:00:00-03:00"}
        campaign_id = await editing.create_campaign(user.id, msgspec.convert(given, CampaignCreate))
        assert (await campaign_row(campaign_id))["schedule_date"] == datetime(2026, 12, 24, 12, tzinfo=UTC)
