"""The stage of rehearsals: signed in, everybody there, and as many faults as asked for."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from plugins.waha.connection import WahaCredentials
from plugins.waha.simulator import create_stage
from tests.conftest import Serve

Open = Callable[..., Awaitable[httpx.AsyncClient]]
PHONES: Mapping[str, str] = {"first": "15550000001", "second": "15550000002"}


@pytest.fixture
async def stage(serve: Serve) -> AsyncIterator[Open]:
    """A client of a stage that is served."""
    async with AsyncExitStack() as stack:

        async def start(**options: float) -> httpx.AsyncClient:
            made = create_stage(PHONES, **options)  # type: ignore[arg-type]
            assert isinstance(made.credentials, WahaCredentials)
            assert made.credentials.api_key is not None
            key = {"X-Api-Key": made.credentials.api_key.reveal()}
            return await stack.enter_async_context(httpx.AsyncClient(base_url=await serve(made.app), headers=key))

        yield start


async def _send(client: httpx.AsyncClient, place: int) -> str:
    body = {"session": "first", "chatId": f"55319{place:08d}@c.us", "text": "Oi"}
    try:
        return str((await client.post("/api/sendText", json=body)).status_code)
    except httpx.RemoteProtocolError:
        return "cut"


async def test_its_numbers_are_signed_in(stage: Open) -> None:
    client = await stage()
    for name, phone in PHONES.items():
        found = (await client.get(f"/api/sessions/{name}")).json()
        assert (found["status"], found["me"]["id"]) == ("WORKING", f"{phone}@c.us")


async def test_everybody_is_reached(stage: Open) -> None:
    client = await stage()
    checked = (await client.get("/api/contacts/check-exists?session=first&phone=5531987650000")).json()
    assert (checked["numberExists"], checked["chatId"]) == (True, "5531987650000@c.us")


async def test_its_faults_are_half_refused_and_half_lost(stage: Open) -> None:
    client = await stage(faults=1.0, seed=3)
    answers = Counter([await _send(client, place) for place in range(200)])
    assert set(answers) == {"429", "cut"}
    arrived = (await client.get("/simulator/phone")).json()
    assert arrived["count"] == answers["cut"]


async def test_the_same_seed_gives_the_same_faults(stage: Open) -> None:
    first, second = await stage(faults=0.5, seed=7), await stage(faults=0.5, seed=7)
    assert [await _send(first, place) for place in range(40)] == [await _send(second, place) for place in range(40)]


async def test_messages_are_found_by_the_time_of_its_clock(serve: Serve) -> None:
    """A rehearsal's clock runs days ahead, and its look-ups ask in those days."""
    moments = [datetime(2030, 1, 1, 12, tzinfo=UTC)]
    made = create_stage(PHONES, now=lambda: moments[-1])
    assert isinstance(made.credentials, WahaCredentials)
    assert made.credentials.api_key is not None
    key = {"X-Api-Key": made.credentials.api_key.reveal()}
    async with httpx.AsyncClient(base_url=await serve(made.app), headers=key) as client:
        for day in (1, 2, 3):
            moments.append(datetime(2030, 1, day, 12, tzinfo=UTC))
            assert await _send(client, day) == "201"

        async def found(begin: int, end: int) -> list[str]:
            between = {
                "filter.timestamp.gte": str(int(datetime(2030, 1, begin, tzinfo=UTC).timestamp())),
                "filter.timestamp.lte": str(int(datetime(2030, 1, end, tzinfo=UTC).timestamp())),
                "sortOrder": "asc",
            }
            rows = (await client.get("/api/first/chats/all/messages", params=between)).json()
            return [row["from"] for row in rows]

        assert await found(1, 4) == [f"55319{day:08d}@c.us" for day in (1, 2, 3)]
        assert await found(2, 3) == ["5531900000002@c.us"]
        assert await found(4, 9) == []
        arrived = (await client.get("/simulator/phone")).json()["messages"]
        assert [one["at"] for one in arrived] == [one.timestamp() for one in moments[1:]]
        status = (await client.get("/api/server/status")).json()
        assert status == {"startTimestamp": 1893499200000, "uptime": 2 * 86_400_000, "worker": {"id": None}}


async def test_a_restriction_ends_by_the_time_of_its_clock(serve: Serve) -> None:
    moments = [datetime(2030, 1, 1, tzinfo=UTC)]
    made = create_stage(PHONES, now=lambda: moments[-1])
    assert isinstance(made.credentials, WahaCredentials)
    assert made.credentials.api_key is not None
    key = {"X-Api-Key": made.credentials.api_key.reveal()}
    async with httpx.AsyncClient(base_url=await serve(made.app), headers=key) as client:
        await client.post("/simulator/sessions/first/restrict", json={"seconds": 3600})
        assert await _send(client, 1) == "500"
        moments.append(moments[-1] + timedelta(hours=2))
        assert await _send(client, 1) == "201"
