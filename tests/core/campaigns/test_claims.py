import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import database
from core.campaigns import lanes, services, turns
from core.campaigns.claims import Cap, Claimed, claim, open_counters
from core.campaigns.events import apply_replies
from core.campaigns.pacing import Pacing, next_period
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED, Transition, apply, mask
from core.campaigns.wants import build_want, choose
from core.campaigns.windows import Window
from core.numbers import senders
from core.plugin import MessageInEvent
from core.webhooks.handlers import StoredEvent
from tests.core.campaigns.making import (
    HOLDER,
    Made,
    add_campaign,
    attempts,
    claim_all,
    give_plan,
    hold,
    insert,
    lane_row,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    recipients,
    running,
    settle_rows,
    start,
    states,
    used,
    want,
)
from tests.core.campaigns.sink import NAME
from tests.factories import Member


class TestLease:
    async def test_takes_the_rows_and_says_what_to_send(self, user: Member) -> None:
        made = await running(user, contacts=2)
        moment = await now()
        result = await claim_all(made, moment)
        assert result.ineligible == []
        assert [(row.contact_id, row.address, row.attempt, row.failures) for row in result.claimed] == [
            (contact_id, number, 1, 0) for contact_id, number in zip(made.contact_ids, made.phones, strict=True)
        ]
        first = result.claimed[0]
        assert (first.number_id, first.campaign_id, first.message_id) == (
            made.number_ids[0],
            made.id,
            made.message_ids[0],
        )
        assert first.variables == {"nome": "Name 0"}
        assert first.first_attempt_at == moment

    async def test_is_written_down(self, user: Member) -> None:
        made = await running(user, contacts=1)
        moment = await now()
        await claim_all(made, moment)
        (row,) = await recipients(made.id)
        assert (row["state"], row["attempt"], row["number_id"]) == ("leased", 1, made.number_ids[0])
        assert (row["claimed_at"], row["first_attempt_at"]) == (moment, moment)
        assert row["lease_until"] == moment + timedelta(seconds=30)

    async def test_keeps_an_attempt_for_each_row_with_its_own_client_id(self, user: Member) -> None:
        made = await running(user, contacts=5)
        moment = await now()
        result = await claim_all(made, moment)
        for row in result.claimed:
            (attempt,) = await attempts(row.id)
            assert (attempt["attempt"], attempt["client_id"], attempt["provider_id"]) == (
                1,
                row.client_id,
                row.client_id,
            )
            assert (attempt["number_id"], attempt["claimed_at"]) == (made.number_ids[0], moment)
        assert len({row.client_id for row in result.claimed}) == 5

    async def test_a_client_id_the_service_ignores_matches_no_event(self, user: Member) -> None:
        made = await running(user, contacts=1)
        result = await claim_all(made, await now(), ids_are_final=False)
        (attempt,) = await attempts(result.claimed[0].id)
        assert (attempt["client_id"], attempt["provider_id"]) == (result.claimed[0].client_id, None)

    async def test_takes_no_more_than_asked(self, user: Member) -> None:
        made = await running(user, contacts=5)
        assert len((await claim_all(made, await now(), take=2)).claimed) == 2
        assert await states(made.id) == ["leased"] * 2 + ["pending"] * 3

    async def test_takes_what_is_due_longest_first(self, user: Member) -> None:
        made = await running(user, contacts=3)
        rows = await recipients(made.id)
        await database.execute(
            "UPDATE message_by_contacts SET due_at = due_at - interval '1 hour' WHERE id = $1", rows[2]["id"]
        )
        result = await claim_all(made, await now(), take=2)
        assert sorted(row.id for row in result.claimed) == [rows[0]["id"], rows[2]["id"]]

    async def test_takes_nothing_before_it_is_due(self, user: Member) -> None:
        made = await running(user, contacts=2)
        moment = await now()
        rows = await recipients(made.id)
        await database.execute(
            "UPDATE message_by_contacts SET due_at = $2 WHERE id = $1", rows[0]["id"], moment + timedelta(seconds=1)
        )
        await database.execute("UPDATE message_by_contacts SET due_at = NULL WHERE id = $1", rows[1]["id"])
        assert (await claim_all(made, moment)).claimed == []
        assert [row.id for row in (await claim_all(made, moment + timedelta(seconds=1))).claimed] == [rows[0]["id"]]

    async def test_the_second_attempt_keeps_when_the_first_was(self, user: Member) -> None:
        made = await running(user, contacts=1)
        moment = await now()
        first = await claim_all(made, moment)
        await settle_rows(
            first.claimed, moment, allowed=FROM_LEASED, state=RecipientState.PENDING, due_at=moment, burnt=1
        )
        later = moment + timedelta(seconds=5)
        (row,) = (await claim_all(made, later)).claimed
        assert (row.attempt, row.failures, row.first_attempt_at) == (2, 1, moment)
        assert len(await attempts(row.id)) == 2


