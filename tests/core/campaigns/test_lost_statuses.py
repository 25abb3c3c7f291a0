"""Looking for acknowledgements that never came as events."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from core import database
from core.campaigns import lost_statuses
from core.campaigns.lost_statuses import LOOKS, any_due, poll_due
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED
from core.plugin import Capabilities, MessageStatus
from tests.core.campaigns.making import Made, claim_all, counters, now, running, settle_rows
from tests.core.campaigns.sink import Sink, SinkProvider
from tests.factories import Member

DELIVERED_ONLY = Capabilities(version="1", client_message_id=True, lookup_by_id=True, receipts="delivered")


@pytest.fixture(autouse=True)
async def alone(provider: SinkProvider) -> None:
    """No number of another test is looked after."""
    del provider
    await database.execute("UPDATE numbers SET status_connection = false")
    await database.execute("DELETE FROM status_polls")


async def _sent(user: Member, url: str, *, contacts: int, age: timedelta, **wishes: Any) -> tuple[Made, list[str]]:
    """Make a campaign whose messages the network has had for ``age``; return the ids the service knows them by."""
    made = await running(user, contacts=contacts, url=url, **wishes)
    moment = await now()
    rows = (await claim_all(made, moment, take=contacts)).claimed
    for row in rows:
        await settle_rows(
            [row],
            moment,
            allowed=FROM_LEASED,
            state=RecipientState.SENT,
            outcome="accepted",
            provider_id=row.client_id,
            sent_at=moment,
        )
    await database.execute("UPDATE message_attempts SET claimed_at = claimed_at - $1::interval", age)
    return made, [row.client_id for row in rows]


async def _again() -> int:
    """Look again as if the time until the next look had passed."""
    await database.execute("UPDATE status_polls SET due_at = now() - interval '1 minute'")
    return await poll_due()


async def _look_at(made: Made, pass_number: int) -> datetime:
    seen = await database.fetch_value(
        "SELECT seen_until FROM status_polls WHERE number_id = $1 AND pass_number = $2", made.number_ids[0], pass_number
    )
    assert isinstance(seen, datetime)
    return seen


async def test_a_lost_delivery_is_found_after_half_an_hour(user: Member, sink: Sink, sink_url: str) -> None:
    made, ids = await _sent(user, sink_url, contacts=3, age=timedelta(minutes=31))
    sink.statuses = {ids[0]: MessageStatus.DELIVERED, ids[1]: MessageStatus.READ, ids[2]: MessageStatus.SENT}
    assert await poll_due() == 3
    assert await counters(made.id) == {"sent": 3, "delivered": 2, "read": 1}


async def test_nothing_is_looked_at_before(user: Member, sink: Sink, sink_url: str) -> None:
    made, ids = await _sent(user, sink_url, contacts=1, age=timedelta(minutes=29))
    sink.statuses = {ids[0]: MessageStatus.DELIVERED}
    assert await poll_due() == 0
    for column in ("message_attempts SET claimed_at = claimed_at", "status_polls SET seen_until = seen_until"):
        await database.execute(f"UPDATE {column} - interval '2 minutes'")
    assert await _again() == 1
    assert (await counters(made.id))["delivered"] == 1


async def test_each_message_is_looked_at_once_in_a_pass(user: Member, sink: Sink, sink_url: str) -> None:
    _, ids = await _sent(user, sink_url, contacts=2, age=timedelta(minutes=31))
    sink.statuses = dict.fromkeys(ids, MessageStatus.SENT)
    assert [await poll_due(), await _again()] == [2, 0]


async def test_what_is_delivered_is_asked_about_after_a_day_for_being_read(
    user: Member, sink: Sink, sink_url: str
) -> None:
    made, ids = await _sent(user, sink_url, contacts=2, age=timedelta(hours=25))
    await database.execute("UPDATE message_by_contacts SET delivered_at = now()")
    sink.statuses = {ids[0]: MessageStatus.READ, ids[1]: MessageStatus.DELIVERED}
    assert await poll_due() == 2
    assert (await counters(made.id))["read"] == 1


async def test_a_service_that_never_says_read_is_asked_about_deliveries_alone(
    user: Member, sink: Sink, sink_url: str
) -> None:
    _, ids = await _sent(user, sink_url, contacts=1, age=timedelta(hours=25), capabilities=DELIVERED_ONLY)
    await database.execute("UPDATE message_by_contacts SET delivered_at = now()")
    sink.statuses = {ids[0]: MessageStatus.READ}
    assert await poll_due() == 0


async def test_a_service_without_receipts_is_not_asked(user: Member, sink_url: str) -> None:
    await _sent(user, sink_url, contacts=1, age=timedelta(hours=25), capabilities=Capabilities(version="1"))
    assert await poll_due() == 0
    assert await database.fetch_value("SELECT count(*) FROM status_polls") == 0


async def test_many_are_looked_at_a_few_at_a_time_and_none_is_left_out(user: Member, sink: Sink, sink_url: str) -> None:
    # All claimed in one moment, as a batch is.
    made, ids = await _sent(user, sink_url, contacts=LOOKS + 5, age=timedelta(minutes=31))
    await database.execute("UPDATE message_attempts SET claimed_at = (SELECT min(claimed_at) FROM message_attempts)")
    sink.statuses = dict.fromkeys(ids, MessageStatus.DELIVERED)
    assert [await poll_due(), await _again(), await _again()] == [LOOKS, 5, 0]
    assert (await counters(made.id))["delivered"] == LOOKS + 5


async def test_a_look_up_that_finds_nothing_takes_nothing_back(user: Member, sink: Sink, sink_url: str) -> None:
    made, ids = await _sent(user, sink_url, contacts=2, age=timedelta(minutes=31))
    sink.statuses = {ids[0]: MessageStatus.FAILED}
    assert await poll_due() == 2
    assert await counters(made.id) == {"sent": 2}


async def test_a_moved_number_is_not_asked_about_what_it_sent_elsewhere(
    user: Member, sink: Sink, sink_url: str, provider: SinkProvider
) -> None:
    _, ids = await _sent(user, sink_url, contacts=1, age=timedelta(minutes=31))
    sink.statuses = dict.fromkeys(ids, MessageStatus.DELIVERED)
    await database.execute("UPDATE numbers SET moved_at = now()")
    await poll_due()
    assert provider.looked_up == []


async def test_a_number_that_is_away_is_looked_after_when_it_is_back(user: Member, sink: Sink, sink_url: str) -> None:
    _, ids = await _sent(user, sink_url, contacts=1, age=timedelta(minutes=31))
    sink.statuses = dict.fromkeys(ids, MessageStatus.DELIVERED)
    await database.execute("UPDATE numbers SET status_connection = false")
    assert await poll_due() == 0
    await database.execute("UPDATE numbers SET status_connection = true WHERE id IN (SELECT number_id FROM lanes)")
    assert await _again() == 1


async def test_two_processes_do_not_look_at_the_same(user: Member, sink: Sink, sink_url: str) -> None:
    made, ids = await _sent(user, sink_url, contacts=1, age=timedelta(minutes=31))
    sink.statuses = dict.fromkeys(ids, MessageStatus.SENT)
    assert await any_due(await now())
    assert [await poll_due(), await poll_due()] == [1, 0]
    assert not await any_due(await now())
    assert await _look_at(made, 1) < await now() - lost_statuses.PASSES[0][1]
