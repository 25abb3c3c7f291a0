import asyncio
from datetime import datetime
from typing import Any

import msgspec
import pytest

from core import database
from core.campaigns.breakers import ServerBreakers
from core.campaigns.claims import claim
from core.campaigns.outcomes import Context, settle
from core.campaigns.recording import Recorder, Result
from core.campaigns.turns import HeldLane
from core.clock import DatabaseClock
from core.plugin import Accepted, Outcome, Retryable, SenderStopped, Unknown
from tests.core.campaigns.making import HOLDER, Made, hold, lane_row, now, running, states, used, want
from tests.factories import Member


class Records:
    """A recorder at work, and results for it."""

    def __init__(self, made: Made, lane: HeldLane, results: list[Result]) -> None:
        self.made = made
        self.lane = lane
        self.results = results
        self.recorded = asyncio.Event()
        self.recorder = Recorder(DatabaseClock(), 0, ServerBreakers(), self.recorded.set)

    async def write(self, *results: Result) -> None:
        """Record ``results`` and end."""
        self.recorder.start()
        for result in results:
            self.recorder.add(result)
        await self.recorder.stop()


async def _claimed(user: Member, outcome: Outcome, *, contacts: int = 3) -> Records:
    made = await running(user, contacts=contacts, messages=("a", "b"), delays=(0, 60))
    moment = await now()
    (lane,) = await hold(made, moment)
    wanted = want(lane, moment)
    rows = (await claim(moment, HOLDER, [wanted])).claimed
    lane.in_flight = len(rows)
    results = [
        Result(lane, lane.campaigns[0], row, settle(row, outcome, _context(moment)), wanted.caps) for row in rows
    ]
    return Records(made, lane, results)


def _context(moment: datetime) -> Context:
    return Context(now=moment, lease_until=moment, receipts=True, unknown_grace=moment - moment)


class TestWrite:
    async def test_every_result_once(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)))
        await records.write(*records.results)
        assert await states(records.made.id) == ["accepted"] * 3 + ["pending"] * 3
        assert records.lane.in_flight == 0
        assert records.recorded.is_set()

    async def test_more_than_a_batch(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)), contacts=10)
        for result in records.results[:5]:
            records.recorder.add(result)
        await records.write(*records.results[5:])
        assert (await states(records.made.id)).count("accepted") == 10

    async def test_without_being_asked_to_end(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)), contacts=1)
        records.recorder.start()
        records.recorder.add(records.results[0])
        async with asyncio.timeout(5):
            await records.recorded.wait()
        assert (await states(records.made.id))[0] == "accepted"
        await records.recorder.stop()

    async def test_the_next_step_opens_its_turn(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)), contacts=1)
        turn = records.lane.campaigns[0]
        turn.exhausted = True
        await records.write(*records.results)
        assert not turn.exhausted
        assert turn.not_before is not None
        assert turn.not_before > await now()


class TestTrouble:
    async def test_a_row_the_database_refuses_is_let_go_alone(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)))
        first, second, third = records.results
        settled = msgspec.structs.replace(
            second.settled, transition=msgspec.structs.replace(second.settled.transition, reason="x" * 61)
        )
        await records.write(first, msgspec.structs.replace(second, settled=settled), third)
        assert (await states(records.made.id))[:3] == ["accepted", "leased", "accepted"]
        assert records.lane.in_flight == 0

    async def test_a_row_that_cannot_be_encoded_is_let_go_alone(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)))
        first, second, third = records.results
        settled = msgspec.structs.replace(
            second.settled, transition=msgspec.structs.replace(second.settled.transition, code="\ud800")
        )
        await records.write(first, msgspec.structs.replace(second, settled=settled), third)
        assert (await states(records.made.id))[:3] == ["accepted", "leased", "accepted"]

    async def test_lost_connections_lose_no_result(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)))
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        async with asyncio.timeout(15):
            await records.write(*records.results)
        assert (await states(records.made.id))[:3] == ["accepted"] * 3

    async def test_a_repeated_write_gives_caps_back_once(self, user: Member) -> None:
        records = await _claimed(user, Retryable("busy"))
        await records.write(*records.results)
        again = Records(records.made, records.lane, records.results)
        await again.write(*again.results)
        assert set((await used("plan", user.id)).values()) == {0}
        await database.execute("UPDATE send_counters SET used = 5")
        await Records(records.made, records.lane, records.results).write(*records.results)
        assert set((await used("plan", user.id)).values()) == {5}


class TestLanes:
    @pytest.mark.parametrize("outcome", [Retryable("down", scope="sender"), Unknown("cut", sender_stopped=True)])
    async def test_trouble_of_the_sender_opens_its_breaker_once_for_a_batch(
        self, user: Member, outcome: Outcome
    ) -> None:
        records = await _claimed(user, outcome)
        await records.write(*records.results)
        row = await lane_row(records.lane.number_id)
        assert (row["failures"], records.lane.failures) == (1, 1)
        assert row["open_until"] == records.lane.number.open_until

    async def test_a_success_closes_it(self, user: Member) -> None:
        records = await _claimed(user, Accepted(("id",)), contacts=1)
        await database.execute("UPDATE lanes SET failures = 3, open_until = now()")
        records.lane.failures = 3
        await records.write(*records.results)
        row = await lane_row(records.lane.number_id)
        assert (row["failures"], row["open_until"], records.lane.failures) == (0, None, 0)

    @pytest.mark.parametrize(
        ("outcome", "expected"),
        [
            (SenderStopped("gone"), {"connected": False}),
            (SenderStopped("gone", scope="server"), {"connected": False}),
            (SenderStopped("gone", scope="new_contacts"), {"connected": True}),
        ],
    )
    async def test_a_stopped_sender_is_known_at_once(
        self, user: Member, outcome: SenderStopped, expected: dict[str, Any]
    ) -> None:
        records = await _claimed(user, outcome)
        await records.write(*records.results)
        assert records.lane.number.connected is expected["connected"]
        assert (records.lane.number.restricted_until is None) is (outcome.scope != "new_contacts")
