from datetime import timedelta
from typing import Any

import pytest

from core import database
from core.campaigns.claims import Claimed
from core.campaigns.sending import build_message, send
from core.campaigns.turns import CampaignTurn
from core.clock import DatabaseClock
from core.contacts import suppressions
from core.numbers import senders
from core.numbers.budget import take
from core.numbers.senders import SenderRoute
from core.plugin import Accepted, Capabilities, MessageKind, Outcome, Rejected, Retryable
from tests.core.campaigns.making import Made, claim_all, hold, now, recipient, running
from tests.core.campaigns.sink import BARE, Sink, SinkProvider
from tests.factories import Member

CHECKING = Capabilities(version="1", number_check="bulk")


class Scene:
    """One leased row and what sends it."""

    def __init__(self, made: Made, row: Claimed, turn: CampaignTurn, route: SenderRoute) -> None:
        self.made, self.row, self.turn, self.route = made, row, turn, route

    async def send(self, *, time_left: float = 10) -> Outcome:
        clock = DatabaseClock()
        await clock.sync()
        latest_start = clock.now() + timedelta(seconds=time_left)
        return await send(self.row, self.turn, self.route, clock, latest_start.timestamp())


async def _leased(user: Member, url: str, **wishes: Any) -> Scene:
    made = await running(user, **{"contacts": 1, "url": url, "capabilities": BARE, **wishes})
    moment = await now()
    (lane,) = await hold(made, moment)
    (row,) = (await claim_all(made, moment)).claimed
    route = (await senders.senders(made.number_ids))[made.number_ids[0]]
    return Scene(made, row, lane.campaigns[0], route)


class TestLease:
    async def test_with_time_left_the_message_goes(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url)
        assert isinstance(await scene.send(), Accepted)
        assert sink.addresses == scene.made.phones

    async def test_without_it_stays(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url)
        assert await scene.send(time_left=-0.001) == Retryable("lease_ran_out", scope="sender")
        assert sink.posts == []

    async def test_a_row_that_was_taken_away_is_not_sent(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(scene.made.phones, "a@c.us")
        await database.execute("UPDATE message_by_contacts SET state = 'unknown'")
        assert isinstance(await scene.send(), Retryable)
        assert sink.posts == []


class TestAddress:
    async def test_a_known_one_is_not_asked_for(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider
    ) -> None:
        provider.raises["check_numbers"] = AssertionError("asked")
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        await database.execute("UPDATE message_by_contacts SET state = 'pending', provider_address = 'known@c.us'")
        (row,) = (await claim_all(scene.made, await now())).claimed
        scene.row = row
        assert isinstance(await scene.send(), Accepted)
        assert sink.addresses == ["known@c.us"]

    async def test_the_one_the_service_gave_is_kept(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(scene.made.phones, "5511888@c.us")
        await scene.send()
        assert (await recipient(scene.row.id))["provider_address"] == "5511888@c.us"

    async def test_one_already_written_to_is_refused(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(scene.made.phones, "same@c.us")
        await database.execute(
            "INSERT INTO message_by_contacts (user_id, campaign_id, message_id, contact_id, provider_address)"
            " VALUES ($1, $2, $3, 1, 'same@c.us')",
            user.id,
            scene.made.id,
            scene.row.message_id,
        )
        assert await scene.send() == Rejected("duplicate_address")
        assert sink.posts == []

    async def test_one_of_somebody_who_opted_out_is_not_written_to(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(scene.made.phones, "77700@lid")
        await suppressions.remember(user.id, ["77700@lid"])
        assert await scene.send() == Rejected("opted_out")
        assert sink.posts == []
        blocked = await database.fetch_value(
            "SELECT blocked_at IS NOT NULL FROM contacts WHERE id = $1", scene.row.contact_id
        )
        assert blocked is True

    async def test_who_opts_out_while_the_number_is_checked_gets_nothing(
        self, user: Member, sink: Sink, sink_url: str
    ) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(scene.made.phones, "5511888@c.us")
        await suppressions.suppress(user.id, await suppressions.find_person(user.id, scene.made.phones))
        assert await scene.send() == Rejected("opted_out")
        assert sink.posts == []

    @pytest.mark.parametrize(
        ("error", "code"), [(RuntimeError("x"), "number_check_failed"), (OSError("x"), "number_check_failed")]
    )
    async def test_a_check_that_breaks_sends_nothing(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider, error: Exception, code: str
    ) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        provider.raises["check_numbers"] = error
        outcome = await scene.send()
        assert isinstance(outcome, Retryable)
        assert outcome.code == code
        assert sink.posts == []


class TestBuild:
    async def test_a_preview_is_what_is_sent(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url, messages=("{a|b|c|d|e|f} {{ nome }} {g|h|i|j|k|l}",))
        step = scene.turn.steps[scene.row.message_id]
        preview = build_message(step, scene.row.contact_id, {"nome": "Name 0"}, "x")
        await scene.send()
        assert sink.posts[0].text == preview.text
        assert preview.kind is MessageKind.TEXT

    async def test_a_retry_says_the_same(self, user: Member, sink_url: str) -> None:
        scene = await _leased(user, sink_url, messages=("{a|b|c|d|e|f}{a|b|c|d|e|f}{a|b|c|d|e|f}",))
        step = scene.turn.steps[scene.row.message_id]
        texts = {build_message(step, scene.row.contact_id, None, "x").text for _ in range(5)}
        assert len(texts) == 1


class TestLinkPreview:
    @pytest.mark.parametrize(("settings", "shown"), [({}, False), ({"link_preview": True}, True)])
    async def test_is_as_the_campaign_says(
        self, user: Member, sink_url: str, settings: dict[str, bool], *, shown: bool
    ) -> None:
        scene = await _leased(user, sink_url, settings=settings)
        (step,) = scene.turn.steps.values()
        assert build_message(step, 1, {}, "551199").link_preview is shown


class TestCheckBudget:
    async def test_a_number_that_may_check_no_more_waits(self, user: Member, sink: Sink, sink_url: str) -> None:
        scene = await _leased(user, sink_url, capabilities=CHECKING, settings={"check_numbers": True})
        sink.directory = dict.fromkeys(scene.made.phones, "a@c.us")
        number_id = scene.made.number_ids[0]
        await database.execute("UPDATE numbers SET settings = '{\"checks_per_day\": 1}' WHERE id = $1", number_id)
        assert await take(number_id, 1, await now()) is None
        outcome = await scene.send()
        assert isinstance(outcome, Retryable)
        assert (outcome.code, outcome.scope) == ("check_budget_spent", "sender")
        assert 86_000 < (outcome.retry_after or 0) <= 86_401
        assert sink.posts == []