class TestOwnRows:
    async def test_come_before_those_of_any_number(self, user: Member) -> None:
        made = await running(user, contacts=4)
        rows = await recipients(made.id)
        own = [rows[2]["id"], rows[3]["id"]]
        await database.execute(
            "UPDATE message_by_contacts SET number_id = $2 WHERE id = ANY($1::bigint[])", own, made.number_ids[0]
        )
        result = await claim_all(made, await now(), take=3)
        assert sorted(row.id for row in result.claimed) == [rows[0]["id"], *own]

    async def test_of_another_number_are_left(self, user: Member) -> None:
        made = await running(user, contacts=2, numbers=2)
        rows = await recipients(made.id)
        await database.execute(
            "UPDATE message_by_contacts SET number_id = $2 WHERE id = $1", rows[0]["id"], made.number_ids[1]
        )
        result = await claim_all(made, await now())
        assert [row.id for row in result.claimed] == [rows[1]["id"]]

    async def test_two_lanes_of_one_claim_share_the_rest(self, user: Member) -> None:
        made = await running(user, contacts=7, numbers=2)
        moment = await now()
        held = await hold(made, moment)
        result = await claim(moment, HOLDER, [want(lane, moment, take=5) for lane in held])
        assert len({row.id for row in result.claimed}) == len(result.claimed) == 7
        assert {row.number_id for row in result.claimed} == set(made.number_ids)
        assert len({row.client_id for row in result.claimed}) == 7


