from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import reconcile
from core.campaigns.claims import Claimed
from core.campaigns.outcomes import ACKNOWLEDGEMENT_TIMER
from core.campaigns.reconcile import GIVE_UP_AFTER, LOOK_EVERY, Doubt, expire_leases, judge, reconcile_due
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_IN_DOUBT, FROM_LEASED
from core.numbers import senders
from core.plugin import Absent, CannotTell, Capabilities, Finding, Found, MessageStatus
from tests.core.campaigns.making import (
    Made,
    claim_all,
    counted,
    counters,
    lane_row,
    now,
    recipient,
    recipients,
    running,
    settle_rows,
    states,
)
from tests.core.campaigns.sink import BARE, FULL, Sink, SinkProvider
from tests.factories import Member

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
NO_LOOKUP = Capabilities(client_message_id=True, lookup_by_id=False, receipts="read")
NO_IDS = Capabilities(client_message_id=False, lookup_by_id=True, receipts="read")


def _doubt(
    state: RecipientState = RecipientState.UNKNOWN,
    *,
    age: timedelta = timedelta(minutes=2),
    requeues: int = 0,
    moved: bool = False,
) -> Doubt:
    return Doubt(
        id=1,
        campaign_id=2,
        message_id=3,
        contact_id=4,
        attempt=1,
        requeues=requeues,
        state=state,
        number_id=5,
        address="551199",
        client_id="abc",
        provider_id=None,
        claimed_at=NOW - age,
        moved=moved,
    )


def _judge(finding: Finding, doubt: Doubt | None = None, capabilities: Capabilities = FULL) -> Any:
    return judge(doubt or _doubt(), finding, NOW, capabilities)


class TestJudge:
    @pytest.mark.parametrize(
        ("status", "delivered", "read"),
        [
            (MessageStatus.SENT, None, None),
            (MessageStatus.DELIVERED, NOW, None),
            (MessageStatus.READ, NOW, NOW),
        ],
    )
    @pytest.mark.parametrize("state", [RecipientState.UNKNOWN, RecipientState.ACCEPTED])
    def test_found_is_sent(
        self, status: MessageStatus, delivered: datetime | None, read: datetime | None, state: RecipientState
    ) -> None:
        transition = _judge(Found(("long",), status), _doubt(state))
        assert transition.state is RecipientState.SENT
        assert (transition.sent_at, transition.delivered_at, transition.read_at) == (NOW, delivered, read)
        assert transition.provider_id == "long"
        assert transition.look_at is None

    def test_found_accepted_waits_for_its_acknowledgement(self) -> None:
        transition = _judge(Found((), MessageStatus.ACCEPTED))
        assert transition.state is RecipientState.ACCEPTED
        assert transition.look_at == NOW + ACKNOWLEDGEMENT_TIMER

    def test_found_accepted_is_sent_where_nothing_is_acknowledged(self) -> None:
        assert _judge(Found((), MessageStatus.ACCEPTED), capabilities=BARE).state is RecipientState.SENT

    def test_accepted_for_long_needs_a_person(self) -> None:
        transition = _judge(Found((), MessageStatus.ACCEPTED), _doubt(RecipientState.ACCEPTED))
        assert (transition.state, transition.look_at) == (RecipientState.UNKNOWN, None)
        assert transition.reason == "no_acknowledgement"

    def test_found_failed_is_failed(self) -> None:
        assert _judge(Found((), MessageStatus.FAILED)).state is RecipientState.FAILED

    def test_absent_goes_again_once(self) -> None:
        transition = _judge(Absent())
        assert (transition.state, transition.due_at, transition.requeued) == (RecipientState.PENDING, NOW, 1)
        assert transition.allowed == 32

    @pytest.mark.parametrize(
        ("doubt", "capabilities"),
        [
            (_doubt(requeues=1), FULL),
            (_doubt(RecipientState.ACCEPTED), FULL),
            (_doubt(), NO_LOOKUP),
            (_doubt(), NO_IDS),
            (_doubt(), BARE),
        ],
    )
    def test_absent_otherwise_needs_a_person(self, doubt: Doubt, capabilities: Capabilities) -> None:
        transition = _judge(Absent(), doubt, capabilities)
        assert (transition.state, transition.look_at, transition.due_at) == (RecipientState.UNKNOWN, None, None)
        assert transition.reason == "absent"

    @pytest.mark.parametrize("state", [RecipientState.UNKNOWN, RecipientState.ACCEPTED])
    def test_what_cannot_be_told_is_asked_again_for_an_hour(self, state: RecipientState) -> None:
        transition = _judge(CannotTell("timeout"), _doubt(state, age=GIVE_UP_AFTER - timedelta(seconds=1)))
        assert (transition.state, transition.look_at) == (state, NOW + LOOK_EVERY)
        assert transition.reason == "timeout"

    @pytest.mark.parametrize("state", [RecipientState.UNKNOWN, RecipientState.ACCEPTED])
    def test_and_then_needs_a_person(self, state: RecipientState) -> None:
        transition = _judge(CannotTell("timeout"), _doubt(state, age=GIVE_UP_AFTER))
        assert (transition.state, transition.look_at) == (RecipientState.UNKNOWN, None)

    def test_a_plugins_word_fits_its_column(self) -> None:
        assert _judge(CannotTell("x\0" * 100)).reason == "x" * 60

    @pytest.mark.parametrize("finding", [Absent(), CannotTell("x"), Found((), MessageStatus.SENT)])
    def test_only_the_attempt_that_was_asked_about_changes(self, finding: Finding) -> None:
        assert _judge(finding).attempt == 1


