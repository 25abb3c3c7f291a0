import ast
import inspect
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from redis.asyncio import Redis

from core import database
from core.campaigns import breakers, completion, editing, freeze, pacing, restored, scheduling, services
from core.campaigns.completion import complete_finished
from core.campaigns.explain import explain, explain_recipient
from core.campaigns.pacing import Pacing
from core.campaigns.schemas import CampaignUpdate, Explanation
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED
from core.campaigns.windows import Window
from core.errors import NotFoundError
from core.heartbeat import KEY, beat
from core.numbers import senders
from core.runtime import Runtime
from core.texts import sources
from tests.core.campaigns.making import (
    Made,
    claim_all,
    hold,
    insert,
    make_campaign,
    now,
    recipients,
    running,
    settle_rows,
    start,
)
from tests.factories import Member


@pytest.fixture(autouse=True)
async def _worker(runtime: Runtime) -> None:
    await beat(runtime.redis)


async def _explain(made: Made) -> Explanation:
    return await explain(made.user_id, made.id)


async def _codes(made: Made) -> list[str]:
    found = await _explain(made)
    for blocker in found.reasons:
        assert (blocker.text,) == sources()["blockers", blocker.code]
    return [blocker.code for blocker in found.reasons]


class TestStatus:
    async def test_of_a_draft(self, user: Member) -> None:
        made = await make_campaign(user)
        found = await _explain(made)
        assert (await _codes(made), found.sending, found.next_due_at) == (["draft"], False, None)

    async def test_a_date_without_a_start_says_nothing_of_a_next_message(self, user: Member) -> None:
        made = await make_campaign(user)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=await now()))
        assert (await _explain(made)).next_due_at is None

    async def test_of_a_scheduled_one(self, user: Member) -> None:
        made = await make_campaign(user)
        when = await now() + timedelta(hours=1)
        await editing.update_campaign(user.id, made.id, CampaignUpdate(schedule_date=when))
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
            ({"campaign_per_hour": 1}, "campaign", "campaign_hour_cap"),
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


async def _server_of(made: Made) -> int:
    server_id = await database.fetch_value("SELECT server_id FROM numbers WHERE id = $1", made.number_ids[0])
    assert isinstance(server_id, int)
    return server_id


