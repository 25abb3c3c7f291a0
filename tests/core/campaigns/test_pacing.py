import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.campaigns.explain import TEXTS
from core.campaigns.pacing import (
    DEFAULT_PACING,
    UNPACED_ROOM,
    CampaignState,
    Decision,
    History,
    NumberState,
    Pacing,
    SendNow,
    Stop,
    Wait,
    Window,
    decide,
    next_period,
    period_key,
    warm_up_cap,
)

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
            (NumberState(restricted_until=NOW + timedelta(seconds=1)), History(), "number_restricted"),
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

    def test_a_connection_a_moment_ahead_is_young(self) -> None:
        assert warm_up_cap(NOW, NOW + timedelta(milliseconds=3)) == 20


class TestPeriods:
    def test_hour(self) -> None:
        assert next_period(NOW, ZoneInfo("UTC"), "hour") == datetime(2026, 11, 23, 15, tzinfo=UTC)

    def test_hour_of_a_zone_with_odd_minutes(self) -> None:
        zone = ZoneInfo("Asia/Kathmandu")
        assert next_period(NOW, zone, "hour") == datetime(2026, 11, 23, 15, 15, tzinfo=UTC)

    def test_day_begins_at_midnight_of_the_zone(self) -> None:
        assert next_period(NOW, SAO_PAULO, "day") == datetime(2026, 11, 24, 3, tzinfo=UTC)

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
        assert not isinstance(decision, Stop)
        if isinstance(decision, Wait):
            assert decision.until > now
            assert decision.reason in TEXTS
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
