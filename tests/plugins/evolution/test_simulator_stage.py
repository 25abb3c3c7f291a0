"""The stage of rehearsals: signed in, everybody there, and as many faults as asked for."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import httpx
import pytest

from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.simulator import create_stage
from tests.conftest import Serve

Open = Callable[..., Awaitable[httpx.AsyncClient]]
PHONES: Mapping[str, str] = {"first": "15550000001", "second": "15550000002"}


@pytest.fixture
async def stage(serve: Serve) -> AsyncIterator[Open]:
    """A client of a stage that is served."""
    async with AsyncExitStack() as stack:

        async def start(*, faults: float = 0.0, seed: int = 0) -> httpx.AsyncClient:
            made = create_stage(PHONES, faults=faults, seed=seed)
            assert isinstance(made.credentials, EvolutionCredentials)
            key = {"apikey": made.credentials.api_key.reveal()}
            return await stack.enter_async_context(httpx.AsyncClient(base_url=await serve(made.app), headers=key))

        yield start


async def _send(client: httpx.AsyncClient, place: int) -> str:
    try:
        body = {"number": f"55319{place:08d}", "text": "Oi"}
        return str((await client.post("/message/sendText/first", json=body)).status_code)
    except httpx.RemoteProtocolError:
        return "cut"


async def test_its_numbers_are_signed_in(stage: Open) -> None:
    client = await stage()
    listed = (await client.get("/instance/fetchInstances")).json()
    found = {one["name"]: (one["connectionStatus"], one["ownerJid"]) for one in listed}
    assert found == {name: ("open", f"{phone}@s.whatsapp.net") for name, phone in PHONES.items()}


async def test_everybody_is_reached_as_written(stage: Open) -> None:
    client = await stage()
    checked = (await client.post("/chat/whatsappNumbers/first", json={"numbers": ["5531987650000"]})).json()
    assert checked == [{"jid": "5531987650000@s.whatsapp.net", "exists": True, "number": "5531987650000"}]


async def test_its_faults_are_half_refused_and_half_lost(stage: Open) -> None:
    client = await stage(faults=1.0, seed=3)
    answers = Counter([await _send(client, place) for place in range(200)])
    assert set(answers) == {"429", "cut"}
    assert (await client.get("/simulator/phone")).json()["count"] == answers["cut"]


async def test_the_same_seed_gives_the_same_faults(stage: Open) -> None:
    first, second = await stage(faults=0.5, seed=7), await stage(faults=0.5, seed=7)
    assert [await _send(first, place) for place in range(40)] == [await _send(second, place) for place in range(40)]
