import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import breakers
from core.campaigns.breakers import BREAKER_SECONDS, PROBE, UNKNOWN_IN_A_ROW, Breaker, ServerBreakers, back_off
from tests.core.campaigns.making import lane_row, running
from tests.factories import Member

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
SERVER = 7

pytestmark = pytest.mark.usefixtures("provider")


async def _row(server_id: int = SERVER) -> Any:
    return await database.fetch_row("SELECT * FROM server_breakers WHERE server_id = $1", server_id)


def _later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 2), (1, 5), (2, 15), (3, 30), (4, 60), (40, 60)])
def test_each_fault_in_a_row_waits_longer_up_to_a_minute(failures: int, seconds: float) -> None:
    assert back_off(failures) == seconds
    assert max(BREAKER_SECONDS) == 60


class TestTrip:
    async def test_opens(self) -> None:
        assert await breakers.trip(NOW, SERVER, 2, "down") == Breaker(1, _later(2))
        row = await _row()
        assert (row["failures"], row["open_until"], row["reason"]) == (1, _later(2), "down")
        assert await breakers.load([SERVER, 8]) == {SERVER: Breaker(1, _later(2))}

    async def test_faults_of_messages_in_the_air_together_count_as_one(self) -> None:
        await breakers.trip(NOW, SERVER, 2, "down")
        assert await breakers.trip(_later(1), SERVER, 2, "down") == Breaker(1, _later(3))

    async def test_a_fault_after_it_was_tried_again_is_the_next(self) -> None:
        await breakers.trip(NOW, SERVER, 2, "down")
        assert await breakers.trip(_later(2), SERVER, 5, "down") == Breaker(2, _later(7))

    async def test_a_shorter_pause_takes_nothing_from_a_longer(self) -> None:
        await breakers.trip(NOW, SERVER, 600, "slow_down")
        assert (await breakers.trip(_later(1), SERVER, 2, "down")).open_until == _later(600)


class TestProbe:
    async def test_one_wins_when_the_time_is_up(self) -> None:
        await breakers.trip(NOW, SERVER, 2, "down")
        found = await asyncio.gather(*(breakers.probe(_later(2), [SERVER]) for _ in range(5)))
        assert sorted(map(len, found)) == [0, 0, 0, 0, 1]
        assert (await _row())["open_until"] == _later(2) + PROBE

    async def test_nobody_wins_before(self) -> None:
        await breakers.trip(NOW, SERVER, 2, "down")
        assert await breakers.probe(_later(1.9), [SERVER]) == set()

    async def test_given_back_it_can_be_won_again(self) -> None:
        await breakers.trip(NOW, SERVER, 2, "down")
        await breakers.probe(_later(2), [SERVER])
        await breakers.give_back(_later(3), [SERVER])
        assert await breakers.probe(_later(3), [SERVER]) == {SERVER}

    async def test_a_probe_that_never_ended_is_tried_again(self) -> None:
        await breakers.trip(NOW, SERVER, 2, "down")
        await breakers.probe(_later(2), [SERVER])
        assert await breakers.probe(_later(2) + PROBE, [SERVER]) == {SERVER}


class TestClose:
    async def test_forgets_the_faults_and_wakes_every_lane_of_the_server(self, user: Member) -> None:
        made = await running(user, numbers=2)
        first, second = made.number_ids
        server_id = await database.fetch_value("SELECT server_id FROM numbers WHERE id = $1", first)
        assert isinstance(server_id, int)
        await database.execute("UPDATE lanes SET due_at = NULL")
        before = [(await lane_row(number_id))["wakes"] for number_id in (first, second)]
        await breakers.trip(NOW, server_id, 2, "down")
        await breakers.close(_later(3), server_id)
        row = await _row(server_id)
        assert (row["failures"], row["open_until"], row["reason"]) == (0, None, "")
        assert [(await lane_row(number_id))["wakes"] for number_id in (first, second)] == [before[0] + 1, before[1]]
        assert (await lane_row(first))["due_at"] == _later(3)

    async def test_of_one_that_is_closed_wakes_nobody(self, user: Member) -> None:
        made = await running(user)
        before = await lane_row(made.number_ids[0])
        await breakers.close(NOW, SERVER)
        assert await lane_row(made.number_ids[0]) == before


class TestOneProcess:
    async def test_what_another_wrote_is_known_after_a_refresh(self) -> None:
        known = ServerBreakers()
        await breakers.trip(NOW, SERVER, 2, "down")
        assert known.open_until(SERVER, NOW) is None
        await known.refresh({SERVER})
        assert known.open_until(SERVER, NOW) == _later(2)
        assert known.open_until(SERVER, _later(2)) is None

    async def test_faults_grow_the_pause(self) -> None:
        known = ServerBreakers()
        moment = NOW
        for seconds in (2, 5, 15, 30, 60, 60):
            await known.fault(moment, SERVER, 0, "down")
            assert known.open_until(SERVER, moment) == moment + timedelta(seconds=seconds)
            moment += timedelta(seconds=seconds)

    async def test_what_the_server_asks_for_is_done(self) -> None:
        known = ServerBreakers()
        await known.fault(NOW, SERVER, 600, "slow_down")
        assert known.open_until(SERVER, NOW) == _later(600)

    async def test_so_many_lost_answers_in_a_row_are_a_fault(self) -> None:
        known = ServerBreakers()
        for _ in range(UNKNOWN_IN_A_ROW - 1):
            await known.lost_answer(NOW, SERVER)
        assert await _row() is None
        await known.lost_answer(NOW, SERVER)
        assert ((await _row())["failures"], (await _row())["reason"]) == (1, "lost_answers")

    async def test_an_answer_between_them_begins_the_count_anew(self) -> None:
        known = ServerBreakers()
        for _ in range(UNKNOWN_IN_A_ROW - 1):
            await known.lost_answer(NOW, SERVER)
        await known.works(NOW, SERVER)
        for _ in range(UNKNOWN_IN_A_ROW - 1):
            await known.lost_answer(NOW, SERVER)
        assert await _row() is None

    async def test_a_probe_keeps_the_process_itself_waiting(self) -> None:
        known = ServerBreakers()
        await known.fault(NOW, SERVER, 0, "down")
        assert await known.win_probes(_later(1), {SERVER, 8}) == set()
        assert await known.win_probes(_later(2), {SERVER, 8}) == {SERVER}
        assert await known.win_probes(_later(3), {SERVER, 8}) == set()
        await known.give_back(_later(3), [SERVER])
        assert await known.win_probes(_later(3), {SERVER, 8}) == {SERVER}

    async def test_a_good_answer_closes_it(self) -> None:
        known = ServerBreakers()
        await known.fault(NOW, SERVER, 0, "down")
        await known.works(_later(1), SERVER)
        assert known.open_until(SERVER, _later(1)) is None
        assert (await _row())["open_until"] is None

    async def test_after_it_was_closed_the_first_fault_is_the_first_again(self) -> None:
        known = ServerBreakers()
        await known.fault(NOW, SERVER, 0, "down")
        await known.fault(_later(2), SERVER, 0, "down")
        await known.works(_later(7), SERVER)
        await known.fault(_later(8), SERVER, 0, "down")
        assert (await _row())["failures"] == 1
        assert known.open_until(SERVER, _later(8)) == _later(10)