class TestServers:
    async def test_a_breaker_that_is_open(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        await breakers.trip(moment, await _server_of(made), 60, "down")
        found = await _explain(made)
        assert (await _codes(made), found.sending) == (["breaker_open"], False)
        assert found.next_due_at == moment + timedelta(seconds=60)

    async def test_one_that_does_not_answer_at_all(self, user: Member) -> None:
        made = await running(user)
        server_id = await _server_of(made)
        await breakers.trip(await now(), server_id, 60, "down")
        await database.execute("UPDATE servers SET status = false WHERE id = $1", server_id)
        assert await _codes(made) == ["provider_down"]

    async def test_one_whose_time_is_up_is_tried(self, user: Member) -> None:
        made = await running(user)
        await breakers.trip(await now() - timedelta(minutes=5), await _server_of(made), 60, "down")
        assert (await _explain(made)).sending


class TestPlatform:
    async def test_no_worker(self, user: Member, runtime: Runtime) -> None:
        made = await running(user)
        await runtime.redis.delete(KEY)
        found = await _explain(made)
        assert (await _codes(made), found.sending) == (["no_worker"], False)

    @pytest.mark.parametrize("held", [False, True])
    async def test_redis_away(self, user: Member, runtime: Runtime, *, held: bool) -> None:
        made = await running(user)
        if held:
            await hold(made, await now())
        before, runtime.redis = runtime.redis, Redis(host="127.0.0.1", port=9)
        try:
            found = await _explain(made)
            assert (await _codes(made), found.sending) == (["redis_down"], held)
        finally:
            await runtime.redis.aclose()
            runtime.redis = before

    async def test_are_no_reason_where_something_else_stands_in_the_way(self, user: Member, runtime: Runtime) -> None:
        made = await running(user)
        await runtime.redis.delete(KEY)
        await database.execute("UPDATE numbers SET status_connection = false WHERE user_id = $1", user.id)
        assert await _codes(made) == ["number_disconnected"]


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

    async def test_waiting_for_another_try(self, user: Member) -> None:
        made, rows = await _claimed(user)
        due_at = await now() + timedelta(minutes=1)
        await settle_rows(
            rows, await now(), allowed=FROM_LEASED, state=RecipientState.PENDING, reason="busy", due_at=due_at
        )
        found = await _explain(made)
        assert (await _codes(made), found.next_due_at) == (["waiting_for_retry"], due_at)

    @pytest.mark.parametrize("reason", ["contact_gap", "contact_day_cap", "outside_window"])
    async def test_put_off_for_the_people_themselves(self, user: Member, reason: str) -> None:
        made = await running(user)
        due_at = await now() + timedelta(hours=1)
        await database.execute("UPDATE message_by_contacts SET due_at = $1, reason = $2", due_at, reason)
        found = await _explain(made)
        assert (await _codes(made), found.next_due_at) == ([reason], due_at)

    async def test_of_people_who_wrote_to_a_restricted_number(self, user: Member) -> None:
        made = await running(user)
        await database.execute("UPDATE numbers SET restricted_until = now() + interval '1 hour'")
        await _talked(made)
        assert (await _explain(made)).sending

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


async def _talked(made: Made) -> None:
    """Have the first contact know the first number."""
    await insert(
        "conversations",
        user_id=made.user_id,
        contact_id=made.contact_ids[0],
        number_id=made.number_ids[0],
        last_inbound_at=await now(),
    )


async def _about(made: Made, place: int = 0) -> tuple[list[str], bool]:
    """Explain the campaign's recipient row at ``place``."""
    row = (await recipients(made.id))[place]
    found = await explain_recipient(made.user_id, made.id, row["id"])
    for blocker in found.reasons:
        assert (blocker.text,) == sources()["blockers", blocker.code]
    return [blocker.code for blocker in found.reasons], found.sending


class TestRecipient:
    async def test_who_is_next(self, user: Member) -> None:
        assert await _about(await running(user)) == ([], True)

    async def test_of_a_campaign_that_does_not_run(self, user: Member) -> None:
        made = await running(user)
        await services.pause_campaign(user.id, made.id)
        assert await _about(made) == (["paused_by_user"], False)

    async def test_waiting_for_the_step_before(self, user: Member) -> None:
        made = await running(user, contacts=1, messages=("a", "b"))
        assert await _about(made, 1) == (["previous_step"], False)

    async def test_on_its_way(self, user: Member) -> None:
        made, _ = await _claimed(user)
        assert await _about(made) == (["in_flight"], False)

    @pytest.mark.parametrize(
        ("state", "look_in", "code"),
        [
            (RecipientState.ACCEPTED, 300, "waiting_for_acknowledgement"),
            (RecipientState.UNKNOWN, 60, "looked_up"),
            (RecipientState.UNKNOWN, None, "needs_attention"),
            (RecipientState.SENT, None, "settled"),
            (RecipientState.FAILED, None, "settled"),
        ],
    )
    async def test_after_its_send(self, user: Member, state: RecipientState, look_in: int | None, code: str) -> None:
        made, rows = await _claimed(user, contacts=1)
        moment = await now()
        look_at = moment + timedelta(seconds=look_in) if look_in is not None else None
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=state, look_at=look_at)
        assert await _about(made) == ([code], False)
        found = await explain_recipient(user.id, made.id, rows[0].id)
        assert found.next_due_at == (look_at if code == "looked_up" else None)

    async def _had_one(self, made: Made, user: Member) -> None:
        """Let the first contact have had a message of another campaign on this day."""
        moment = await now()
        zone = await database.fetch_value("SELECT timezone FROM users WHERE id = $1", user.id)
        await database.execute(
            "INSERT INTO contact_activity (contact_id, user_id, claims, day_start, day_used, unanswered, campaign_id,"
            " last_at) VALUES ($1, $2, 1, $3, 1, 1, $4, $5)",
            made.contact_ids[0],
            user.id,
            pacing.day_start(moment, ZoneInfo(str(zone))),
            made.id + 1_000,
            moment,
        )

    @pytest.mark.parametrize(
        ("rules", "code", "waits"),
        [
            ({"contact_gap_hours": 6.0}, "contact_gap", True),
            ({"contact_per_day": 1}, "contact_day_cap", True),
            ({"unanswered_max": 1}, "unanswered_cap", False),
            ({"contact_gap_hours": 60.0}, "contact_gap", False),
        ],
    )
    async def test_who_has_had_enough(self, user: Member, rules: dict[str, Any], code: str, waits: bool) -> None:  # noqa: FBT001 - a parameter of the table
        made = await running(user, pacing=Pacing(**rules))
        await self._had_one(made, user)
        assert await _about(made) == ([code], False)
        assert await _about(made, 1) == ([], True)
        row = (await recipients(made.id))[0]
        found = await explain_recipient(user.id, made.id, row["id"])
        assert (found.next_due_at is not None) == waits

    async def test_a_stranger_to_a_restricted_number(self, user: Member) -> None:
        made = await running(user)
        await database.execute("UPDATE numbers SET restricted_until = now() + interval '1 hour'")
        await _talked(made)
        assert await _about(made) == ([], True)
        assert await _about(made, 1) == (["number_restricted"], False)

    async def test_outside_the_hours_of_the_recipient(self, user: Member) -> None:
        await database.execute("UPDATE users SET timezone = 'UTC' WHERE id = $1", user.id)
        hour = (await now()).hour
        # Tokyo is nine hours ahead: within this hour and the next it is another time there.
        open_hours = (hour, (hour + 1) % 24)
        windows = tuple(Window(f"{begin:02}:00", f"{begin + 1:02}:00") for begin in open_hours)
        made = await running(user, pacing=Pacing(window_zone="recipient", windows=windows))
        rows = await recipients(made.id)
        await database.execute("UPDATE message_by_contacts SET zone = 'Asia/Tokyo' WHERE id = $1", rows[0]["id"])
        await database.execute("UPDATE message_by_contacts SET zone = 'UTC' WHERE id = $1", rows[1]["id"])
        assert await _about(made) == (["outside_window"], False)
        assert await _about(made, 1) == ([], True)

    async def test_without_a_number(self, user: Member) -> None:
        made = await running(user)
        await database.execute("DELETE FROM campaign_numbers")
        assert await _about(made) == (["no_number"], False)

    async def test_of_another_tenant_or_campaign_is_not_found(self, user: Member, other_user: Member) -> None:
        made, other = await running(user), await running(user)
        row = (await recipients(made.id))[0]
        for user_id, campaign_id in ((other_user.id, made.id), (user.id, other.id)):
            with pytest.raises(NotFoundError):
                await explain_recipient(user_id, campaign_id, row["id"])


