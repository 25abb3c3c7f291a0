from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from core import database
from core.campaigns import editing, services
from core.campaigns.flight_plan import plan_campaign
from core.campaigns.pacing import Pacing
from core.campaigns.schemas import CampaignUpdate
from core.campaigns.windows import Window
from core.errors import ConflictError, InvalidInputError, NotFoundError
from tests.core.campaigns.making import Made, make_campaign, now, recipients, running, start
from tests.factories import Member


async def _leave_out(made: Made) -> None:
    """Make the first three contacts ones that get nothing."""
    first, second, third = made.contact_ids[:3]
    await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", first)
    await database.execute("UPDATE contacts SET status = 2 WHERE id = $1", second)
    await database.execute("UPDATE contacts SET number = '' WHERE id = $1", third)


class TestAudience:
    async def test_leaves_out_whom_the_freeze_leaves_out(self, user: Member) -> None:
        made = await make_campaign(user, contacts=6)
        await _leave_out(made)
        plan = await plan_campaign(user.id, made.id)
        assert plan.excluded == {"opted_out": 1, "contact_inactive": 1, "no_number": 1}
        assert (plan.contacts, plan.included, plan.messages) == (6, 3, 3)
        await start(made)
        reasons = sorted(row["reason"] for row in await recipients(made.id) if row["state"] == "skipped")
        assert reasons == sorted(plan.excluded)
        assert (await plan_campaign(user.id, made.id)).excluded == plan.excluded

    async def test_leaves_out_what_the_plan_has_no_room_for(self, user: Member) -> None:
        made = await make_campaign(user, contacts=5, messages=("a", "b"), plan={"monthly_messages": 5})
        plan = await plan_campaign(user.id, made.id)
        assert (plan.excluded, plan.messages) == ({"over_plan": 3}, 4)

    async def test_writes_nothing(self, user: Member) -> None:
        made = await make_campaign(user)
        await plan_campaign(user.id, made.id)
        assert await recipients(made.id) == []


class TestDays:
    async def test_a_cap_spreads_the_messages_over_days(self, user: Member) -> None:
        made = await make_campaign(user, contacts=10, pacing=Pacing(per_day=4))
        begin = await now() + timedelta(days=1)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=begin))
        plan = await plan_campaign(user.id, made.id)
        assert [day.messages for day in plan.numbers[0].days] == [4, 4, 2]
        assert [reason.code for reason in plan.numbers[0].reasons] == ["number_day_cap"]
        assert plan.begins_at == begin

    async def test_a_later_step_waits_for_its_delay(self, user: Member) -> None:
        made = await make_campaign(user, contacts=1, messages=("a", "b"), delays=(0, 3_600))
        plan = await plan_campaign(user.id, made.id)
        assert plan.messages == 2
        assert plan.begins_at is not None
        assert plan.ends_at is not None
        assert plan.ends_at - plan.begins_at == timedelta(hours=1)

    async def test_nothing_lies_outside_the_windows(self, user: Member) -> None:
        rules = Pacing(delay_min=600, delay_max=900, windows=(Window("09:00", "12:00"),))
        made = await make_campaign(user, contacts=50, numbers=2, pacing=rules)
        plan = await plan_campaign(user.id, made.id)
        zone = await database.fetch_value("SELECT timezone FROM users WHERE id = $1", user.id)
        hours = [
            moment.astimezone(ZoneInfo(str(zone))).hour
            for number in plan.numbers
            for day in number.days
            for moment in (day.begins_at, day.ends_at)
        ]
        assert set(hours) <= {9, 10, 11}
        assert sum(number.messages for number in plan.numbers) == 50
        assert "outside_window" in {reason.code for reason in plan.numbers[0].reasons}

    async def test_the_rest_is_unplanned_where_nobody_may_send(self, user: Member) -> None:
        made = await make_campaign(user)
        await database.execute("UPDATE numbers SET status = false WHERE id = $1", made.number_ids[0])
        plan = await plan_campaign(user.id, made.id)
        assert (plan.messages, plan.unplanned, plan.ends_at) == (0, 3, None)
        assert [reason.code for reason in plan.numbers[0].reasons] == ["number_inactive"]

    async def test_a_number_not_connected_is_planned_as_if_it_were(self, user: Member) -> None:
        made = await make_campaign(user)
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        plan = await plan_campaign(user.id, made.id)
        assert plan.messages == 3
        assert plan.numbers[0].reasons[0].code == "number_disconnected"

    async def test_of_one_that_waits_for_its_connection_is_all_of_it(self, user: Member) -> None:
        made = await make_campaign(user, contacts=3)
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        await services.start_campaign(user.id, made.id)
        assert (await plan_campaign(user.id, made.id)).messages == 3

    async def test_of_a_campaign_that_cannot_be_read_is_nothing(self, user: Member) -> None:
        made = await running(user, contacts=2)
        await database.execute("UPDATE messages SET content = '{{ nome | gone }}' WHERE campaign_id = $1", made.id)
        planned = await plan_campaign(user.id, made.id)
        assert (planned.numbers, planned.messages, planned.unplanned) == ([], 0, 2)

    async def test_of_a_running_one_is_what_remains(self, user: Member) -> None:
        made = await running(user, contacts=3)
        first = (await recipients(made.id))[0]["id"]
        await database.execute("UPDATE message_by_contacts SET state = 'sent' WHERE id = $1", first)
        assert (await plan_campaign(user.id, made.id)).messages == 2


class TestRefused:
    async def test_another_tenants(self, user: Member, other_user: Member) -> None:
        made = await make_campaign(user)
        with pytest.raises(NotFoundError):
            await plan_campaign(other_user.id, made.id)

    async def test_a_draft_without_a_text(self, user: Member) -> None:
        made = await make_campaign(user)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(messages=()))
        with pytest.raises(InvalidInputError):
            await plan_campaign(user.id, made.id)

    async def test_one_that_was_cancelled(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.cancel_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await plan_campaign(user.id, made.id)

    async def test_while_the_audience_is_written_down(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        with pytest.raises(ConflictError):
            await plan_campaign(user.id, made.id)


async def test_the_route_speaks_the_callers_language(tenant: httpx.AsyncClient, user: Member) -> None:
    made = await make_campaign(user, contacts=3, pacing=Pacing(delay_min=5, delay_max=5))
    answer = await tenant.get(f"/api/campaigns/{made.id}/plan", headers={"Accept-Language": "es"})
    assert answer.status_code == 200
    assert answer.json()["data"]["numbers"][0]["reasons"][0]["text"] == "La pausa entre dos mensajes."