async def _leased(user: Member, **wishes: Any) -> tuple[Made, list[Claimed]]:
    made = await running(user, **{"contacts": 1, **wishes})
    return made, (await claim_all(made, await now())).claimed


async def _doubtful(user: Member, **wishes: Any) -> tuple[Made, list[Claimed]]:
    """A campaign whose rows are in doubt and due to be looked up."""
    made, rows = await _leased(user, **wishes)
    moment = await now()
    await settle_rows(
        rows, moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN, look_at=moment - timedelta(seconds=1)
    )
    return made, rows


class TestExpiredLeases:
    async def test_become_unknown_to_be_looked_up_after_the_grace(self, user: Member, provider: SinkProvider) -> None:
        provider.unknown_grace_seconds = 30.0
        made, (row,) = await _leased(user)
        moment = await now() + timedelta(seconds=31)
        assert await expire_leases(moment) == 1
        found = await recipient(row.id)
        assert (found["state"], found["reason"], found["number_id"]) == (
            "unknown",
            "lease_expired",
            made.number_ids[0],
        )
        lease_ended = row.first_attempt_at + timedelta(seconds=30)
        assert found["lease_until"] == lease_ended + timedelta(seconds=30)
        assert await counters(made.id) == {"unknown": 1} == await counted(made.id)

    async def test_but_not_while_they_last(self, user: Member) -> None:
        made, _ = await _leased(user)
        assert await expire_leases(await now()) == 0
        assert await states(made.id) == ["leased"]

    async def test_of_a_number_without_a_plugin_too(self, user: Member) -> None:
        made, _ = await _leased(user)
        await database.execute("UPDATE servers SET provider = 'gone'")
        senders.forget()
        assert await expire_leases(await now() + timedelta(seconds=31)) == 1
        assert await states(made.id) == ["unknown:lease_expired"]

    async def test_a_late_answer_still_counts(self, user: Member) -> None:
        made, rows = await _leased(user)
        moment = await now() + timedelta(seconds=31)
        await expire_leases(moment)
        await settle_rows(rows, moment, allowed=FROM_IN_DOUBT, state=RecipientState.ACCEPTED)
        assert await states(made.id) == ["accepted"]


