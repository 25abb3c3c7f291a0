"""What somebody who looks at a number is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core.events.catalogue import NumberChanged
from core.numbers import silence
from core.numbers.senders import mark_stopped
from core.numbers.states import Sighting, last_event_at, write_report, write_sightings
from core.plugin import SenderReport, SenderState
from tests.core.live.ears import Ears, listen
from tests.core.numbers.messaging import Waha, add_number, add_server
from tests.factories import Member

MOMENT = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Any:
    return await add_number(tenant, (await add_server(admin, waha))["id"])


@pytest.fixture
async def ears(user: Member, number: Any) -> Ears:
    del number  # needed, since what its making tells is no part of the tests
    return await listen(user.id)


async def _see(number: Any, state: str, minute: int = 0) -> None:
    await write_sightings([Sighting(number_id=number["id"], state=state, at=MOMENT + timedelta(minutes=minute))])


async def changes(ears: Ears) -> list[tuple[str, bool, str]]:
    """The bodies of ``number.changed`` since the last look; other events tell of a number too."""
    heard = [event for event in await ears.heard() if isinstance(event, NumberChanged)]
    return [(event.connection, event.status_connection, event.reason) for event in heard]


async def test_a_connection_that_comes_and_goes_is_told(number: Any, ears: Ears) -> None:
    await _see(number, "connected")
    assert await changes(ears) == [("connected", True, "")]
    await _see(number, "stopped", 1)
    assert await changes(ears) == [("stopped", False, "")]


async def test_a_new_qr_code_is_told_though_the_state_is_the_same(number: Any, ears: Ears) -> None:
    for minute in range(2):
        await _see(number, "sign_in", minute)
    assert await changes(ears) == [("sign_in", False, "")] * 2


async def test_an_answer_that_tells_nothing_new_is_not(number: Any, ears: Ears) -> None:
    await _see(number, "connected")
    assert len(await changes(ears)) == 1
    await _see(number, "connected", 1)
    report = SenderReport(state=SenderState.CONNECTED)
    await write_report(number["id"], report, await last_event_at(number["id"]))
    assert await changes(ears) == []


async def test_an_older_event_is_not(number: Any, ears: Ears) -> None:
    await _see(number, "connected", 5)
    assert len(await changes(ears)) == 1
    await _see(number, "sign_in", 1)
    assert await changes(ears) == []


async def test_what_is_seen_while_sending_is_told(number: Any, ears: Ears) -> None:
    await _see(number, "connected")
    await silence.hold(number["id"], 60)
    await silence.release(number["id"])
    await mark_stopped(number["id"], "banned", until=None, scope="sender")
    assert await changes(ears) == [
        ("connected", True, ""),
        ("connected", False, "no_acknowledgements"),
        ("connected", True, ""),
        ("failed", False, "banned"),
    ]


async def test_the_body_names_the_number(number: Any, ears: Ears) -> None:
    await _see(number, "sign_in")
    heard = [event for event in await ears.heard() if isinstance(event, NumberChanged)]
    assert heard == [NumberChanged(number_id=number["id"], connection="sign_in", status_connection=False, reason="")]