class TestSlot:
    async def test_the_same_slot_is_taken_once(self, user: Member) -> None:
        made = await running(user, contacts=3)
        moment = await now()
        (lane,) = await hold(made, moment)
        wanted = want(lane, moment, take=1)
        assert len((await claim(moment, HOLDER, [wanted])).claimed) == 1
        assert (await claim(moment, HOLDER, [wanted])).claimed == []
        assert (await lane_row(lane.number_id))["slot"] == lane.slot + 1

    async def test_of_two_claims_at_once_one_wins(self, user: Member) -> None:
        made = await running(user, contacts=20)
        moment = await now()
        (lane,) = await hold(made, moment)
        found = await asyncio.gather(*(claim(moment, HOLDER, [want(lane, moment, take=1)]) for _ in range(6)))
        assert sorted(len(result.claimed) for result in found) == [0, 0, 0, 0, 0, 1]

    async def test_another_holder_takes_nothing(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        assert (await claim(moment, "somebody-else", [want(lane, moment)])).claimed == []

    async def test_a_lease_that_ran_out_takes_nothing(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        late = moment + timedelta(seconds=61)
        assert (await claim(late, HOLDER, [want(lane, late)])).claimed == []

    async def test_a_paced_claim_writes_its_pause_and_burst(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(delay_min=5, delay_max=5))
        moment = await now()
        rest_ends = moment + timedelta(minutes=10)
        await claim_all(made, moment, take=1, paced=True, next_at=rest_ends, burst=7)
        row = await lane_row(made.number_ids[0])
        assert (row["pause_until"], row["burst"]) == (rest_ends, 7)

    async def test_a_paced_lane_is_not_due_while_its_message_is_leased(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(delay_min=5, delay_max=5))
        moment = await now()
        await claim_all(made, moment, take=1, paced=True, next_at=moment + timedelta(seconds=5), burst=1)
        assert (await lane_row(made.number_ids[0]))["pause_until"] == moment + timedelta(seconds=30)

    async def test_two_holders_never_hold_one_lane(self, user: Member) -> None:
        made = await running(user, numbers=3)
        moment = await now()
        until = moment + timedelta(seconds=15)
        found = await asyncio.gather(*(lanes.acquire(moment, f"holder-{place}", until, 2) for place in range(4)))
        taken = [number_id for numbers in found for number_id in numbers]
        assert sorted(taken) == sorted(made.number_ids)


class TestWhoIsNotLeased:
    @pytest.mark.parametrize("change", ["status = 3", "status = 5", "status = 4", "deleted_at = now()"])
    async def test_a_campaign_that_does_not_run(self, user: Member, change: str) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        await database.execute(f"UPDATE campaigns SET {change} WHERE id = $1", made.id)
        result = await claim(moment, HOLDER, [want(lane, moment)])
        assert (result.claimed, result.ineligible) == ([], [])
        assert await states(made.id) == ["pending"] * 3

    @pytest.mark.parametrize(
        "change",
        ["status = 'inactive'", "status = 'canceled'", "deleted_at = now()", "due_access_at = now() - interval '1 s'"],
    )
    async def test_a_tenant_without_access(self, user: Member, change: str) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        await database.execute(f"UPDATE users SET {change} WHERE id = $1", user.id)
        assert (await claim(await now(), HOLDER, [want(lane, moment)])).claimed == []

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ("deleted_at = now()", "contact_deleted"),
            ("status = 2", "contact_inactive"),
            ("blocked_at = now()", "opted_out"),
        ],
    )
    async def test_a_contact_that_changed_since_the_freeze(self, user: Member, change: str, reason: str) -> None:
        made = await running(user, contacts=2)
        await database.execute(f"UPDATE contacts SET {change} WHERE id = $1", made.contact_ids[0])
        result = await claim_all(made, await now())
        rows = await recipients(made.id)
        assert [(row.id, row.reason) for row in result.ineligible] == [(rows[0]["id"], reason)]
        assert [row.id for row in result.claimed] == [rows[1]["id"]]
        assert rows[0]["state"] == "pending"

    async def test_an_erased_contact(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await database.execute("DELETE FROM contacts WHERE id = $1", made.contact_ids[0])
        result = await claim_all(made, await now())
        assert [row.reason for row in result.ineligible] == ["contact_deleted"]

    async def test_a_number_blocked_since_the_freeze(self, user: Member) -> None:
        made = await running(user, contacts=2)
        await insert("block_contacts", user_id=user.id, number=made.phones[1])
        result = await claim_all(made, await now())
        assert [row.reason for row in result.ineligible] == ["blocked"]
        assert [row.address for row in result.claimed] == made.phones[:1]


async def _second_step(user: Member, **wishes: Any) -> tuple[Made, Any]:
    """A campaign whose first message was accepted and whose second is due; return it and the time of the first."""
    made = await running(user, contacts=1, messages=("a", "b"), **wishes)
    moment = await now()
    first = await claim_all(made, moment)
    await settle_rows(first.claimed, moment, allowed=FROM_LEASED, state=RecipientState.ACCEPTED, accepted_at=moment)
    return made, moment


class TestReplies:
    async def test_who_replied_gets_no_second_message(self, user: Member) -> None:
        made, moment = await _second_step(user)
        later = moment + timedelta(seconds=1)
        await database.execute("UPDATE contacts SET last_inbound_at = $2 WHERE id = $1", made.contact_ids[0], later)
        result = await claim_all(made, later)
        assert (result.claimed, [row.reason for row in result.ineligible]) == ([], ["replied"])

    async def test_unless_the_campaign_says_otherwise(self, user: Member) -> None:
        made, moment = await _second_step(user)
        later = moment + timedelta(seconds=1)
        await database.execute("UPDATE contacts SET last_inbound_at = $2 WHERE id = $1", made.contact_ids[0], later)
        assert len((await claim_all(made, later, stop_on_reply=False)).claimed) == 1

    async def test_what_was_written_before_is_no_reply(self, user: Member) -> None:
        made, moment = await _second_step(user)
        await database.execute("UPDATE contacts SET last_inbound_at = $2 WHERE id = $1", made.contact_ids[0], moment)
        assert len((await claim_all(made, moment + timedelta(seconds=1))).claimed) == 1


class TestCaps:
    async def test_are_counted(self, user: Member) -> None:
        made = await running(user, contacts=3, pacing=Pacing(per_hour=9, campaign_per_day=9))
        moment = await now()
        (lane,) = await hold(made, moment)
        await claim(moment, HOLDER, [want(lane, moment)])
        assert list((await used("plan", user.id)).values()) == [3]
        assert list((await used("number", made.number_ids[0])).values()) == [3, 3]
        assert list((await used("campaign", made.id)).values()) == [3]

    @pytest.mark.parametrize(
        ("pacing", "plan"),
        [
            (Pacing(per_hour=2), {}),
            (Pacing(per_day=2), {}),
            (Pacing(campaign_per_day=2), {}),
            (Pacing(), {"monthly_messages": 2}),
            (Pacing(per_hour=4, per_day=3, campaign_per_day=2), {}),
        ],
    )
    async def test_are_kept(self, user: Member, pacing: Pacing, plan: dict[str, int]) -> None:
        await give_plan(user.id)
        made = await running(user, contacts=5, pacing=pacing, plan={})
        await give_plan(user.id, **plan)
        moment = await now()
        assert len((await claim_all(made, moment)).claimed) == 2
        assert (await claim_all(made, moment)).claimed == []

    async def test_of_a_young_number(self, user: Member) -> None:
        made = await running(user, contacts=25, pacing=Pacing(warm_up=True))
        moment = await now()
        await database.execute(
            "UPDATE numbers SET first_connected_at = $2 WHERE id = $1", made.number_ids[0], moment - timedelta(days=1)
        )
        assert len((await claim_all(made, moment, take=25)).claimed) == 20

    async def test_a_cap_without_its_counter_is_no_way_round_it(self, user: Member) -> None:
        made = await running(user, contacts=5, pacing=Pacing(per_hour=2))
        moment = await now()
        (lane,) = await hold(made, moment)
        await database.execute("DELETE FROM send_counters")
        assert (await claim(moment, HOLDER, [want(lane, moment)])).claimed == []

    @pytest.mark.parametrize("shared", ["plan", "campaign"])
    async def test_two_claims_at_once_do_not_pass_one(self, user: Member, shared: str) -> None:
        pacing = Pacing(campaign_per_day=5) if shared == "campaign" else Pacing()
        made = await running(user, contacts=40, numbers=4, pacing=pacing)
        if shared == "plan":
            await give_plan(user.id, monthly_messages=5)
        moment = await now()
        held = await hold(made, moment)
        found = await asyncio.gather(*(claim(moment, HOLDER, [want(lane, moment, take=4)]) for lane in held))
        taken = [row.id for result in found for row in result.claimed]
        assert len(taken) == len(set(taken)) == 5
        assert list((await used(shared, user.id if shared == "plan" else made.id)).values()) == [5]

    async def test_two_campaigns_of_one_number_do_not_pass_its_cap(self, user: Member) -> None:
        await give_plan(user.id)
        contact_ids = await make_contacts(user.id, [phone() for _ in range(10)])
        public_id = await make_public(user.id, contact_ids)
        number_id = await make_number(user.id)
        both = [
            await start(await add_campaign(user, [number_id], public_id, pacing=Pacing(per_hour=7))) for _ in range(2)
        ]
        moment = await now()
        (lane,) = await hold(both[0], moment)
        first = await claim(moment, HOLDER, [want(lane, moment, campaign_id=both[0].id, take=5)])
        lane.slot += 1
        second = await claim(moment, HOLDER, [want(lane, moment, campaign_id=both[1].id, take=5)])
        assert (len(first.claimed), len(second.claimed)) == (5, 2)

    async def test_who_is_left_out_takes_no_room(self, user: Member) -> None:
        made = await running(user, contacts=3, pacing=Pacing(per_hour=2))
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[0])
        result = await claim_all(made, await now())
        assert [row.contact_id for row in result.claimed] == made.contact_ids[1:]

    async def test_counters_say_what_is_used(self, user: Member) -> None:
        caps = [Cap(1, "plan", user.id, "2026-11", 5), Cap(3, "number", user.id, "2026-11-23", 5)]
        assert set((await open_counters(caps)).values()) == {0}
        await database.execute("UPDATE send_counters SET used = 3 WHERE scope = 'plan' AND scope_id = $1", user.id)
        assert (await open_counters(caps))["plan", user.id, "2026-11"] == 3


