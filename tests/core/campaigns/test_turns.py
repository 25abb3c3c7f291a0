from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import lanes, services, turns
from core.campaigns.claims import Cap
from core.campaigns.pacing import CampaignState, NumberState, Pacing
from core.campaigns.turns import COUNTED_ALWAYS, CampaignTurn, HeldLane, Typing
from core.numbers.schemas import NumberLimits
from tests.core.campaigns.making import (
    HOLDER,
    add_campaign,
    claim_all,
    give_plan,
    hold,
    make_contacts,
    make_number,
    make_public,
    now,
    phone,
    running,
    start,
    used,
)
from tests.factories import Member

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
SOON = NOW + timedelta(seconds=5)
LATER = NOW + timedelta(seconds=60)


def _turn(turn_id: int = 1, pacing: Pacing | None = None, **fields: Any) -> CampaignTurn:
    state = CampaignState(pacing=pacing or Pacing(), timezone="America/Sao_Paulo", monthly_messages=100)
    defaults = {"version": 1, "state": state, "steps": {}, "stop_on_reply": True, "check_numbers": False}
    return CampaignTurn(id=turn_id, **{**defaults, **fields})


def _lane(*campaigns: CampaignTurn, **fields: Any) -> HeldLane:
    defaults: dict[str, Any] = {
        "number_id": 5,
        "user_id": 9,
        "server_id": 3,
        "slot": 0,
        "wakes": 0,
        "burst": 0,
        "failures": 0,
        "number": NumberState(first_connected_at=NOW - timedelta(days=365)),
        "campaigns": list(campaigns),
        "used": {},
    }
    return HeldLane(**{**defaults, **fields})


class TestTurn:
    def test_reopens_when_something_became_due(self) -> None:
        turn = _turn(exhausted=True)
        turn.reopen(SOON)
        assert (turn.open, turn.not_before) == (True, SOON)

    def test_a_wait_is_cut_short_and_never_made_longer(self) -> None:
        turn = _turn(not_before=LATER)
        turn.reopen(SOON)
        assert turn.not_before == SOON
        turn.reopen(LATER)
        assert turn.not_before == SOON

    def test_a_stopped_one_stays_closed(self) -> None:
        turn = _turn(stopped=True, exhausted=True)
        turn.reopen(NOW)
        assert not turn.open


class TestDue:
    def test_at_once_with_an_open_campaign(self) -> None:
        assert _lane(_turn()).wake_at(NOW) == NOW
        assert _lane(_turn()).is_due(NOW)

    def test_never_without_one(self) -> None:
        lane = _lane(_turn(exhausted=True), _turn(2, stopped=True))
        assert (lane.wake_at(NOW), lane.is_due(NOW)) == (None, False)

    def test_with_the_first_of_its_campaigns(self) -> None:
        assert _lane(_turn(not_before=LATER), _turn(2, not_before=SOON)).wake_at(NOW) == SOON

    @pytest.mark.parametrize(
        "fields",
        [{"next_at": LATER}, {"typing": Typing(1, 1, LATER)}, {"next_at": SOON, "typing": Typing(1, 1, LATER)}],
    )
    def test_not_within_a_pause_or_typing(self, fields: dict[str, Any]) -> None:
        assert _lane(_turn(), **fields).wake_at(NOW) == LATER

    def test_a_paced_lane_waits_for_what_is_in_the_air(self) -> None:
        paced = _turn(pacing=Pacing(delay_max=1))
        assert not _lane(paced, in_flight=1).is_due(NOW)
        assert _lane(_turn(), in_flight=1).is_due(NOW)


class TestRenew:
    def test_takes_over_what_is_read_and_keeps_what_is_known_here_alone(self) -> None:
        lane = _lane(_turn(), next_at=LATER, in_flight=3, burst=4, typing=Typing(1, 1, SOON))
        lane.renew(_lane(_turn(2), slot=8, wakes=9, failures=2, used={("plan", 9, "2026-11"): 4}))
        assert [turn.id for turn in lane.campaigns] == [2]
        assert (lane.slot, lane.wakes, lane.failures, lane.used) == (8, 9, 2, {("plan", 9, "2026-11"): 4})
        assert (lane.next_at, lane.in_flight, lane.burst, lane.typing) == (LATER, 3, 4, Typing(1, 1, SOON))


class TestCaps:
    def test_plan_and_day_are_counted_even_without_a_limit(self) -> None:
        turn = _turn()
        turn.state = CampaignState(timezone="America/Sao_Paulo")
        assert _lane(turn).caps(turn, NOW) == (
            Cap(1, "plan", 9, "2026-11", COUNTED_ALWAYS),
            Cap(3, "number", 5, "2026-11-23", COUNTED_ALWAYS),
        )

    def test_come_in_the_order_they_are_locked_with_the_smallest_limit(self) -> None:
        pacing = Pacing(per_hour=60, per_day=200, campaign_per_hour=30, campaign_per_day=90, warm_up=True)
        turn = _turn(pacing=pacing)
        young = NumberState(first_connected_at=NOW - timedelta(days=5), per_hour=40, per_day=70)
        assert _lane(turn, number=young).caps(turn, NOW) == (
            Cap(1, "plan", 9, "2026-11", 100),
            Cap(2, "campaign", 1, "2026-11-23", 90),
            Cap(2, "campaign", 1, "2026-11-23T11", 30),
            Cap(3, "number", 5, "2026-11-23", 50),
            Cap(3, "number", 5, "2026-11-23T11", 40),
        )

    def test_periods_are_those_of_the_tenants_zone(self) -> None:
        turn = _turn(pacing=Pacing(per_hour=9))
        periods = [cap.period for cap in _lane(turn).caps(turn, datetime(2026, 12, 1, 1, 30, tzinfo=UTC))]
        assert periods == ["2026-11", "2026-11-30", "2026-11-30T22"]


