from datetime import datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import editing, scheduling, services
from core.campaigns.schemas import CampaignSettings, CampaignUpdate, Schedule
from tests.core.campaigns.making import Made, make_campaign, now, standing
from tests.factories import Member


async def _scheduled(user: Member, **rule: Any) -> tuple[Made, datetime]:
    """A campaign that waits for its date, an hour ahead."""
    made = await make_campaign(user)
    when = await now() + timedelta(hours=1)
    settings = CampaignSettings(schedule=Schedule(**rule))
    await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=when, settings=settings))
    await services.start_campaign(user.id, made.id)
    assert await standing(made.id) == (1, "scheduled")
    return made, when


class TestDue:
    async def test_begins_at_its_date_and_not_before(self, user: Member) -> None:
        made, when = await _scheduled(user)
        assert await scheduling.start_due(when - timedelta(microseconds=1)) == 0
        assert await scheduling.start_due(when) == 1
        assert await standing(made.id) == (2, "freezing")
        assert await scheduling.start_due(when) == 0

    async def test_a_draft_with_a_date_is_not_begun(self, user: Member) -> None:
        made = await make_campaign(user)
        moment = await now()
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=moment))
        assert await scheduling.start_due(moment) == 0

    async def test_a_date_moved_at_the_last_moment_counts(self, user: Member) -> None:
        made, when = await _scheduled(user)
        later = when + timedelta(hours=5)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=later))
        assert await scheduling.start_due(when) == 0
        assert await standing(made.id) == (1, "scheduled")


class TestMissed:
    @pytest.mark.parametrize(
        ("missed", "expected"),
        [("send", (2, "freezing")), ("skip", (5, "missed_date_skipped")), ("ask", (1, "missed_date"))],
    )
    async def test_what_is_too_late_goes_by_its_rule(
        self, user: Member, missed: str, expected: tuple[int, str]
    ) -> None:
        made, when = await _scheduled(user, missed=missed, max_lateness_minutes=30)
        await scheduling.start_due(when + timedelta(minutes=30, seconds=1))
        assert await standing(made.id) == expected

    @pytest.mark.parametrize("missed", ["send", "skip", "ask"])
    async def test_what_is_just_in_time_is_begun(self, user: Member, missed: str) -> None:
        made, when = await _scheduled(user, missed=missed, max_lateness_minutes=30)
        await scheduling.start_due(when + timedelta(minutes=30))
        assert await standing(made.id) == (2, "freezing")

    async def test_without_a_rule_the_owner_is_asked_after_an_hour(self, user: Member) -> None:
        made, when = await _scheduled(user)
        await scheduling.start_due(when + timedelta(minutes=60, seconds=1))
        assert await standing(made.id) == (1, "missed_date")

    async def test_the_owner_may_still_start_it(self, user: Member) -> None:
        made, when = await _scheduled(user)
        await scheduling.start_due(when + timedelta(days=1))
        await database.execute("UPDATE campaigns SET schedule_date = now() - interval '1 day' WHERE id = $1", made.id)
        await services.start_campaign(user.id, made.id)
        assert await standing(made.id) == (2, "freezing")