class TestManyAtOnce:
    async def test_no_row_is_leased_twice(self, user: Member) -> None:
        made = await running(user, contacts=60, numbers=6)
        moment = await now()
        held = await hold(made, moment)

        async def work(place: int) -> list[int]:
            lane = held[place]
            taken: list[int] = []
            for _ in range(4):
                result = await claim(moment, HOLDER, [want(lane, moment, take=3)])
                taken += [row.id for row in result.claimed]
                lane.slot += 1
            return taken

        found = await asyncio.gather(*(work(place) for place in range(6)))
        taken = [row_id for one in found for row_id in one]
        assert len(taken) == len(set(taken)) == 60

    async def test_a_pause_at_the_same_moment_leases_all_or_nothing(self, user: Member) -> None:
        made = await running(user, contacts=10)
        moment = await now()
        (lane,) = await hold(made, moment)
        result, _ = await asyncio.gather(
            claim(moment, HOLDER, [want(lane, moment)]), services.pause_campaign(user.id, made.id)
        )
        leased = (await states(made.id)).count("leased")
        assert leased == len(result.claimed) in {0, 10}

    async def test_a_claim_after_a_pause_takes_nothing(self, user: Member) -> None:
        made = await running(user)
        moment = await now()
        (lane,) = await hold(made, moment)
        await services.pause_campaign(user.id, made.id)
        assert (await claim(moment, HOLDER, [want(lane, moment)])).claimed == []

    def test_caps_are_locked_in_the_fixed_order(self) -> None:
        caps = [Cap(3, "number", 1, "d", 1), Cap(2, "campaign", 9, "d", 1), Cap(1, "plan", 5, "m", 1)]
        assert [cap.scope for cap in sorted(caps)] == ["plan", "campaign", "number"]
        assert msgspec.structs.fields(Cap)[0].name == "rank"


