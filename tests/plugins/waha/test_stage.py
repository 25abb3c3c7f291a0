"""The stage of rehearsals: signed in, everybody there, and as many faults as asked for."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

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