class TestHistory:
    def test_reads_the_counters_of_the_present_periods(self) -> None:
        turn = _turn()
        lane = _lane(
            turn,
            burst=3,
            next_at=SOON,
            used={
                ("plan", 9, "2026-11"): 50,
                ("campaign", 1, "2026-11-23"): 20,
                ("campaign", 1, "2026-11-23T11"): 4,
                ("number", 5, "2026-11-23"): 30,
                ("number", 5, "2026-11-23T11"): 6,
                ("number", 5, "2026-11-22"): 99,
            },
        )
        found = lane.history(turn, NOW)
        assert (found.month, found.campaign_day, found.campaign_hour, found.day, found.hour) == (50, 20, 4, 30, 6)
        assert (found.burst, found.next_at) == (3, SOON)


class TestLoad:
    async def test_brings_the_running_campaigns_of_a_number(self, user: Member) -> None:
        await give_plan(user.id)
        public_id = await make_public(user.id, await make_contacts(user.id, [phone()]))
        number_id = await make_number(user.id)
        made = [await add_campaign(user, [number_id], public_id) for _ in range(3)]
        for one in made[:2]:
            await start(one)
        await services.pause_campaign(user.id, made[0].id)
        (lane,) = await hold(made[1], await now())
        assert [turn.id for turn in lane.campaigns] == [made[1].id]
        assert list(lane.campaigns[0].steps) == made[1].message_ids

    async def test_brings_what_decide_asks_for(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(per_hour=9), plan={"monthly_messages": 100})
        await claim_all(made, await now())
        (lane,) = await hold(made, await now())
        turn = lane.campaigns[0]
        assert (turn.state.monthly_messages, turn.state.timezone) == (100, "America/Sao_Paulo")
        history = lane.history(turn, await now())
        assert (history.hour, history.day, history.month) == (3, 3, 3)

    async def test_a_plan_that_is_unlimited_has_no_cap(self, user: Member) -> None:
        made = await running(user, plan={"monthly_messages": 5, "unlimited": True})
        (lane,) = await hold(made, await now())
        assert lane.campaigns[0].state.monthly_messages is None

    async def test_without_a_plan_nothing_is_sent(self, user: Member) -> None:
        made = await running(user)
        await database.execute("UPDATE users SET plan_id = NULL WHERE id = $1", user.id)
        (lane,) = await hold(made, await now())
        assert lane.campaigns[0].state.monthly_messages == 0

    async def test_a_campaign_that_cannot_be_read_does_not_hold_up_the_others(self, user: Member) -> None:
        broken = await running(user)
        sound = await running(user)
        await database.execute("UPDATE messages SET content = '{{ a.b }}' WHERE campaign_id = $1", broken.id)
        moment = await now()
        await lanes.acquire(moment, HOLDER, moment + timedelta(seconds=60), 10)
        held = await turns.load(HOLDER, broken.number_ids + sound.number_ids, moment)
        assert sound.id in [turn.id for lane in held for turn in lane.campaigns]

    async def test_a_number_brings_its_own_caps(self, user: Member) -> None:
        made = await running(user)
        await database.execute(
            "UPDATE numbers SET settings = $2 WHERE id = $1",
            made.number_ids[0],
            database.encode_json(NumberLimits(per_hour=7, per_day=70)),
        )
        (lane,) = await hold(made, await now())
        assert (lane.number.per_hour, lane.number.per_day) == (7, 70)

    async def test_numbers_share_a_campaign_by_their_room(self, user: Member) -> None:
        made = await running(user, numbers=3, pacing=Pacing(per_day=300))
        for number_id, per_day in zip(made.number_ids, (100, 200, 400), strict=True):
            settings = database.encode_json(NumberLimits(per_day=per_day))
            await database.execute("UPDATE numbers SET settings = $2 WHERE id = $1", number_id, settings)
        held = await hold(made, await now())
        assert [lane.campaigns[0].state.weight for lane in held] == [pytest.approx(1 / 3), pytest.approx(2 / 3), 1.0]

    async def test_what_a_lane_not_held_says_is_not_read(self, user: Member) -> None:
        made = await running(user)
        assert await turns.load("somebody", made.number_ids, await now()) == []


class TestPeek:
    async def test_reads_lanes_that_somebody_else_holds(self, user: Member) -> None:
        made = await running(user, numbers=2)
        await hold(made, await now(), "somebody")
        found = await turns.peek(made.id, await now())
        assert sorted(lane.number_id for lane in found) == made.number_ids


class TestNewPeriods:
    async def test_their_counters_are_opened_once(self, user: Member) -> None:
        made = await running(user, pacing=Pacing(per_hour=9))
        moment = await now()
        (lane,) = await hold(made, moment)
        tomorrow = moment + timedelta(days=1)
        assert len(await used("number", lane.number_id)) == 2
        await turns.count_new_periods([lane], tomorrow)
        await turns.count_new_periods([lane], tomorrow)
        assert len(await used("number", lane.number_id)) == 4
        turn = lane.campaigns[0]
        assert {lane.used[cap.scope, cap.scope_id, cap.period] for cap in lane.caps(turn, tomorrow)} == {0}
