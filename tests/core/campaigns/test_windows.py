from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.campaigns.windows import LOOK_AHEAD_DAYS, Holidays, Window, next_opening, public_holidays

UTC_ZONE = ZoneInfo("UTC")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday."""
DAYTIME = (Window("08:00", "20:00"),)


class TestNextOpening:
    def test_is_now_inside_a_window(self) -> None:
        assert next_opening(NOON, DAYTIME, None, UTC_ZONE) == NOON

    def test_is_now_without_windows(self) -> None:
        assert next_opening(NOON, (), None, UTC_ZONE) == NOON

    def test_the_start_is_inside_and_the_end_is_not(self) -> None:
        begin = datetime(2026, 11, 23, 8, tzinfo=UTC)
        assert next_opening(begin, DAYTIME, None, UTC_ZONE) == begin
        assert next_opening(datetime(2026, 11, 23, 20, tzinfo=UTC), DAYTIME, None, UTC_ZONE) == begin + timedelta(
            days=1
        )

    def test_goes_by_the_clock_of_the_zone(self) -> None:
        early = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
        assert next_opening(early, DAYTIME, None, UTC_ZONE) == early
        assert next_opening(early, DAYTIME, None, SAO_PAULO) == datetime(2026, 11, 23, 11, tzinfo=UTC)

    def test_the_second_window_of_a_day(self) -> None:
        windows = (Window("08:00", "11:00"), Window("14:00", "18:00"))
        assert next_opening(NOON, windows, None, UTC_ZONE) == datetime(2026, 11, 23, 14, tzinfo=UTC)

    def test_keeps_the_zone_of_the_moment_it_was_given(self) -> None:
        moment = datetime(2026, 11, 23, 5, tzinfo=UTC).astimezone(SAO_PAULO)
        assert next_opening(moment, DAYTIME, None, UTC_ZONE).tzinfo is SAO_PAULO

    def test_a_calendar_that_never_opens_waits_a_year_and_more(self) -> None:
        every_day = Holidays(dates=tuple(NOON.date() + timedelta(days=day) for day in range(200)))
        mondays = (Window("08:00", "09:00", (0,)),)
        found = next_opening(NOON, mondays, every_day, UTC_ZONE)
        assert found == datetime(2027, 6, 14, 8, tzinfo=UTC)
        assert LOOK_AHEAD_DAYS == 400

    def test_an_hour_that_comes_twice_opens_once_ahead(self) -> None:
        new_york = ZoneInfo("America/New_York")
        second = datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
        assert next_opening(second, (Window("01:45", "02:30"),), None, new_york) == datetime(
            2026, 11, 1, 6, 45, tzinfo=UTC
        )

    def test_an_hour_that_is_left_out_opens_after_it(self) -> None:
        new_york = ZoneInfo("America/New_York")
        before = datetime(2026, 3, 8, 6, tzinfo=UTC)
        found = next_opening(before, (Window("02:30", "04:00"),), None, new_york)
        assert found == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)

    @settings(deadline=None)
    @given(
        st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds
        st.integers(0, 23),
        st.sets(st.integers(0, 6), min_size=1),
        st.sampled_from(["America/New_York", "America/Santiago", "Europe/Lisbon", "Australia/Lord_Howe"]),
    )
    def test_what_it_gives_is_open(self, now: datetime, hour: int, weekdays: set[int], name: str) -> None:
        zone = ZoneInfo(name)
        windows = (Window(f"{hour:02}:00", f"{hour:02}:59", tuple(weekdays)),)
        closed_on = Holidays(country="US")
        found = next_opening(now, windows, closed_on, zone)
        assert found >= now
        assert next_opening(found, windows, closed_on, zone) == found
        assert found.astimezone(zone).weekday() in weekdays
        assert not closed_on.has(found.astimezone(zone).date())


class TestHolidays:
    def test_of_a_country(self) -> None:
        assert Holidays(country="BR").has(date(2026, 12, 25))
        assert not Holidays(country="BR").has(date(2026, 7, 9))

    def test_of_a_part_of_it(self) -> None:
        assert Holidays(country="BR", subdivision="SP").has(date(2026, 7, 9))

    def test_of_ones_own(self) -> None:
        assert Holidays(dates=(date(2026, 11, 24),)).has(date(2026, 11, 24))
        assert not Holidays(dates=(date(2026, 11, 24),)).has(date(2026, 11, 25))

    def test_of_no_country_there_are_none(self) -> None:
        assert not Holidays().has(date(2026, 12, 25))

    def test_are_passed_over(self) -> None:
        christmas = datetime(2026, 12, 25, 12, tzinfo=UTC)
        found = next_opening(christmas, DAYTIME, Holidays(country="BR"), UTC_ZONE)
        assert found == datetime(2026, 12, 26, 8, tzinfo=UTC)

    def test_are_those_of_the_day_in_the_zone(self) -> None:
        late = datetime(2026, 12, 25, 2, tzinfo=UTC)
        """Still the 24th in São Paulo."""
        assert next_opening(late, (), Holidays(country="BR"), SAO_PAULO) == late
        assert next_opening(late, (), Holidays(country="BR"), UTC_ZONE) == datetime(2026, 12, 26, tzinfo=UTC)

    def test_an_unknown_country_is_told(self) -> None:
        with pytest.raises(NotImplementedError):
            public_holidays("XX", None, 2026)

    @pytest.mark.parametrize("given", [{"country": "Brazil"}, {"country": "br"}, {"dates": ["25/12/2026"]}, {"x": 1}])
    def test_are_written_as_codes_and_dates(self, given: dict[str, object]) -> None:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(given, Holidays)
