"""What the engine is handed, and what it reports back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.numbers import senders
from tests.core.numbers.messaging import Waha, add_number, add_server


@pytest.fixture
async def numbers(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> list[Any]:
    """Two connected numbers on one server."""
    server = await add_server(admin, waha)
    made = [await add_number(tenant, server["id"]) for _ in range(2)]
    await database.execute(
        "UPDATE numbers SET connection = 'connected', status_connection = true WHERE server_id = $1", server["id"]
    )
    return made


async def _connected(numbers: list[Any]) -> list[bool]:
    rows = await database.fetch(
        "SELECT status_connection FROM numbers WHERE id = ANY($1::bigint[]) ORDER BY id",
        [number["id"] for number in numbers],
    )
    return [row["status_connection"] for row in rows]


async def test_a_route_holds_everything_a_send_needs(numbers: list[Any], waha: Waha) -> None:
    number = numbers[0]
    route = (await senders.senders([number["id"]]))[number["id"]]
    assert route.provider.name == "waha"
    assert route.sender.number_id == number["id"]
    assert route.sender.instance == number["instance"]
    assert route.sender.server.url == waha.url
    assert route.sender.capabilities.client_message_id is True
    assert len(route.sender.webhook_secret.reveal()) == 43


async def test_routes_are_remembered_for_a_while(numbers: list[Any]) -> None:
    number_id = numbers[0]["id"]
    first = (await senders.senders([number_id]))[number_id]
    assert (await senders.senders([number_id]))[number_id] is first
    senders.forget([number_id])
    assert (await senders.senders([number_id]))[number_id] is not first


async def test_unknown_and_deleted_numbers_have_no_route(numbers: list[Any], tenant: httpx.AsyncClient) -> None:
    await tenant.delete(f"/api/numbers/{numbers[0]['id']}")
    senders.forget()
    assert list(await senders.senders([numbers[0]["id"], 2**62])) == []


async def test_credentials_that_cannot_be_read_cost_their_own_numbers_the_route(numbers: list[Any]) -> None:
    await database.execute("UPDATE numbers SET webhook_secret = 'v1.00000000.AAAA' WHERE id = $1", numbers[0]["id"])
    senders.forget()
    assert list(await senders.senders([number["id"] for number in numbers])) == [numbers[1]["id"]]


async def test_a_stopped_sender_stops_its_number(numbers: list[Any]) -> None:
    await senders.mark_stopped(numbers[0]["id"], "session_not_working", until=None, scope="sender")
    assert await _connected(numbers) == [False, True]


async def test_a_stopped_server_stops_all_of_its_numbers(numbers: list[Any]) -> None:
    await senders.mark_stopped(numbers[0]["id"], "unauthorized", until=None, scope="server")
    assert await _connected(numbers) == [False, False]


async def test_a_refusal_of_new_people_is_remembered(numbers: list[Any]) -> None:
    until = datetime.now(UTC) + timedelta(hours=3)
    await senders.mark_stopped(numbers[0]["id"], "restricted", until=until, scope="new_contacts")
    found = await database.fetch_value("SELECT restricted_until FROM numbers WHERE id = $1", numbers[0]["id"])
    assert found == until
    assert await _connected(numbers) == [True, True]


async def test_a_refusal_of_one_recipient_changes_nothing(numbers: list[Any]) -> None:
    await senders.mark_stopped(numbers[0]["id"], "rejected", until=None, scope="recipient")
    assert await _connected(numbers) == [True, True]
