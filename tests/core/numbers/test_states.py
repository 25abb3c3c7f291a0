"""Answers we asked for and events that came meanwhile."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from core import database
from core.numbers.states import Sighting, known_state, last_event_at, write_report, write_sightings
from core.plugin import SenderReport, SenderState
from tests.core.numbers.messaging import Waha, add_number, add_server

MOMENT = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Any:
    return await add_number(tenant, (await add_server(admin, waha))["id"])


async def _row(number: Any) -> Any:
    return await database.fetch_row(
        "SELECT connection, poll_at - now() AS wait FROM numbers WHERE id = $1", number["id"]
    )


async def test_an_answer_gives_way_to_an_event_that_came_meanwhile(number: Any) -> None:
    asked = await last_event_at(number["id"])
    await write_sightings([Sighting(number_id=number["id"], state="sign_in", at=MOMENT)])
    await write_report(number["id"], SenderReport(state=SenderState.STARTING), asked)
    assert (await _row(number))["connection"] == "sign_in"


async def test_an_answer_counts_when_no_event_came(number: Any) -> None:
    await write_sightings([Sighting(number_id=number["id"], state="sign_in", at=MOMENT)])
    asked = await last_event_at(number["id"])
    await write_report(number["id"], SenderReport(state=SenderState.CONNECTED), asked)
    assert (await _row(number))["connection"] == "connected"


@pytest.mark.parametrize(("state", "least", "most"), [(SenderState.CONNECTED, 8.9, 11), (SenderState.STARTING, 0.9, 1)])
async def test_states_that_may_change_are_asked_for_again(
    number: Any, state: SenderState, least: float, most: float
) -> None:
    await write_report(number["id"], SenderReport(state=state), None)
    assert least <= (await _row(number))["wait"].total_seconds() / 60 <= most


async def test_a_stopped_number_is_not_asked_for(number: Any) -> None:
    await write_report(number["id"], SenderReport(state=SenderState.STOPPED), None)
    assert (await _row(number))["wait"] is None


async def test_a_deleted_number_is_left_alone(tenant: httpx.AsyncClient, number: Any) -> None:
    await tenant.delete(f"/api/numbers/{number['id']}")
    await write_report(number["id"], SenderReport(state=SenderState.CONNECTED), None)
    assert (await _row(number))["connection"] == "stopped"


def test_a_state_of_the_future_needs_a_person() -> None:
    assert (known_state("connected"), known_state("levitating")) == ("connected", "needs_person")
