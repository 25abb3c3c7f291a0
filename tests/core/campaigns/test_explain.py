import ast
import inspect
from datetime import timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import completion, freeze, pacing, restored, services
from core.campaigns.completion import complete_finished
from core.campaigns.explain import TEXTS, explain
from core.campaigns.pacing import Pacing, Window
from core.campaigns.schemas import CampaignUpdate, Explanation
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED
from core.errors import NotFoundError
from core.numbers import senders
from tests.core.campaigns.making import (
    Made,
    claim_all,
    insert,
    make_campaign,
    now,
    recipients,
    running,
    settle_rows,
    start,
)
from tests.factories import Member


async def _explain(made: Made) -> Explanation:
    return await explain(made.user_id, made.id)


async def _codes(made: Made) -> list[str]:
    found = await _explain(made)
    for blocker in found.reasons:
        assert blocker.text == TEXTS[blocker.code]
    return [blocker.code for blocker in found.reasons]


class TestStatus:
    async def test_of_a_draft(self, user: Member) -> None:
        made = await make_campaign(user)
        found = await _explain(made)
        assert (await _codes(made), found.sending, found.next_due_at) == (["draft"], False, None)

    async def test_a_date_without_a_start_says_nothing_of_a_next_message(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=await now()))
        assert (await _explain(made)).next_due_at is None

    async def test_of_a_scheduled_one(self, user: Member) -> None:
        made = await make_campaign(user)
        when = await now() + timedelta(hours=1)
        await services.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=when))
        await services.start_campaign(user.id, made.id)
        assert await _codes(made) == ["scheduled"]
        assert (await _explain(made)).next_due_at == when

    async def test_of_a_paused_one(self, user: Member) -> None:
        made = await running(user)
        await services.pause_campaign(user.id, made.id)
        assert await _codes(made) == ["paused_by_user"]

    async def test_of_a_cancelled_one(self, user: Member) -> None:
        made = await running(user)
        await services.cancel_campaign(user.id, made.id)
        assert await _codes(made) == ["canceled_by_user"]

    async def test_of_a_completed_one(self, user: Member) -> None:
        made = await running(user, contacts=0)
        assert await _codes(made) == ["completing"]
        await complete_finished(await now())
        assert await _codes(made) == ["completed"]

    async def test_while_the_audience_is_written_down(self, user: Member) -> None:
        made = await make_campaign(user)
        await services.start_campaign(user.id, made.id)
        assert await _codes(made) == ["freezing"]

    async def test_another_tenants_is_not_found(self, user: Member, other_user: Member) -> None:
        made = await make_campaign(user)
        with pytest.raises(NotFoundError):
            await explain(other_user.id, made.id)


class TestSending:
    async def test_when_nothing_stands_in_the_way(self, user: Member) -> None:
        made = await running(user)
        found = await _explain(made)
        assert (found.sending, found.reasons) == (True, [])
        assert found.next_due_at is not None
        assert found.next_due_at <= await now()

    async def test_one_number_that_may_send_is_enough(self, user: Member) -> None:
        made = await running(user, numbers=2)
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        found = await _explain(made)
        assert found.sending
        assert [(blocker.code, blocker.number_id) for blocker in found.reasons] == [
            ("number_disconnected", made.number_ids[0])
        ]

    async def test_a_number_without_rows_of_its_own_is_none(self, user: Member) -> None:
        made = await running(user, numbers=2)
        await database.execute("UPDATE message_by_contacts SET number_id = $1", made.number_ids[0])
        await database.execute("UPDATE numbers SET status_connection = false WHERE id = $1", made.number_ids[0])
        assert not (await _explain(made)).sending
        assert await _codes(made) == ["number_disconnected"]


class TestNumbers:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ("UPDATE numbers SET status_connection = false WHERE user_id = $1", "number_disconnected"),
            ("UPDATE numbers SET status = false WHERE user_id = $1", "number_inactive"),
            ("UPDATE users SET due_access_at = now() WHERE id = $1", "access_ended"),
            ("UPDATE users SET status = 'inactive' WHERE id = $1", "tenant_suspended"),
            ("UPDATE servers SET provider = 'gone' WHERE $1::bigint > 0", "no_route"),
        ],
    )
    async def test_stopped(self, user: Member, change: str, code: str) -> None:
        made = await running(user)
        await database.execute(change, user.id)
        senders.forget()
        found = await _explain(made)
        assert (await _codes(made), found.sending, found.next_due_at) == ([code], False, None)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ("UPDATE numbers SET restricted_until = $2 WHERE user_id = $1", "number_restricted"),
            ("UPDATE lanes SET open_until = $2 WHERE user_id = $1", "breaker_open"),
            ("UPDATE lanes SET pause_until = $2 WHERE user_id = $1", "pause"),
        ],
    )
    async def test_waiting(self, user: Member, change: str, code: str) -> None:
        made = await running(user)
        until = await now() + timedelta(minutes=5)
        await database.execute(change, user.id, until)
        found = await _explain(made)
        assert (await _codes(made), found.sending, found.next_due_at) == ([code], False, until)

    async def test_outside_the_window(self, user: Member) -> None:
        await database.execute("UPDATE users SET timezone = 'UTC' WHERE id = $1", user.id)
        moment = await now()
        tomorrow = (moment.weekday() + 1) % 7
        made = await running(user, pacing=Pacing(windows=(Window("00:00", "24:00", (tomorrow,)),)))
        assert await _codes(made) == ["outside_window"]
        due_at = (await _explain(made)).next_due_at
        assert due_at is not None
        assert due_at.date() == (moment + timedelta(days=1)).date()

    @pytest.mark.parametrize(
        ("rules", "scope", "code"),
        [
            ({"per_hour": 1}, "number", "number_hour_cap"),
            ({"per_day": 1}, "number", "number_day_cap"),
            ({"campaign_per_day": 1}, "campaign", "campaign_day_cap"),
            ({}, "plan", "plan_cap"),
        ],
    )
    async def test_caps(self, user: Member, rules: dict[str, Any], scope: str, code: str) -> None:
        made = await running(user, pacing=Pacing(**rules), plan={"monthly_messages": 3})
        await _explain(made)
        await database.execute("UPDATE send_counters SET used = 3 WHERE scope = $1", scope)
        found = await _explain(made)
        assert (await _codes(made), found.sending) == ([code], False)
        assert found.next_due_at is not None

    async def test_a_young_number(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(warm_up=True))
        await database.execute("UPDATE numbers SET first_connected_at = now() WHERE user_id = $1", user.id)
        await _explain(made)
        await database.execute("UPDATE send_counters SET used = 20 WHERE scope = 'number'")
        assert await _codes(made) == ["warm_up_cap"]


