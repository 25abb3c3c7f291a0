from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from core.campaigns.pacing import CampaignState, NumberState, Pacing, SendNow
from core.campaigns.rendering import compile_template
from core.campaigns.sending import LEASE_MARGIN
from core.campaigns.tables import MessageType
from core.campaigns.turns import LONGEST_REACH, CampaignTurn, HeldLane, Step, Typing
from core.campaigns.wants import build_want, choose, seeded
from core.campaigns.windows import Window
from core.numbers.senders import SenderRoute
from core.plugin import Capabilities, Sender, Server
from core.plugin.secret import Secret
from tests.core.campaigns.sink import FULL, SEND_SECONDS, NoCredentials, SinkProvider

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
STEP = Step(1, 1, compile_template("Oi"), MessageType.TEXT, None)


def _turn(turn_id: int = 1, pacing: Pacing | None = None, **fields: Any) -> CampaignTurn:
    return CampaignTurn(
        id=turn_id,
        version=1,
        state=CampaignState(pacing=pacing or Pacing(), **fields),
        steps={1: STEP},
        stop_on_reply=True,
        check_numbers=False,
    )


def _lane(*campaigns: CampaignTurn, **fields: Any) -> HeldLane:
    defaults: dict[str, Any] = {
        "number_id": 5, "user_id": 9, "server_id": 3, "slot": 4, "wakes": 0, "burst": 2, "failures": 0,
        "number": NumberState(), "campaigns": list(campaigns), "used": {},
    }  # fmt: skip
    return HeldLane(**{**defaults, **fields})


class TestChoose:
    def test_campaigns_take_turns(self) -> None:
        lane = _lane(_turn(1), _turn(2), _turn(3))
        chosen = [choose(lane, None, NOW) for _ in range(4)]
        assert [found[0].id for found in chosen if found is not None] == [1, 2, 3, 1]

    def test_one_that_waits_lets_the_next_go(self) -> None:
        waits = _turn(1, Pacing(windows=(Window("20:00", "21:00"),)))
        lane = _lane(waits, _turn(2))
        found = choose(lane, None, NOW)
        assert found is not None
        assert (found[0].id, waits.not_before) == (2, datetime(2026, 11, 23, 20, tzinfo=UTC))

    def test_the_reason_of_the_wait_stays_with_the_lane(self) -> None:
        lane = _lane(_turn(1, Pacing(windows=(Window("20:00", "21:00"),))))
        assert choose(lane, None, NOW) is None
        assert lane.wait_reason == "outside_window"
        lane.campaigns.append(_turn(2))
        choose(lane, None, NOW)
        assert lane.wait_reason == ""

    def test_a_stop_closes_the_campaign(self) -> None:
        stopped = _turn(1, running=False)
        lane = _lane(stopped)
        assert choose(lane, None, NOW) is None
        assert (stopped.stopped, lane.wait_reason) == (True, "tenant_suspended")

    @pytest.mark.parametrize(
        ("own", "until"), [(None, LATER), (LATER + timedelta(hours=1), LATER + timedelta(hours=1))]
    )
    def test_the_breaker_of_the_server_or_of_the_number_whichever_ends_last(
        self, own: datetime | None, until: datetime
    ) -> None:
        turn = _turn()
        assert choose(_lane(turn, number=NumberState(open_until=own)), LATER, NOW) is None
        assert turn.not_before == until

    def test_whoever_was_shown_typing_is_written_to_first(self) -> None:
        lane = _lane(_turn(1), _turn(2), typing=Typing(2, 77, NOW))
        found = choose(lane, None, NOW)
        assert found is not None
        assert found[0].id == 2

    def test_unless_that_campaign_may_not_send_any_more(self) -> None:
        lane = _lane(_turn(1), _turn(2, running=False), typing=Typing(2, 77, NOW))
        found = choose(lane, None, NOW)
        assert found is not None
        assert found[0].id == 1


def test_chance_is_the_same_for_the_same_slot() -> None:
    lane, turn = _lane(), _turn()
    first = seeded(lane, turn).random()
    assert seeded(lane, turn).random() == first
    lane.slot += 1
    assert seeded(lane, turn).random() != first


@pytest.fixture
def route(plugin: SinkProvider) -> Callable[[Capabilities], SenderRoute]:
    def make(capabilities: Capabilities) -> SenderRoute:
        server = Server(id=3, url="http://127.0.0.1:9", credentials=NoCredentials())
        sender = Sender(number_id=5, instance="i", server=server, capabilities=capabilities, webhook_secret=Secret("s"))
        return SenderRoute(plugin, sender)  # type: ignore[arg-type] # the contract names the widest type

    return make


Route = Callable[[Capabilities], SenderRoute]


class TestBuild:
    def test_asks_for_what_decide_allows(self, route: Route) -> None:
        pacing = Pacing(delay_min=30, delay_max=60, contact_gap_hours=6, contact_per_day=2, unanswered_max=3)
        turn = _turn(1, pacing, timezone="America/Sao_Paulo")
        lane = _lane(turn)
        found = build_want(lane, turn, route(FULL), 1, SendNow(1, 42.0), NOW)
        assert (found.number_id, found.user_id, found.campaign_id, found.slot, found.take) == (5, 9, 1, 4, 1)
        assert (found.paced, found.next_at, found.burst) == (True, NOW + timedelta(seconds=42), 3)
        assert found.lease_until == NOW + timedelta(seconds=SEND_SECONDS) + LEASE_MARGIN
        assert (found.contact_gap, found.contact_per_day, found.unanswered_max) == (6 * 3600.0, 2, 3)
        assert found.contact_wait == 48 * 3600.0
        assert found.day_start == datetime(2026, 11, 23, 3, tzinfo=UTC)
        assert found.day_end == datetime(2026, 11, 24, 3, tzinfo=UTC)
        assert found.caps == lane.caps(turn, NOW)
        assert (len(found.client_ids), found.ids_are_final, found.recipient_id) == (1, True, None)

    def test_a_rest_begins_the_count_anew(self, route: Route) -> None:
        turn = _turn()
        assert build_want(_lane(turn), turn, route(FULL), 1, SendNow(1, 600.0, rest=True), NOW).burst == 0

    def test_the_row_somebody_types_for_is_the_one_meant(self, route: Route) -> None:
        turn, other = _turn(1), _turn(2)
        lane = _lane(turn, other, typing=Typing(1, 77, NOW))
        assert build_want(lane, turn, route(FULL), 1, SendNow(1), NOW).recipient_id == 77
        assert build_want(lane, other, route(FULL), 1, SendNow(1), NOW).recipient_id is None

    @pytest.mark.parametrize(
        ("take", "reach", "expected"), [(8, 1, 8), (8, 64, 64), (0, 1, 1), (1, 9999, LONGEST_REACH)]
    )
    def test_looks_as_far_as_it_had_to_and_no_further_than_the_longest(
        self, route: Route, take: int, reach: int, expected: int
    ) -> None:
        turn = msgspec.structs.replace(_turn(), reach=reach)
        assert build_want(_lane(turn), turn, route(FULL), take, SendNow(9), NOW).reach == expected

    def test_closed_zones_come_along(self, route: Route) -> None:
        pacing = Pacing(window_zone="recipient", windows=(Window("08:00", "20:00"),))
        turn = _turn(1, pacing, timezone="UTC", zones=("Asia/Tokyo", "UTC"))
        found = build_want(_lane(turn), turn, route(FULL), 1, SendNow(1, known_only=True), NOW)
        assert found.closed == {"Asia/Tokyo": datetime(2026, 11, 23, 23, tzinfo=UTC)}
        assert found.known_only