class TestLookUp:
    async def test_records_what_was_found(self, user: Member, sink: Sink, sink_url: str) -> None:
        made, (row,) = await _doubtful(user, url=sink_url)
        sink.statuses[row.client_id] = MessageStatus.DELIVERED
        assert await reconcile_due() == 1
        assert await states(made.id) == ["sent"]
        assert await counters(made.id) == {"sent": 1, "delivered": 1}

    async def test_sends_what_is_absent_again(self, user: Member, sink_url: str) -> None:
        made, (row,) = await _doubtful(user, url=sink_url)
        lane = await lane_row(row.number_id)
        await reconcile_due()
        found = await recipient(row.id)
        assert (found["state"], found["reason"], found["number_id"]) == ("pending", "absent", row.number_id)
        assert (await lane_row(row.number_id))["wakes"] == lane["wakes"] + 1
        assert len((await claim_all(made, await now())).claimed) == 1

    async def test_names_no_id_that_the_service_has_not_named(
        self, user: Member, sink_url: str, provider: SinkProvider
    ) -> None:
        await _doubtful(user, url=sink_url)
        await reconcile_due()
        assert provider.looked_up == [()]

    async def test_names_the_id_of_an_answer(self, user: Member, sink_url: str, provider: SinkProvider) -> None:
        _, rows = await _leased(user, url=sink_url)
        moment = await now()
        accepted = {"allowed": FROM_LEASED, "state": RecipientState.ACCEPTED, "provider_id": rows[0].client_id}
        await settle_rows(rows, moment, **accepted, look_at=moment - timedelta(seconds=1))
        await reconcile_due()
        assert provider.looked_up == [(rows[0].client_id,)]

    async def test_but_only_once(self, user: Member, sink_url: str) -> None:
        made, _ = await _doubtful(user, url=sink_url)
        await reconcile_due()
        moment = await now()
        again = (await claim_all(made, moment)).claimed
        await settle_rows(
            again, moment, allowed=FROM_LEASED, state=RecipientState.UNKNOWN, look_at=moment - timedelta(seconds=1)
        )
        await reconcile_due()
        assert await states(made.id) == ["unknown:absent"]
        assert (await recipients(made.id))[0]["lease_until"] is None

    async def test_goes_by_the_number_that_tried(self, user: Member, sink_url: str) -> None:
        made, (row,) = await _doubtful(user, url=sink_url, numbers=2)
        await reconcile_due()
        assert (await recipient(row.id))["number_id"] == made.number_ids[0]

    async def test_lets_the_next_step_follow(self, user: Member, sink: Sink, sink_url: str) -> None:
        made, (row,) = await _doubtful(user, url=sink_url, messages=("a", "b"))
        sink.statuses[row.client_id] = MessageStatus.SENT
        await reconcile_due()
        assert (await recipients(made.id))[1]["due_at"] is not None

    async def test_that_raises_tells_nothing(self, user: Member, sink_url: str, provider: SinkProvider) -> None:
        made, (row,) = await _doubtful(user, url=sink_url)
        provider.raises["reconcile"] = RuntimeError("broken plugin")
        await reconcile_due()
        assert await states(made.id) == ["unknown:exception_RuntimeError"]
        assert (await recipient(row.id))["lease_until"] > await now() + timedelta(minutes=4)

    async def test_of_a_deleted_number_tells_nothing(self, user: Member, sink_url: str) -> None:
        made, _ = await _doubtful(user, url=sink_url)
        await database.execute("UPDATE numbers SET deleted_at = now() WHERE id = $1", made.number_ids[0])
        senders.forget()
        await reconcile_due()
        assert await states(made.id) == ["unknown:number_gone"]

    async def test_of_an_accepted_row_without_acknowledgement(self, user: Member, sink: Sink, sink_url: str) -> None:
        made, rows = await _leased(user, url=sink_url)
        moment = await now()
        await settle_rows(
            rows, moment, allowed=FROM_LEASED, state=RecipientState.ACCEPTED, look_at=moment - timedelta(seconds=1)
        )
        sink.statuses[rows[0].client_id] = MessageStatus.ACCEPTED
        await reconcile_due()
        assert await states(made.id) == ["unknown:no_acknowledgement"]

    async def test_asks_for_each_row_once(self, user: Member, sink: Sink, sink_url: str) -> None:
        made, rows = await _doubtful(user, url=sink_url, contacts=5)
        for row in rows:
            sink.statuses[row.client_id] = MessageStatus.SENT
        assert await reconcile_due() == 5
        assert await reconcile_due() == 0
        assert await counters(made.id) == {"sent": 5}

    async def test_one_that_does_not_answer_does_not_hold_up_the_others(
        self, user: Member, sink: Sink, sink_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, rows = await _doubtful(user, url=sink_url, contacts=5)
        for row in rows:
            sink.statuses[row.client_id] = MessageStatus.SENT
        together: list[int] = []
        ask = reconcile.ask

        async def watch(*args: Any) -> Finding:
            together.append(1)
            finding = await ask(*args)
            together.append(-1)
            return finding

        monkeypatch.setattr(reconcile, "ask", watch)
        await reconcile_due()
        assert together[:2] == [1, 1]
        assert await counters(made.id) == {"sent": 5}