class TestAudience:
    async def test_costs_the_rows_it_takes_and_not_the_audience(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await database.execute(
            "INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, address, due_at)"
            " SELECT user_id, campaign_id, message_id, contact_id + n, address || n, due_at"
            " FROM message_by_contacts, generate_series(1, 20000) AS n WHERE campaign_id = $1",
            made.id,
        )
        await database.execute("ANALYZE message_by_contacts")
        moment = await now()
        (lane,) = await hold(made, moment)
        async with database.unit_of_work():
            before = await _rows_read()
            await claim(moment, HOLDER, [want(lane, moment)])
            read = await _rows_read() - before
        # Ten are found and ten changed, however often each is touched; out of the index's order it would be 20,001.
        assert read <= 40


async def _rows_read() -> int:
    """Return how many recipient rows this connection has read; what it did before is counted too, for a while."""
    read = await database.fetch_value(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'message_by_contacts'"
    )
    assert isinstance(read, int)
    return read


GAP = 6 * 3600.0


async def _two_campaigns(user: Member, *, contacts: int = 1, **wishes: Any) -> tuple[Made, Made]:
    """Two running campaigns to the same contacts, each on a number of its own."""
    first = await running(user, contacts=contacts, **wishes)
    number_id = await make_number(user.id)
    second = await start(
        await add_campaign(
            user, [number_id], first.public_id, contact_ids=first.contact_ids, phones=first.phones, **wishes
        )
    )
    return first, second


async def _activity(contact_id: int) -> Any:
    return await database.fetch_row("SELECT * FROM contact_activity WHERE contact_id = $1", contact_id)


class TestContactGap:
    async def test_a_message_of_another_campaign_puts_the_row_off(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        result = await claim_all(second, moment + timedelta(hours=1), contact_gap=GAP, contact_wait=48 * 3600.0)
        assert (result.claimed, result.ineligible, result.postponed) == ([], [], second.number_ids)
        (row,) = await recipients(second.id)
        assert (row["state"], row["reason"], row["due_at"]) == ("pending", "contact_gap", moment + timedelta(hours=6))

    async def test_when_it_is_over_the_row_goes(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        result = await claim_all(second, moment + timedelta(hours=6), contact_gap=GAP, contact_wait=48 * 3600.0)
        assert [row.contact_id for row in result.claimed] == first.contact_ids

    async def test_one_longer_than_the_wait_skips_the_row(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        result = await claim_all(second, moment, contact_gap=GAP, contact_wait=GAP - 1)
        assert [row.reason for row in result.ineligible] == ["contact_gap"]

    async def test_the_campaigns_own_steps_are_none(self, user: Member) -> None:
        made, moment = await _second_step(user)
        result = await claim_all(made, moment + timedelta(seconds=1), contact_gap=GAP, contact_wait=GAP)
        assert [row.message_id for row in result.claimed] == made.message_ids[1:]

    async def test_between_its_own_steps_the_other_campaign_still_counts(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        (row,) = (await claim_all(second, moment + timedelta(hours=1))).claimed
        await settle_rows([row], moment, allowed=FROM_LEASED, state=RecipientState.PENDING, due_at=moment)
        result = await claim_all(second, moment + timedelta(hours=2), contact_gap=GAP, contact_wait=GAP)
        assert (result.claimed, len(result.postponed)) == ([], 1)

    async def test_a_certain_non_send_leaves_no_gap(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        rows = (await claim_all(first, moment)).claimed
        await settle_rows(rows, moment, allowed=FROM_LEASED, state=RecipientState.FAILED, not_sent=True)
        found = await _activity(first.contact_ids[0])
        assert (found["last_at"], found["day_used"], found["unanswered"]) == (None, 0, 0)
        assert len((await claim_all(second, moment, contact_gap=GAP)).claimed) == 1

    async def test_a_non_send_from_before_an_answer_is_not_counted_twice(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        rows = (await claim_all(first, moment)).claimed
        answered_at = moment + timedelta(seconds=1)
        await database.execute("UPDATE contacts SET last_inbound_at = $1", answered_at)
        await database.execute("UPDATE contact_activity SET unanswered = 0")
        await claim_all(second, moment + timedelta(seconds=2))
        await settle_rows(rows, answered_at, allowed=FROM_LEASED, state=RecipientState.FAILED, not_sent=True)
        assert (await _activity(first.contact_ids[0]))["unanswered"] == 1

    async def test_a_non_send_gives_the_message_before_back(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        later = moment + timedelta(hours=7)
        rows = (await claim_all(second, later, contact_gap=GAP)).claimed
        await settle_rows(rows, later, allowed=FROM_LEASED, state=RecipientState.FAILED, not_sent=True)
        found = await _activity(first.contact_ids[0])
        assert (found["campaign_id"], found["last_at"], found["other_at"]) == (first.id, moment, None)

    async def test_of_two_campaigns_at_once_one_writes(self, user: Member) -> None:
        first, second = await _two_campaigns(user, contacts=20)
        moment = await now()
        lanes_held = [(await hold(made, moment))[0] for made in (first, second)]
        wants = [
            want(lane, moment, campaign_id=made.id, take=20, contact_gap=GAP, contact_wait=GAP)
            for lane, made in zip(lanes_held, (first, second), strict=True)
        ]
        found = await asyncio.gather(*(claim(moment, HOLDER, [wanted]) for wanted in wants))
        assert sorted(row.contact_id for result in found for row in result.claimed) == sorted(first.contact_ids)

    async def test_of_two_lanes_in_one_claim_one_writes(self, user: Member) -> None:
        first, second = await _two_campaigns(user, contacts=5)
        moment = await now()
        lanes_held = [(await hold(made, moment))[0] for made in (first, second)]
        result = await claim(
            moment,
            HOLDER,
            [
                want(lane, moment, campaign_id=made.id, contact_gap=GAP, contact_wait=GAP)
                for lane, made in zip(lanes_held, (first, second), strict=True)
            ],
        )
        assert sorted(row.contact_id for row in result.claimed) == sorted(first.contact_ids)


class TestContactDay:
    async def test_the_cap_puts_the_row_off_to_the_next_day(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        limits = {"contact_per_day": 1, "contact_wait": 48 * 3600.0}
        result = await claim_all(second, moment, **limits)
        assert (result.claimed, len(result.postponed)) == ([], 1)
        (row,) = await recipients(second.id)
        assert (row["reason"], row["due_at"]) == ("contact_day_cap", next_period(moment, ZoneInfo("UTC"), "day"))
        tomorrow = row["due_at"]
        assert len((await claim_all(second, tomorrow, **limits)).claimed) == 1
        found = await _activity(first.contact_ids[0])
        assert (found["day_start"], found["day_used"], found["claims"]) == (tomorrow, 1, 2)

    async def test_one_below_the_cap_goes(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        assert len((await claim_all(second, moment, contact_per_day=2)).claimed) == 1
        assert (await _activity(first.contact_ids[0]))["day_used"] == 2

    async def test_the_reason_is_what_ends_last(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        await claim_all(second, moment, contact_per_day=1, contact_gap=48 * 3600.0, contact_wait=72 * 3600.0)
        (row,) = await recipients(second.id)
        assert (row["reason"], row["due_at"]) == ("contact_gap", moment + timedelta(hours=48))


class TestUnanswered:
    async def test_whoever_had_so_many_is_skipped(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        result = await claim_all(second, moment, unanswered_max=1)
        assert [row.reason for row in result.ineligible] == ["unanswered_cap"]

    async def test_one_below_goes(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        moment = await now()
        await claim_all(first, moment)
        assert len((await claim_all(second, moment, unanswered_max=2)).claimed) == 1

    async def test_a_group_never_answers_and_is_written_to(self, user: Member) -> None:
        first, second = await _two_campaigns(user)
        await database.execute("UPDATE contacts SET type = 2 WHERE id = $1", first.contact_ids[0])
        moment = await now()
        await claim_all(first, moment)
        assert len((await claim_all(second, moment, unanswered_max=1)).claimed) == 1


class TestZones:
    async def test_rows_where_it_is_closed_are_put_off_and_the_others_go(self, user: Member) -> None:
        made = await running(user, contacts=3)
        rows = await recipients(made.id)
        for row, zone in zip(rows, ("Asia/Tokyo", "Europe/Lisbon", None), strict=True):
            await database.execute("UPDATE message_by_contacts SET zone = $2 WHERE id = $1", row["id"], zone)
        moment = await now()
        opening = moment + timedelta(hours=9)
        result = await claim_all(made, moment, closed={"Asia/Tokyo": opening, "": opening + timedelta(hours=1)})
        assert [row.id for row in result.claimed] == [rows[1]["id"]]
        found = await recipients(made.id)
        assert [(row["reason"], row["due_at"]) for row in (found[0], found[2])] == [
            ("outside_window", opening),
            ("outside_window", opening + timedelta(hours=1)),
        ]

    async def test_who_may_not_be_sent_to_is_skipped_and_not_put_off(self, user: Member) -> None:
        made = await running(user, contacts=1)
        await database.execute("UPDATE message_by_contacts SET zone = 'Asia/Tokyo'")
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[0])
        moment = await now()
        result = await claim_all(made, moment, closed={"Asia/Tokyo": moment + timedelta(hours=1)})
        assert ([row.reason for row in result.ineligible], result.postponed) == (["opted_out"], [])


class TestKnownOnly:
    async def test_only_whoever_wrote_to_the_number_is_taken(self, user: Member) -> None:
        made = await running(user, contacts=3, numbers=2)
        moment = await now()
        for contact_id, number_id in zip(made.contact_ids[:2], made.number_ids, strict=True):
            await insert(
                "conversations", user_id=user.id, contact_id=contact_id, number_id=number_id, last_inbound_at=moment
            )
        result = await claim_all(made, moment, known_only=True)
        assert [row.contact_id for row in result.claimed] == made.contact_ids[:1]
        assert await states(made.id) == ["leased", "pending", "pending"]

    async def test_a_row_chosen_before_is_not_taken_either(self, user: Member) -> None:
        made = await running(user, contacts=1)
        (row,) = await recipients(made.id)
        result = await claim_all(made, await now(), take=1, recipient_id=row["id"], known_only=True)
        assert (result.claimed, result.ineligible) == ([], [])


class TestReach:
    async def test_looking_takes_nothing_and_settles_what_may_not_be_sent(self, user: Member) -> None:
        made = await running(user, contacts=2)
        await database.execute("UPDATE contacts SET blocked_at = now() WHERE id = $1", made.contact_ids[0])
        result = await claim_all(made, await now(), take=0, reach=2)
        assert (result.claimed, [row.reason for row in result.ineligible]) == ([], ["opted_out"])
        assert await states(made.id) == ["pending", "pending"]

    async def test_beyond_those_who_may_not_be_sent_to_lies_one_who_may(self, user: Member) -> None:
        made = await running(user, contacts=4)
        await database.execute(
            "UPDATE contacts SET blocked_at = now() WHERE id = ANY($1::bigint[])", made.contact_ids[:3]
        )
        assert (await claim_all(made, await now(), take=1, reach=3)).claimed == []
        result = await claim_all(made, await now(), take=1, reach=4)
        assert [row.contact_id for row in result.claimed] == made.contact_ids[3:]

    async def test_the_chosen_row_is_taken_before_the_others(self, user: Member) -> None:
        made = await running(user, contacts=3)
        rows = await recipients(made.id)
        result = await claim_all(made, await now(), take=1, recipient_id=rows[2]["id"])
        assert [row.id for row in result.claimed] == [rows[2]["id"]]

    async def test_a_contact_has_one_message_in_a_claim(self, user: Member) -> None:
        made = await running(user, contacts=1, messages=("a", "b"))
        moment = await now()
        await database.execute("UPDATE message_by_contacts SET due_at = $1", moment)
        assert [row.message_id for row in (await claim_all(made, moment)).claimed] == made.message_ids[:1]


RULES = Pacing(
    per_hour=3,
    per_day=7,
    campaign_per_hour=4,
    campaign_per_day=6,
    windows=(Window("08:00", "12:00"), Window("14:00", "20:00")),
    contact_gap_hours=2,
    contact_per_day=3,
    unanswered_max=2,
)
MONTHLY = 12
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(0, 2), st.integers(1, 5)),
        st.tuples(st.just("pass"), st.integers(1, 10), st.just(0)),
        st.tuples(st.just("not_sent"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("answer"), st.integers(0, 3), st.just(0)),
        st.tuples(st.just("together"), st.integers(1, 5), st.just(0)),
    ),
    min_size=20,
    max_size=50,
)


class _Sent(msgspec.Struct, frozen=True):
    row: Claimed
    at: datetime
    caps: tuple[Cap, ...]


class _Engine:
    """Three numbers and two campaigns to the same people, claimed from on a clock of its own."""

    def __init__(self, user: Member) -> None:
        self.user = user
        self.sent: list[_Sent] = []
        self.answered: list[tuple[int, datetime]] = []

    async def open(self) -> None:
        await database.execute("DELETE FROM send_counters")
        plan = {"monthly_messages": MONTHLY}
        first = await running(self.user, contacts=4, numbers=2, pacing=RULES, messages=("a", "b"), plan=plan)
        numbers = [*first.number_ids[1:], await make_number(self.user.id)]
        second = await start(await add_campaign(self.user, numbers, first.public_id, pacing=RULES, messages=("a", "b")))
        await database.execute("UPDATE users SET timezone = 'UTC' WHERE id = $1", self.user.id)
        self.contact_ids, self.phones = first.contact_ids, first.phones
        self.number_ids = [*first.number_ids, numbers[-1]]
        self.campaign_ids = [first.id, second.id]
        tomorrow = next_period(await now(), ZoneInfo("UTC"), "day")
        self.now = tomorrow + timedelta(hours=8)
        await lanes.acquire(self.now, HOLDER, self.now + timedelta(days=365), 1_000)

    async def do(self, kind: str, which: int, many: int) -> None:
        if kind == "claim":
            await self._claim([self.number_ids[which]], many)
        elif kind == "together":
            await self._claim(self.number_ids, which)
        elif kind == "pass":
            # Steps of odd minutes: periods and windows begin and end within them.
            self.now += timedelta(minutes=37 * which)
        elif kind == "not_sent" and self.sent:
            await self._give_back(self.sent.pop(which % len(self.sent)))
        elif kind == "answer":
            await self._answer(self.contact_ids[which])

    async def _claim(self, number_ids: list[int], take: int) -> None:
        held = await turns.load(HOLDER, number_ids, self.now)
        routes = await senders.senders(number_ids)
        await turns.count_new_periods(held, self.now)
        wants = []
        for lane in held:
            chosen = choose(lane, None, self.now)
            if chosen is not None:
                turn, decision = chosen
                room = min(take, decision.room)
                wants.append(build_want(lane, turn, routes[lane.number_id], room, decision, self.now))
        caps = {want.number_id: want.caps for want in wants}
        result = await claim(self.now, HOLDER, wants)
        self.sent += [_Sent(row, self.now, caps[row.number_id]) for row in result.claimed]
        await settle_rows(result.claimed, self.now, allowed=FROM_LEASED, state=RecipientState.ACCEPTED)

    async def _give_back(self, sent: _Sent) -> None:
        """A message turns out not to have been sent at all."""
        change = Transition(
            id=sent.row.id,
            attempt=sent.row.attempt,
            allowed=mask(RecipientState.ACCEPTED),
            state=RecipientState.PENDING,
            due_at=self.now,
            not_sent=True,
        )
        await apply(self.now, [change], shard=0, given_back=[(sent.row.id, cap) for cap in sent.caps])

    async def _answer(self, contact_id: int) -> None:
        self.now += timedelta(seconds=1)
        self.answered.append((contact_id, self.now))
        phone_number = self.phones[self.contact_ids.index(contact_id)]
        event = MessageInEvent(dedupe_key="d", id="1", address="", phone=phone_number, at=self.now)
        stored = StoredEvent(id=1, plugin=NAME, number_id=self.number_ids[0], received_at=self.now, event=event)
        async with database.unit_of_work():
            await apply_replies([stored])

    def check(self) -> None:
        by_hour, by_day = Counter[Any](), Counter[Any]()
        for sent in self.sent:
            for scope in (("number", sent.row.number_id), ("campaign", sent.row.campaign_id)):
                by_hour[scope, sent.at.strftime("%F %H")] += 1
                by_day[scope, sent.at.date()] += 1
            by_day["contact", sent.row.contact_id, sent.at.date()] += 1
            by_day["plan", sent.at.strftime("%Y-%m")] += 1
            assert 8 <= sent.at.hour < 12 or 14 <= sent.at.hour < 20
        limits = {"number": (3, 7), "campaign": (4, 6)}
        assert all(count <= limits[key[0][0]][0] for key, count in by_hour.items())
        for key, count in by_day.items():
            kind = key[0] if isinstance(key[0], str) else key[0][0]
            assert count <= {"number": 7, "campaign": 6, "contact": 3, "plan": MONTHLY}[kind], (key, count)
        for contact_id in self.contact_ids:
            self._check_person(contact_id)

    def _check_person(self, contact_id: int) -> None:
        mine = [sent for sent in self.sent if sent.row.contact_id == contact_id]
        for place, one in enumerate(mine):
            for other in mine[place + 1 :]:
                apart = other.at - one.at >= timedelta(hours=2)
                assert apart or one.row.campaign_id == other.row.campaign_id
        unanswered = 0
        moments = [(sent.at, 1) for sent in mine] + [(at, 0) for person, at in self.answered if person == contact_id]
        for _, is_message in sorted(moments):
            unanswered = unanswered + 1 if is_message else 0
            assert unanswered <= 2


class TestAnySequence:
    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(operations=OPERATIONS)
    async def test_keeps_caps_windows_and_gaps(self, user: Member, operations: list[tuple[str, int, int]]) -> None:
        engine = _Engine(user)
        await engine.open()
        for operation in operations:
            await engine.do(*operation)
        engine.check()

    async def test_of_claims_through_a_day_sends_as_much_as_the_rules_allow(self, user: Member) -> None:
        engine = _Engine(user)
        await engine.open()
        for _ in range(20):
            await engine.do("together", 5, 0)
            await engine.do("pass", 1, 0)
        engine.check()
        # Four people who never answer: nobody may have a third message.
        assert Counter(sent.row.contact_id for sent in engine.sent) == dict.fromkeys(engine.contact_ids, 2)
