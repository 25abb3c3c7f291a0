import itertools
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.campaigns.pacing import (
    DEFAULT_PACING,
    UNPACED_ROOM,
    CampaignState,
    Decision,
    History,
    NumberState,
    Pacing,
    RampStep,
    RecipientHistory,
    SendNow,
    Skip,
    Stop,
    Wait,
    closed_zones,
    day_start,
    decide,
    next_period,
    period_key,
    share_of_room,
    typing_seconds,
    warm_up_cap,
)
from core.campaigns.windows import Holidays, Window
from core.texts import sources

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
"""A Monday."""
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NEW_YORK = ZoneInfo("America/New_York")
ZONES = ("UTC", "America/Sao_Paulo", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu")


def _decide(
    pacing: Pacing | None = None,
    *,
    now: datetime = NOW,
    number: NumberState | None = None,
    campaign: CampaignState | None = None,
    history: History | None = None,
) -> Decision:
    state = campaign or CampaignState()
    if pacing is not None:
        state = msgspec.structs.replace(state, pacing=pacing)
    return decide(now, number or NumberState(), state, history or History(), _rng())


def _utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def _moments(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Moments of the years from ``first`` up to ``last``, to the second."""
    begin = _utc(first, 1, 1)
    seconds = int((_utc(last, 1, 1) - begin).total_seconds())
    return st.integers(0, seconds).map(lambda passed: begin + timedelta(seconds=passed))


def _rng(seed: int = 1) -> random.Random:
    return random.Random(seed)  # noqa: S311 - pacing, no secret


def _local(*moment: int, zone: ZoneInfo = SAO_PAULO, fold: int = 0) -> datetime:
    return datetime(*moment, tzinfo=zone, fold=fold).astimezone(UTC)  # type: ignore[arg-type,misc]


class TestStop:
    @pytest.mark.parametrize(
        ("number", "campaign", "reason"),
        [
            (NumberState(), CampaignState(running=False), "tenant_suspended"),
            (NumberState(active=False), CampaignState(), "number_inactive"),
            (NumberState(connected=False), CampaignState(), "number_disconnected"),
            (NumberState(), CampaignState(access_until=NOW), "access_ended"),
        ],
    )
    def test_reason(self, number: NumberState, campaign: CampaignState, reason: str) -> None:
        assert _decide(number=number, campaign=campaign) == Stop(reason)

    def test_access_that_ends_later_sends(self) -> None:
        state = CampaignState(access_until=NOW + timedelta(microseconds=1))
        assert _decide(campaign=state) == SendNow(UNPACED_ROOM)

    def test_stop_comes_before_every_wait(self) -> None:
        number = NumberState(connected=False, open_until=NOW + timedelta(hours=1))
        assert _decide(number=number) == Stop("number_disconnected")


class TestWait:
    @pytest.mark.parametrize(
        ("number", "history", "reason"),
        [
            (NumberState(open_until=NOW + timedelta(seconds=1)), History(), "breaker_open"),
            (NumberState(), History(next_at=NOW + timedelta(seconds=1)), "pause"),
        ],
    )
    def test_until_the_named_moment(self, number: NumberState, history: History, reason: str) -> None:
        assert _decide(number=number, history=history) == Wait(NOW + timedelta(seconds=1), reason)

    def test_a_moment_that_has_come_is_no_wait(self) -> None:
        number = NumberState(open_until=NOW, restricted_until=NOW)
        assert _decide(number=number, history=History(next_at=NOW)) == SendNow(UNPACED_ROOM)


class TestWindows:
    def test_inside(self) -> None:
        pacing = Pacing(windows=(Window("08:00", "20:00"),))
        campaign = CampaignState(timezone="America/Sao_Paulo")
        assert _decide(pacing, campaign=campaign, now=_local(2026, 11, 23, 8, 0)) == SendNow(UNPACED_ROOM)

    def test_before(self) -> None:
        pacing = Pacing(windows=(Window("08:00", "20:00"),))
        campaign = CampaignState(timezone="America/Sao_Paulo")
        expected = Wait(_local(2026, 11, 23, 8, 0), "outside_window")
        assert _decide(pacing, campaign=campaign, now=_local(2026, 11, 23, 7, 59, 59)) == expected

    def test_the_end_is_outside(self) -> None:
        pacing = Pacing(windows=(Window("08:00", "20:00"),))
        campaign = CampaignState(timezone="America/Sao_Paulo")
        expected = Wait(_local(2026, 11, 24, 8, 0), "outside_window")
        assert _decide(pacing, campaign=campaign, now=_local(2026, 11, 23, 20, 0)) == expected

    def test_midnight_at_the_end_lasts_the_whole_day(self) -> None:
        pacing = Pacing(windows=(Window("20:00", "24:00"),))
        campaign = CampaignState(timezone="America/Sao_Paulo")
        assert isinstance(_decide(pacing, campaign=campaign, now=_local(2026, 11, 23, 23, 59, 59)), SendNow)
        after = _decide(pacing, campaign=campaign, now=_local(2026, 11, 24, 0, 0))
        assert after == Wait(_local(2026, 11, 24, 20, 0), "outside_window")

    def test_over_several_days(self) -> None:
        pacing = Pacing(windows=(Window("09:00", "12:00", (4,)), Window("10:00", "11:00", (0,))))
        friday_noon = _local(2026, 11, 27, 12, 0)
        campaign = CampaignState(timezone="America/Sao_Paulo")
        expected = Wait(_local(2026, 11, 30, 10, 0), "outside_window")
        assert _decide(pacing, campaign=campaign, now=friday_noon) == expected

    def test_the_same_weekday_of_next_week(self) -> None:
        pacing = Pacing(windows=(Window("09:00", "12:00", (0,)),))
        expected = Wait(datetime(2026, 11, 30, 9, tzinfo=UTC), "outside_window")
        assert _decide(pacing, now=datetime(2026, 11, 23, 12, tzinfo=UTC)) == expected

    def test_two_windows_of_a_day(self) -> None:
        pacing = Pacing(windows=(Window("14:00", "18:00"), Window("08:00", "12:00")))
        expected = Wait(datetime(2026, 11, 23, 14, tzinfo=UTC), "outside_window")
        assert _decide(pacing, now=datetime(2026, 11, 23, 13, tzinfo=UTC)) == expected

    def test_clocks_go_forward_over_the_start(self) -> None:
        pacing = Pacing(windows=(Window("08:00", "20:00"),))
        campaign = CampaignState(timezone="America/New_York")
        saturday_night = _local(2026, 3, 7, 22, 0, zone=NEW_YORK)
        decision = _decide(pacing, campaign=campaign, now=saturday_night)
        assert decision == Wait(datetime(2026, 3, 8, 12, 0, tzinfo=UTC), "outside_window")

    def test_clocks_go_back_within_the_wait(self) -> None:
        pacing = Pacing(windows=(Window("01:45", "03:00"),))
        campaign = CampaignState(timezone="America/New_York")
        second_half_past_one = _local(2026, 11, 1, 1, 30, zone=NEW_YORK, fold=1)
        decision = _decide(pacing, campaign=campaign, now=second_half_past_one)
        assert decision == Wait(datetime(2026, 11, 1, 6, 45, tzinfo=UTC), "outside_window")


class TestCaps:
    @pytest.mark.parametrize(
        ("pacing", "campaign", "history", "reason", "until"),
        [
            (Pacing(per_hour=5), CampaignState(), History(hour=5), "number_hour_cap", _utc(2026, 11, 23, 15)),
            (Pacing(per_day=5), CampaignState(), History(day=5), "number_day_cap", _utc(2026, 11, 24)),
            (
                Pacing(campaign_per_day=5),
                CampaignState(),
                History(campaign_day=5),
                "campaign_day_cap",
                _utc(2026, 11, 24),
            ),
            (
                Pacing(campaign_per_hour=5),
                CampaignState(),
                History(campaign_hour=5),
                "campaign_hour_cap",
                _utc(2026, 11, 23, 15),
            ),
            (Pacing(), CampaignState(monthly_messages=5), History(month=5), "plan_cap", _utc(2026, 12, 1)),
            (Pacing(), CampaignState(monthly_messages=0), History(), "plan_cap", _utc(2026, 12, 1)),
            (Pacing(warm_up=True), CampaignState(), History(day=20), "warm_up_cap", _utc(2026, 11, 24)),
        ],
    )
    def test_reached(
        self, pacing: Pacing, campaign: CampaignState, history: History, reason: str, until: datetime
    ) -> None:
        assert _decide(pacing, campaign=campaign, history=history) == Wait(until, reason)

    def test_one_below(self) -> None:
        pacing = Pacing(per_hour=5, per_day=5, campaign_per_day=5)
        state = CampaignState(monthly_messages=5)
        assert _decide(pacing, campaign=state, history=History(hour=4, day=4, campaign_day=4, month=4)) == SendNow(1)

    def test_the_least_room_wins(self) -> None:
        pacing = Pacing(per_hour=60, per_day=200, campaign_per_day=30, warm_up=True)
        history = History(hour=50, day=8, campaign_day=5, month=90)
        decision = _decide(pacing, campaign=CampaignState(monthly_messages=100), history=history)
        assert decision == SendNow(10)

    @pytest.mark.parametrize(
        ("history", "reason"), [(History(hour=4), "number_hour_cap"), (History(day=9), "number_day_cap")]
    )
    def test_a_number_may_be_stricter_than_the_campaign(self, history: History, reason: str) -> None:
        number = NumberState(per_hour=4, per_day=9)
        decision = _decide(Pacing(per_hour=60, per_day=200), number=number, history=history)
        assert isinstance(decision, Wait)
        assert decision.reason == reason

    def test_a_number_may_not_be_laxer(self) -> None:
        number = NumberState(per_hour=60, per_day=200)
        decision = _decide(Pacing(per_hour=4, per_day=9), number=number, history=History(hour=4))
        assert decision == Wait(_utc(2026, 11, 23, 15), "number_hour_cap")

    def test_a_paced_campaign_sends_one_at_a_time(self) -> None:
        decision = _decide(Pacing(delay_min=2, delay_max=5, per_hour=60))
        assert isinstance(decision, SendNow)
        assert decision.room == 1


class TestPause:
    def test_lies_between_its_bounds(self) -> None:
        for seed in range(50):
            decision = decide(
                NOW,
                NumberState(),
                CampaignState(pacing=Pacing(delay_min=2, delay_max=5)),
                History(),
                _rng(seed),
            )
            assert isinstance(decision, SendNow)
            assert 2 <= decision.pause <= 5

    def test_equal_seeds_draw_equal_pauses(self) -> None:
        state = CampaignState(pacing=Pacing(delay_min=2, delay_max=5))
        drawn = {repr(decide(NOW, NumberState(), state, History(), _rng(7))) for _ in range(3)}
        assert len(drawn) == 1

    @pytest.mark.parametrize(("burst", "rest"), [(0, False), (18, False), (19, True), (25, True)])
    def test_rest_after_so_many(self, burst: int, rest: bool) -> None:  # noqa: FBT001 - a parameter of the table
        pacing = Pacing(delay_min=1, delay_max=1, rest_after=20, rest_seconds=600)
        assert _decide(pacing, history=History(burst=burst)) == SendNow(1, 601.0 if rest else 1.0, rest)

    def test_a_number_with_less_room_pauses_longer(self) -> None:
        pacing = Pacing(delay_min=10, delay_max=10)
        assert _decide(pacing, campaign=CampaignState(weight=0.25)) == SendNow(1, 40.0)

    def test_typing_alone_is_paced_without_a_pause(self) -> None:
        assert Pacing(typing=True).paced
        assert _decide(Pacing(typing=True)) == SendNow(1, 0.0)

    def test_rest_without_delays_is_paced(self) -> None:
        pacing = Pacing(rest_after=2, rest_seconds=30)
        assert pacing.paced
        assert _decide(pacing, history=History(burst=1)) == SendNow(1, 30.0, rest=True)

    def test_a_rest_of_nothing_is_not_paced(self) -> None:
        assert not Pacing(rest_after=2).paced


class TestWarmUp:
    @pytest.mark.parametrize(
        ("days", "cap"), [(0, 20), (3, 20), (4, 50), (7, 50), (8, 100), (14, 100), (15, 200), (21, 200), (22, None)]
    )
    def test_steps(self, days: int, cap: int | None) -> None:
        assert warm_up_cap(NOW, NOW - timedelta(days=days)) == cap

    def test_the_last_second_of_a_step(self) -> None:
        assert warm_up_cap(NOW, NOW - timedelta(days=4) + timedelta(seconds=1)) == 20

    def test_a_number_never_connected_is_young(self) -> None:
        assert warm_up_cap(NOW, None) == 20

    def test_the_ramp_may_be_ones_own(self) -> None:
        pacing = Pacing(warm_up=True, warm_up_days=10, warm_up_ramp=(RampStep(5, 40), RampStep(1, 10)))
        caps = [warm_up_cap(NOW, NOW - timedelta(days=days), pacing) for days in (0, 1, 4, 5, 9, 10)]
        assert caps == [None, 10, 10, 40, 40, None]

    def test_the_smallest_of_ramp_and_caps_wins(self) -> None:
        pacing = Pacing(warm_up=True, per_day=30)
        young = NumberState(first_connected_at=NOW)
        assert _decide(pacing, number=young, history=History(day=20)) == Wait(_utc(2026, 11, 24), "warm_up_cap")
        older = NumberState(first_connected_at=NOW - timedelta(days=4))
        assert _decide(pacing, number=older, history=History(day=30)) == Wait(_utc(2026, 11, 24), "number_day_cap")

    def test_a_connection_a_moment_ahead_is_young(self) -> None:
        assert warm_up_cap(NOW, NOW + timedelta(milliseconds=3)) == 20


class TestRestriction:
    RESTRICTED = NumberState(restricted_until=NOW + timedelta(hours=1))

    def test_only_people_who_have_written_to_the_number(self) -> None:
        assert _decide(number=self.RESTRICTED) == SendNow(UNPACED_ROOM, known_only=True)

    def test_a_stranger_waits_for_its_end(self) -> None:
        stranger, known = RecipientHistory(knows_number=False), RecipientHistory(knows_number=True)
        assert _about(stranger, number=self.RESTRICTED) == Wait(NOW + timedelta(hours=1), "number_restricted")
        assert _about(known, number=self.RESTRICTED) == SendNow(UNPACED_ROOM, known_only=True)

    def test_without_one_a_stranger_is_written_to(self) -> None:
        assert _about(RecipientHistory(knows_number=False)) == SendNow(UNPACED_ROOM)


def _about(
    person: RecipientHistory,
    pacing: Pacing | None = None,
    *,
    now: datetime = NOW,
    number: NumberState | None = None,
    campaign: CampaignState | None = None,
) -> Decision:
    state = msgspec.structs.replace(campaign or CampaignState(), pacing=pacing or Pacing())
    return decide(now, number or NumberState(), state, History(), _rng(), person)


class TestPerson:
    def test_had_too_many_without_an_answer(self) -> None:
        pacing = Pacing(unanswered_max=3)
        assert _about(RecipientHistory(unanswered=3), pacing) == Skip("unanswered_cap")
        assert _about(RecipientHistory(unanswered=2), pacing) == SendNow(UNPACED_ROOM)

    def test_had_a_message_of_another_campaign_lately(self) -> None:
        pacing = Pacing(contact_gap_hours=6)
        lately = RecipientHistory(other_campaign_at=NOW - timedelta(hours=5))
        assert _about(lately, pacing) == Wait(NOW + timedelta(hours=1), "contact_gap")
        assert _about(RecipientHistory(other_campaign_at=NOW - timedelta(hours=6)), pacing) == SendNow(UNPACED_ROOM)

    def test_had_the_days_messages(self) -> None:
        pacing = Pacing(contact_per_day=2)
        assert _about(RecipientHistory(day=2), pacing) == Wait(_utc(2026, 11, 24), "contact_day_cap")
        assert _about(RecipientHistory(day=1), pacing) == SendNow(UNPACED_ROOM)

    def test_the_reason_is_what_ends_last(self) -> None:
        pacing = Pacing(contact_per_day=1, contact_gap_hours=24)
        person = RecipientHistory(day=1, other_campaign_at=NOW - timedelta(hours=1))
        assert _about(person, pacing) == Wait(NOW + timedelta(hours=23), "contact_gap")

    def test_who_is_not_free_soon_enough_is_skipped(self) -> None:
        pacing = Pacing(contact_gap_hours=72, contact_wait_hours=48)
        lately = RecipientHistory(other_campaign_at=NOW - timedelta(hours=23))
        assert _about(lately, pacing) == Skip("contact_gap")
        earlier = RecipientHistory(other_campaign_at=NOW - timedelta(hours=24))
        assert _about(earlier, pacing) == Wait(NOW + timedelta(hours=48), "contact_gap")


class TestRecipientZones:
    PACING = Pacing(window_zone="recipient", windows=(Window("08:00", "20:00"),))
    CAMPAIGN = CampaignState(pacing=PACING, timezone="UTC", zones=("Asia/Tokyo", "America/Sao_Paulo", "UTC"))

    def test_one_open_zone_is_enough_for_the_number(self) -> None:
        assert _decide(self.PACING, campaign=self.CAMPAIGN) == SendNow(UNPACED_ROOM)

    def test_with_none_open_it_waits_for_the_first(self) -> None:
        midnight = datetime(2026, 11, 23, 3, tzinfo=UTC)
        west = msgspec.structs.replace(self.CAMPAIGN, zones=("America/Sao_Paulo", "UTC"))
        expected = Wait(datetime(2026, 11, 23, 8, tzinfo=UTC), "outside_window")
        assert _decide(self.PACING, campaign=west, now=midnight) == expected

    def test_that_of_the_recipient_counts_for_the_recipient(self) -> None:
        person = RecipientHistory(zone="Asia/Tokyo")
        expected = Wait(datetime(2026, 11, 23, 23, tzinfo=UTC), "outside_window")
        assert _about(person, self.PACING, campaign=self.CAMPAIGN) == expected
        assert _about(RecipientHistory(zone="UTC"), self.PACING, campaign=self.CAMPAIGN) == SendNow(UNPACED_ROOM)
        assert _about(RecipientHistory(), self.PACING, campaign=self.CAMPAIGN) == SendNow(UNPACED_ROOM)

    def test_holidays_are_kept_by_it_too(self) -> None:
        pacing = Pacing(window_zone="recipient", holidays=Holidays(dates=(NOW.date(),)))
        tomorrow = datetime(2026, 11, 23, 15, tzinfo=UTC)
        person = RecipientHistory(zone="Asia/Tokyo")
        campaign = CampaignState(zones=("Asia/Tokyo",))
        assert _about(person, pacing, campaign=campaign) == Wait(tomorrow, "outside_window")

    def test_the_closed_ones_are_named_with_their_opening(self) -> None:
        assert closed_zones(NOW, self.CAMPAIGN) == {"Asia/Tokyo": datetime(2026, 11, 23, 23, tzinfo=UTC)}

    def test_the_tenants_stands_for_whoever_has_none(self) -> None:
        night = datetime(2026, 11, 23, 21, tzinfo=UTC)
        campaign = msgspec.structs.replace(self.CAMPAIGN, zones=("America/Sao_Paulo",))
        assert closed_zones(night, campaign) == {"": datetime(2026, 11, 24, 8, tzinfo=UTC)}

    def test_there_are_none_where_windows_go_by_the_tenant(self) -> None:
        pacing = Pacing(windows=(Window("20:00", "21:00"),))
        assert closed_zones(NOW, CampaignState(pacing=pacing, zones=("UTC",))) == {}


class TestShares:
    @pytest.mark.parametrize(
        ("rooms", "expected"),
        [
            ({1: 100, 2: 200}, 0.5),
            ({1: 200, 2: 100}, 1.0),
            ({1: None, 2: 100}, 1.0),
            ({1: 100, 2: None}, 1.0),
            ({1: 1, 2: 1000}, 0.05),
            ({2: 100}, 1.0),
            ({}, 1.0),
        ],
    )
    def test_are_of_the_roomiest(self, rooms: dict[int, int | None], expected: float) -> None:
        assert share_of_room(rooms, 1) == expected


class TestTyping:
    @pytest.mark.parametrize(("length", "least", "most"), [(0, 1, 1), (10, 1, 1), (80, 5, 8), (1000, 12, 12)])
    def test_lasts_as_long_as_a_person_needs(self, length: int, least: float, most: float) -> None:
        for seed in range(20):
            assert least <= typing_seconds("x" * length, _rng(seed)) <= most


class TestPeriods:
    def test_hour(self) -> None:
        assert next_period(NOW, ZoneInfo("UTC"), "hour") == datetime(2026, 11, 23, 15, tzinfo=UTC)

    def test_hour_of_a_zone_with_odd_minutes(self) -> None:
        zone = ZoneInfo("Asia/Kathmandu")
        assert next_period(NOW, zone, "hour") == datetime(2026, 11, 23, 15, 15, tzinfo=UTC)

    def test_day_begins_at_midnight_of_the_zone(self) -> None:
        assert next_period(NOW, SAO_PAULO, "day") == datetime(2026, 11, 24, 3, tzinfo=UTC)

    def test_a_day_began_at_midnight_of_the_zone(self) -> None:
        assert day_start(NOW, SAO_PAULO) == datetime(2026, 11, 23, 3, tzinfo=UTC)
        assert day_start(datetime(2026, 11, 23, 2, tzinfo=UTC), SAO_PAULO) == datetime(2026, 11, 22, 3, tzinfo=UTC)

    def test_month_rolls_over_the_year(self) -> None:
        december = datetime(2026, 12, 31, 23, 59, tzinfo=SAO_PAULO)
        assert next_period(december, SAO_PAULO, "month") == datetime(2027, 1, 1, 3, tzinfo=UTC)

    def test_month_of_january_31(self) -> None:
        assert next_period(datetime(2026, 1, 31, 12, tzinfo=UTC), ZoneInfo("UTC"), "month") == datetime(
            2026, 2, 1, tzinfo=UTC
        )

    def test_keys(self) -> None:
        moment = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)
        keys = [period_key(moment, SAO_PAULO, period) for period in ("hour", "day", "month")]
        assert keys == ["2026-11-30T22", "2026-11-30", "2026-11"]

    def test_an_hour_that_comes_twice_is_one_period(self) -> None:
        first = _local(2026, 11, 1, 1, 30, zone=NEW_YORK)
        assert next_period(first, NEW_YORK, "hour") == datetime(2026, 11, 1, 7, 0, tzinfo=UTC)
        second = first + timedelta(hours=1)
        assert period_key(first, NEW_YORK, "hour") == period_key(second, NEW_YORK, "hour")

    @given(
        _moments(2018, 2030),
        st.sampled_from(ZONES),
        st.sampled_from(("hour", "day", "month")),
    )
    def test_the_next_period_has_another_key_and_lies_ahead(self, now: datetime, name: str, period: str) -> None:
        zone = ZoneInfo(name)
        begin = next_period(now, zone, period)  # type: ignore[arg-type]
        assert begin > now
        assert period_key(begin, zone, period) != period_key(now, zone, period)  # type: ignore[arg-type]
        assert period_key(begin - timedelta(microseconds=1), zone, period) == period_key(now, zone, period)  # type: ignore[arg-type]


@st.composite
def _windows(draw: st.DrawFn) -> Window:
    start, end = sorted(draw(st.lists(st.integers(0, 24 * 60), min_size=2, max_size=2, unique=True)))
    weekdays = draw(st.lists(st.integers(0, 6), min_size=1, unique=True))
    return Window(f"{start // 60:02}:{start % 60:02}", f"{end // 60:02}:{end % 60:02}", tuple(weekdays))


_caps = st.none() | st.integers(1, 50)
_pacings = st.builds(
    Pacing,
    delay_min=st.floats(0, 5),
    delay_max=st.floats(5, 10) | st.just(0.0),
    rest_after=st.integers(0, 3),
    rest_seconds=st.floats(0, 60),
    per_hour=_caps,
    per_day=_caps,
    campaign_per_day=_caps,
    windows=st.lists(_windows(), max_size=3).map(tuple),
    warm_up=st.booleans(),
)


class TestEveryDecision:
    @given(
        now=_moments(2026, 2027),
        pacing=_pacings,
        zone=st.sampled_from(ZONES),
        monthly=st.none() | st.integers(0, 50),
        used=st.tuples(*[st.integers(0, 60)] * 4),
        first_connected=st.none() | _moments(2026, 2027),
    )
    def test_never_passes_a_cap_and_never_waits_for_the_past(
        self,
        now: datetime,
        pacing: Pacing,
        zone: str,
        monthly: int | None,
        used: tuple[int, int, int, int],
        first_connected: datetime | None,
    ) -> None:
        hour, day, campaign_day, month = used
        history = History(hour=hour, day=day, campaign_day=campaign_day, month=month)
        campaign = CampaignState(pacing=pacing, timezone=zone, monthly_messages=monthly)
        number = NumberState(first_connected_at=first_connected)
        decision = decide(now, number, campaign, history, _rng())
        assert not isinstance(decision, Stop | Skip)
        if isinstance(decision, Wait):
            assert decision.until > now
            assert ("blockers", decision.reason) in sources()
            return
        assert decision.room >= 1
        warm = warm_up_cap(now, first_connected) if pacing.warm_up else None
        for cap, count in (
            (pacing.per_hour, hour),
            (pacing.per_day, day),
            (warm, day),
            (pacing.campaign_per_day, campaign_day),
            (monthly, month),
        ):
            assert cap is None or count + decision.room <= cap

    @given(
        now=_moments(2026, 2027),
        windows=st.lists(_windows(), min_size=1, max_size=3).map(tuple),
        zone=st.sampled_from(ZONES),
    )
    def test_waiting_for_windows_ends(self, now: datetime, windows: tuple[Window, ...], zone: str) -> None:
        campaign = CampaignState(pacing=Pacing(windows=windows), timezone=zone)
        for _ in range(3):
            decision = decide(now, NumberState(), campaign, History(), _rng())
            if isinstance(decision, SendNow):
                return
            assert isinstance(decision, Wait)
            assert decision.until - now <= timedelta(days=8)
            now = decision.until
        raise AssertionError("three waits led into no window")


class TestSettings:
    @pytest.mark.parametrize("start", ["8:00", "24:00", "08:60", "0800", "08:00:00", "08:00+02:00", "", "noon"])
    def test_start_is_hours_and_minutes(self, start: str) -> None:
        with pytest.raises(msgspec.ValidationError, match=r"windows\[0\].start"):
            msgspec.convert({"windows": [{"start": start, "end": "23:00"}]}, Pacing)

    @pytest.mark.parametrize("end", ["24:01", "25:00", "24:00:00", "7"])
    def test_end_is_hours_and_minutes_or_midnight(self, end: str) -> None:
        with pytest.raises(msgspec.ValidationError, match=r"windows\[0\].end"):
            msgspec.convert({"windows": [{"start": "08:00", "end": end}]}, Pacing)

    def test_a_window_has_a_weekday(self) -> None:
        with pytest.raises(msgspec.ValidationError, match="weekdays"):
            msgspec.convert({"windows": [{"start": "08:00", "end": "24:00", "weekdays": []}]}, Pacing)

    def test_the_default_is_paced_and_warms_up(self) -> None:
        assert DEFAULT_PACING.paced
        assert DEFAULT_PACING.warm_up


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0, 3 * 86_400)),
        st.tuples(st.just("send"), st.integers(1, 30)),
        st.tuples(st.just("wait"), st.just(0)),
        st.tuples(st.just("connected"), st.booleans()),
    ),
    max_size=60,
)


class TestAnySequence:
    """Whatever happens in whatever order, what ``decide`` let go kept every rule."""

    @settings(deadline=None)
    @given(
        begin=st.tuples(_moments(2026, 2027), st.none() | _moments(2026, 2027)),
        pacing=_pacings,
        zone=st.sampled_from(ZONES),
        monthly=st.none() | st.integers(0, 50),
        events=EVENTS,
    )
    def test_keeps_caps_windows_and_gaps(
        self,
        begin: tuple[datetime, datetime | None],
        pacing: Pacing,
        zone: str,
        monthly: int | None,
        events: list[tuple[str, float]],
    ) -> None:
        start, first_connected = begin
        campaign = CampaignState(pacing=pacing, timezone=zone, monthly_messages=monthly)
        run = _Run(start, campaign, NumberState(first_connected_at=first_connected), _rng(start.second))
        for kind, value in events:
            run.do(kind, value)
        run.check()

    def test_of_sends_sends_as_much_as_the_rules_allow(self) -> None:
        campaign = CampaignState(pacing=Pacing(per_hour=7, per_day=20, windows=(Window("08:00", "20:00"),)))
        run = _Run(datetime(2026, 11, 23, tzinfo=UTC), campaign, NumberState(), _rng())
        for _ in range(200):
            run.do("send", 2)
            run.do("pass", 600)
        run.check()
        # 33 hours: 20 on the Monday, and on the Tuesday 7 from 8 to 9 h and 4 more until 9:10 h.
        assert len(run.sent) == 20 + 7 + 4


class _Run:
    """One number under ``decide``, and what it sent."""

    def __init__(self, now: datetime, campaign: CampaignState, number: NumberState, rng: random.Random) -> None:
        self.now = now
        self.campaign = campaign
        self.number = number
        self.rng = rng
        self.sent: list[datetime] = []
        self.rests: list[int] = []
        """After how many messages each rest came."""
        self.next_at: datetime | None = None
        self.burst = 0
        self.until = now

    def do(self, kind: str, value: float) -> None:
        if kind == "pass":
            self.now += timedelta(seconds=value)
        elif kind == "wait":
            self.now = max(self.now, self.until)
        elif kind == "connected":
            self.number = msgspec.structs.replace(self.number, connected=bool(value))
        else:
            self._send(int(value))

    def _send(self, most: int) -> None:
        decision = decide(self.now, self.number, self.campaign, self._history(), self.rng)
        assert isinstance(decision, Stop) == (not self.number.connected)
        if isinstance(decision, Wait):
            self.until = decision.until
        if isinstance(decision, SendNow):
            self.sent += [self.now] * min(most, decision.room)
            if self.campaign.pacing.paced:
                self.next_at = self.now + timedelta(seconds=decision.pause)
                self.burst = 0 if decision.rest else self.burst + 1
                self.rests += [len(self.sent)] if decision.rest else []

    def _history(self) -> History:
        month, day, hour = (self._count(period, self.now) for period in ("month", "day", "hour"))
        return History(
            next_at=self.next_at,
            hour=hour,
            day=day,
            campaign_hour=hour,
            campaign_day=day,
            month=month,
            burst=self.burst,
        )

    def _count(self, period: str, moment: datetime) -> int:
        zone = self.campaign.zone
        key = period_key(moment, zone, period)  # type: ignore[arg-type]
        return sum(period_key(sent, zone, period) == key for sent in self.sent)  # type: ignore[arg-type]

    def check(self) -> None:
        pacing, zone = self.campaign.pacing, self.campaign.zone
        for moment in set(self.sent):
            warm = warm_up_cap(moment, self.number.first_connected_at) if pacing.warm_up else None
            for period, cap in (
                ("hour", pacing.per_hour),
                ("day", pacing.per_day),
                ("day", pacing.campaign_per_day),
                ("month", self.campaign.monthly_messages),
            ):
                assert cap is None or self._count(period, moment) <= cap
            until_then = [sent for sent in self.sent if sent <= moment]
            day = period_key(moment, zone, "day")
            assert warm is None or sum(period_key(sent, zone, "day") == day for sent in until_then) <= warm
            local = moment.astimezone(zone)
            clock = local.strftime("%H:%M")
            assert not pacing.windows or any(
                window.start <= clock < window.end and local.weekday() in window.weekdays for window in pacing.windows
            )
        if pacing.paced:
            for place, (one, other) in enumerate(itertools.pairwise(self.sent), start=1):
                rest = pacing.rest_seconds if place in self.rests else 0.0
                assert (other - one).total_seconds() >= pacing.delay_min + rest - 0.001
            if pacing.rest_after and pacing.rest_seconds:
                bursts = [later - earlier for earlier, later in itertools.pairwise([0, *self.rests])]
                assert all(length <= pacing.rest_after for length in bursts)
