"""Numbers judged by what their messages effect."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from core import database
from core.campaigns.reconcile import reconcile_due
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED
from core.campaigns.watching import is_silent, watch
from core.events.catalogue import NumberConnected, NumberDisconnected
from core.numbers import silence
from core.plugin import Capabilities, MessageStatus, UnavailableError
from tests.core.campaigns.making import Made, claim_all, now, running, settle_rows, states
from tests.core.campaigns.sink import Sink, SinkProvider
from tests.core.told import told
from tests.factories import Member

TAKEN: dict[str, Any] = {"allowed": FROM_LEASED, "state": RecipientState.ACCEPTED, "outcome": "accepted"}


@pytest.fixture(autouse=True)
async def alone(provider: SinkProvider) -> None:
    """No number of another test is watched."""
    del provider
    await database.execute("UPDATE numbers SET status_connection = false, silent_until = NULL")
    await database.execute("DELETE FROM alarms")


async def _accepted(user: Member, url: str, contacts: int, acknowledged: int = 0, **wishes: Any) -> Made:
    """Make a campaign whose messages were accepted three minutes ago, some of them acknowledged."""
    made = await running(user, contacts=contacts, url=url, **wishes)
    moment = await now()
    rows = (await claim_all(made, moment, take=contacts)).claimed
    await settle_rows(rows, moment, **TAKEN, look_at=moment + timedelta(minutes=5))
    await settle_rows(rows[:acknowledged], moment, allowed=127, state=RecipientState.SENT, sent_at=moment)
    await database.execute("UPDATE message_attempts SET claimed_at = claimed_at - interval '3 minutes'")
    return made


async def _number(made: Made) -> Any:
    return await database.fetch_row(
        "SELECT *, silent_until - now() AS held FROM numbers WHERE id = $1", made.number_ids[0]
    )


async def _alarms() -> list[tuple[str, int]]:
    rows = await database.fetch("SELECT kind, noticed FROM alarms WHERE cleared_at IS NULL ORDER BY id")
    return [(row["kind"], row["noticed"]) for row in rows]


async def _later(made: Made) -> datetime:
    """Let the time that the number is held back for pass."""
    await database.execute("UPDATE numbers SET silent_until = now() WHERE id = $1", made.number_ids[0])
    return await now()


async def _look_up() -> None:
    """Look up what is due in the quarter of a second by which ``now`` is ahead."""
    await database.execute("UPDATE message_by_contacts SET lease_until = lease_until - interval '1 second'")
    await reconcile_due()


@pytest.mark.parametrize(
    ("sends", "acknowledged", "silent"), [(4, 0, False), (5, 2, True), (5, 3, False), (20, 9, True), (20, 10, False)]
)
def test_fewer_than_half_of_five_is_silence(sends: int, acknowledged: int, *, silent: bool) -> None:
    assert is_silent(sends, acknowledged) is silent


async def test_what_messages_effect_is_written_down(user: Member, sink_url: str) -> None:
    made = await _accepted(user, sink_url, contacts=6, acknowledged=4)
    await watch(await now())
    row = await _number(made)
    assert (row["recent_sends"], row["recent_acknowledged"], row["silent_until"]) == (6, 4, None)
    assert row["status_connection"] is True


async def test_messages_that_may_still_be_acknowledged_do_not_count(user: Member, sink_url: str) -> None:
    made = await _accepted(user, sink_url, contacts=6)
    await database.execute("UPDATE message_attempts SET claimed_at = claimed_at + interval '2 minutes'")
    await watch(await now())
    assert (await _number(made))["recent_sends"] == 0


async def test_a_service_without_receipts_is_not_judged(user: Member, sink_url: str) -> None:
    made = await _accepted(user, sink_url, contacts=6, capabilities=Capabilities(version="1"))
    await watch(await now())
    assert (await _number(made))["silent_until"] is None


class TestSilent:
    async def test_is_passed_over_and_asked_about(self, user: Member, sink_url: str, provider: SinkProvider) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await watch(await now())
        row = await _number(made)
        assert (row["status_connection"], row["connection"], row["connection_reason"]) == (
            False,
            "connected",
            "no_acknowledgements",
        )
        assert 80 < row["held"].total_seconds() <= 90
        assert len(provider.repaired) == 1
        due = await database.fetch_value(
            "SELECT count(*) FROM message_by_contacts WHERE lease_until <= $1", await now()
        )
        assert due == 6
        assert provider.restarted == []

    async def test_goes_on_where_only_events_were_lost(
        self, user: Member, sink: Sink, sink_url: str, provider: SinkProvider
    ) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await watch(await now())
        for row in await database.fetch("SELECT client_id FROM message_attempts"):
            sink.statuses[row["client_id"]] = MessageStatus.DELIVERED
        await _look_up()
        await watch(await now())
        row = await _number(made)
        assert (row["status_connection"], row["silent_until"], row["connection_reason"]) == (True, None, "")
        assert await states(made.id) == ["sent"] * 6
        assert (provider.restarted, await _alarms()) == ([], [])

    async def test_is_restarted_once(self, user: Member, sink_url: str, provider: SinkProvider) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await watch(await now())
        await watch(await now())
        assert provider.restarted == []
        await watch(await _later(made))
        row = await _number(made)
        assert provider.restarted == [row["instance"]]
        assert 50 < row["held"].total_seconds() <= 60
        assert row["status_connection"] is False
        assert await _alarms() == []

    async def test_is_used_again_after_its_restart(self, user: Member, sink_url: str) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await watch(await now())
        await watch(await _later(made))
        await watch(await _later(made))
        row = await _number(made)
        assert (row["status_connection"], row["silent_until"], row["recent_sends"]) == (True, None, 0)

    async def test_raises_one_alarm_when_a_restart_did_not_help(
        self, user: Member, sink_url: str, provider: SinkProvider
    ) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await database.execute("UPDATE numbers SET restarted_at = now() - interval '1 hour'")
        for _ in range(3):
            await watch(await now())
            await _later(made)
        assert provider.restarted == []
        assert await _alarms() == [("number_silent", 2)]
        await watch(await _later(made))
        assert 1_700 < (await _number(made))["held"].total_seconds() <= 1_800

    async def test_raises_an_alarm_where_a_restart_fails(
        self, user: Member, sink_url: str, provider: SinkProvider
    ) -> None:
        provider.raises["restart"] = UnavailableError("gone")
        made = await _accepted(user, sink_url, contacts=6)
        await watch(await now())
        await watch(await _later(made))
        assert len(provider.restarted) == 1
        assert await _alarms() == [("number_silent", 1)]

    async def test_ends_the_alarm_by_an_acknowledgement_alone(self, user: Member, sink: Sink, sink_url: str) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await database.execute("UPDATE numbers SET restarted_at = now() - interval '1 hour'")
        await watch(await now())
        await watch(await _later(made))
        await database.execute("UPDATE message_attempts SET claimed_at = claimed_at - interval '2 hours'")
        await watch(await _later(made))
        assert (await _number(made))["status_connection"] is True
        assert await _alarms() == [("number_silent", 1)]
        for row in await database.fetch("SELECT client_id FROM message_attempts"):
            sink.statuses[row["client_id"]] = MessageStatus.SENT
        await database.execute("UPDATE message_attempts SET claimed_at = claimed_at + interval '2 hours'")
        await watch(await now())
        await _look_up()
        await watch(await now())
        assert await _alarms() == []

    async def test_ends_the_alarm_when_it_was_used_again_before_its_first_acknowledgement(
        self, user: Member, sink_url: str
    ) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await database.execute("UPDATE numbers SET restarted_at = now() - interval '1 hour'")
        await watch(await now())
        await watch(await _later(made))
        await database.execute("UPDATE message_attempts SET claimed_at = claimed_at - interval '2 hours'")
        await watch(await _later(made))
        row = await _number(made)
        assert (row["silent_until"], await _alarms()) == (None, [("number_silent", 1)])
        await database.execute("UPDATE message_attempts SET claimed_at = claimed_at + interval '2 hours'")
        await database.execute("UPDATE message_by_contacts SET state = 'sent' WHERE campaign_id = $1", made.id)
        await watch(await now())
        assert await _alarms() == []
        # Being looked at for a moment is no news of a number whose alarm is over.
        assert await silence.hold(made.number_ids[0], 90)
        kinds = [type(event) for event in await told(user.id, "number_connected", "number_disconnected")]
        assert kinds == [NumberDisconnected, NumberConnected]

    async def test_leaves_alone_one_that_its_owner_restarted_while_a_restart_was_tried(
        self, user: Member, sink_url: str, provider: SinkProvider
    ) -> None:
        made = await _accepted(user, sink_url, contacts=6)
        await watch(await now())
        moment = await _later(made)

        provider.while_restarting = partial(silence.release, made.number_ids[0])
        provider.raises["restart"] = UnavailableError("gone")
        await watch(moment)
        row = await _number(made)
        assert (row["silent_until"], row["status_connection"], await _alarms()) == (None, True, [])

    async def test_one_that_cannot_be_asked_does_not_keep_the_others_from_being_seen_to(
        self, user: Member, sink_url: str, provider: SinkProvider
    ) -> None:
        first = await _accepted(user, sink_url, contacts=6)
        second = await _accepted(user, sink_url, contacts=6)
        provider.raises["repair_webhook"] = UnavailableError("gone")
        await watch(await now())
        assert [(await _number(made))["status_connection"] for made in (first, second)] == [False, False]
