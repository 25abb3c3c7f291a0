"""What webhooks say about our own numbers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.numbers import events
from core.numbers.changes import _listeners, connection_listener
from core.plugin import IdentityEvent, SenderStatusEvent
from core.webhooks.handlers import StoredEvent
from tests.core.numbers.messaging import Waha, add_number, add_server

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Any:
    return await add_number(tenant, (await add_server(admin, waha))["id"])


async def _say(number: Any, *said: SenderStatusEvent | IdentityEvent) -> None:
    batch = [
        StoredEvent(id=place, plugin="waha", number_id=number["id"], received_at=NOW, event=event)
        for place, event in enumerate(said, start=1)
    ]
    handler = events.apply_identities if isinstance(said[0], IdentityEvent) else events.apply_statuses
    assert list(await handler(batch)) == [event.id for event in batch]


def _status(state: str, at: datetime = NOW, **more: Any) -> SenderStatusEvent:
    return SenderStatusEvent(dedupe_key=f"{state}:{at}", state=state, at=at, **more)


async def test_a_connection_fills_the_number_in(tenant: httpx.AsyncClient, number: Any) -> None:
    await database.execute("UPDATE numbers SET name = '' WHERE id = $1", number["id"])
    await _say(number, _status("connected", address="5511988887777@c.us", name="Shop 2", raw="WORKING"))
    found = (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]
    assert {key: found[key] for key in ("number", "name", "connection", "connection_reason", "connection_at")} == {
        "number": "5511988887777",
        "name": "Shop 2",
        "connection": "connected",
        "connection_reason": "",
        "connection_at": "2027-01-01T12:00:00Z",
    }


async def test_a_restriction_outlives_a_status_that_says_nothing_of_it(number: Any) -> None:
    until = NOW + timedelta(days=1)
    await _say(number, _status("connected", restricted_until=until))
    await _say(number, _status("connected", NOW + timedelta(seconds=1)))
    assert await database.fetch_value("SELECT restricted_until FROM numbers WHERE id = $1", number["id"]) == until


async def test_the_first_connection_is_kept(number: Any) -> None:
    await _say(number, _status("connected"))
    first = await database.fetch_value("SELECT first_connected_at FROM numbers WHERE id = $1", number["id"])
    await _say(number, _status("failed", NOW + timedelta(seconds=1)))
    await _say(number, _status("connected", NOW + timedelta(seconds=2)))
    assert await database.fetch_value("SELECT first_connected_at FROM numbers WHERE id = $1", number["id"]) == first


async def test_a_clock_years_ahead_does_not_silence_what_follows(number: Any) -> None:
    await _say(number, _status("failed", NOW + timedelta(days=4000)))
    await _say(number, _status("connected", NOW + timedelta(days=2)))
    # The second event is received on the same day here, so the tolerance caps it too.
    assert await database.fetch_value("SELECT connection FROM numbers WHERE id = $1", number["id"]) == "connected"


async def test_listeners_hear_of_a_change_of_the_connection_alone(number: Any) -> None:
    heard: list[list[int]] = []

    async def listen(number_ids: Any) -> None:
        heard.append(list(number_ids))

    connection_listener(listen)
    try:
        await _say(number, _status("sign_in"))
        await _say(number, _status("connected", NOW + timedelta(seconds=1)))
        await _say(number, _status("connected", NOW + timedelta(seconds=2)))
    finally:
        _listeners.remove(listen)
    assert heard == [[number["id"]]]


async def test_the_phone_behind_an_address_is_remembered(number: Any) -> None:
    await _say(number, IdentityEvent(dedupe_key="1", address="1@lid", phone="5511911110000"))
    await _say(number, IdentityEvent(dedupe_key="2", address="1@lid", phone="5511922220000"))
    key = (number["id"], "1@lid")
    assert await events.phones_behind([key, (number["id"], "2@lid")]) == {key: "5511922220000"}
    assert await events.phones_behind([(number["id"] + 1, "1@lid")]) == {}