async def _claimed(user: Member, **wishes: Any) -> tuple[Made, Any]:
    made = await running(user, **wishes)
    return made, (await claim_all(made, await now())).claimed


class TestRows:
    async def test_on_their_way(self, user: Member) -> None:
        made, _ = await _claimed(user)
        assert await _codes(made) == ["in_flight"]
        assert (await _explain(made)).sending

    async def test_waiting_for_their_acknowledgement(self, user: Member) -> None:
        made, rows = await _claimed(user)
        await settle_rows(rows, await now(), allowed=FROM_LEASED, state=RecipientState.ACCEPTED)
        assert await _codes(made) == ["waiting_for_acknowledgement"]

    async def test_waiting_for_the_delay_of_a_step(self, user: Member) -> None:
        made, rows = await _claimed(user, messages=("a", "b"), delays=(0, 600))
        await settle_rows(rows, await now(), allowed=FROM_LEASED, state=RecipientState.SENT)
        assert await _codes(made) == ["waiting_for_delay"]
        assert (await _explain(made)).next_due_at == (await recipients(made.id))[-1]["due_at"]

    async def test_in_doubt(self, user: Member) -> None:
        made, rows = await _claimed(user)
        await settle_rows(rows, await now(), allowed=FROM_LEASED, state=RecipientState.UNKNOWN)
        await complete_finished(await now())
        assert await _codes(made) == ["needs_attention"]

    async def test_in_doubt_and_then_sent_again(self, user: Member) -> None:
        made, rows = await _claimed(user, contacts=1)
        moment = await now()
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN)
        await complete_finished(moment)
        await settle_rows(rows, moment, allowed=32, state=RecipientState.PENDING, due_at=moment - timedelta(seconds=1))
        assert (await _explain(made)).sending

    async def test_without_a_number(self, user: Member) -> None:
        made = await running(user)
        await database.execute("DELETE FROM campaign_numbers")
        assert await _codes(made) == ["no_number"]


class TestTexts:
    def test_every_reason_of_decide_has_one(self) -> None:
        words = {
            node.value
            for node in ast.walk(ast.parse(inspect.getsource(pacing)))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _looks_like_a_reason(node.value)
        }
        decided = {
            "access_ended", "breaker_open", "campaign_day_cap", "number_day_cap", "number_disconnected",
            "number_hour_cap", "number_inactive", "number_restricted", "outside_window", "plan_cap",
            "tenant_suspended", "warm_up_cap",
        }  # fmt: skip
        assert words == decided
        assert decided | {"pause"} <= TEXTS.keys()

    def test_every_status_reason_has_one(self) -> None:
        written = {
            node.value
            for module in (completion, freeze, restored, services)
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        reasons = {
            "draft", "scheduled", "freezing", "paused_by_user", "canceled_by_user", "completed",
            "completed_with_unknown", "needs_attention", "audience_gone", "database_restored",
        }  # fmt: skip
        assert all(any(reason in text for text in written) for reason in reasons)
        assert reasons <= TEXTS.keys()


def _looks_like_a_reason(text: str) -> bool:
    return "_" in text and text.isidentifier() and text.islower()


async def test_a_freeze_that_goes_on_says_so_beside_the_rest(user: Member) -> None:
    made = await start(await make_campaign(user))
    await database.execute("UPDATE campaigns SET frozen_at = NULL WHERE id = $1", made.id)
    await database.execute("UPDATE numbers SET status_connection = false WHERE user_id = $1", user.id)
    assert await _codes(made) == ["freezing", "number_disconnected"]


async def test_a_blocked_contact_is_no_reason(user: Member) -> None:
    made = await running(user, contacts=1)
    await insert("block_contacts", user_id=user.id, number=made.phones[0])
    assert (await _explain(made)).sending