class TestTexts:
    def test_every_reason_of_decide_has_one(self) -> None:
        words = {
            node.value
            for node in ast.walk(ast.parse(inspect.getsource(pacing)))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _looks_like_a_reason(node.value)
        }
        decided = {
            "access_ended", "breaker_open", "campaign_day_cap", "campaign_hour_cap", "contact_day_cap", "contact_gap",
            "number_day_cap", "number_disconnected", "number_hour_cap", "number_inactive", "number_restricted",
            "outside_window", "plan_cap", "tenant_suspended", "unanswered_cap", "warm_up_cap",
        }  # fmt: skip
        assert words == decided
        assert decided | {"pause"} <= {key for table, key in sources() if table == "blockers"}

    def test_every_status_reason_has_one(self) -> None:
        written = {
            node.value
            for module in (completion, editing, freeze, restored, scheduling, services)
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        reasons = {
            "draft", "scheduled", "freezing", "paused_by_user", "canceled_by_user", "completed",
            "completed_with_unknown", "needs_attention", "audience_gone", "database_restored", "missed_date",
            "missed_date_skipped", "too_uniform",
        }  # fmt: skip
        assert all(any(reason in text for text in written) for reason in reasons)
        assert reasons <= {key for table, key in sources() if table == "blockers"}


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
