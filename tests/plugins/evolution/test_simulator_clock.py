"""The simulator has one clock: on a virtual one a lost answer is found by chat, text and time."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import plugins.evolution.simulator
from core.plugin import CannotTell, Found, MessageKind, OutgoingMessage, Prepared, Sender, Server, Unknown
from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.provider import EvolutionProvider
from plugins.evolution.simulator import create_stage
from plugins.evolution.simulator.app import Simulator
from plugins.evolution.simulator.options import Options
from plugins.evolution.simulator.state import Instance
from tests.conftest import Serve
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.conftest import sender_on
from tests.plugins.evolution.simulator_conftest import KEY, TO, Receiver

hooks = simulator_conftest.hooks

BEGUN = datetime(2031, 3, 9, 6, 30, 0, 250_000, tzinfo=UTC)
Rehearse = Callable[..., Awaitable[Sender]]


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self) -> None:
        self.time = BEGUN

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rehearse(serve: Serve, clock: Clock, provider: EvolutionProvider) -> Rehearse:
    """Open a stage on the clock and return its number."""

    async def start(*, faults: float = 0.0, seed: int = 0) -> Sender:
        stage = create_stage({"snd_17": "15550000001"}, faults=faults, seed=seed, now=clock)
        assert isinstance(stage.credentials, EvolutionCredentials)
        server = Server(id=1, url=await serve(stage.app), credentials=stage.credentials)
        sender = msgspec.structs.replace(sender_on(server.url), server=server)
        return msgspec.structs.replace(sender, capabilities=await provider.capabilities(server))

    return start


def prepare(provider: EvolutionProvider, sender: Sender, text: str, begun: datetime, to: str = TO) -> Prepared:
    prepared = provider.prepare(OutgoingMessage(to, MessageKind.TEXT, text), sender, provider.new_client_id())
    return msgspec.structs.replace(prepared, attempted_at=begun)


@pytest.mark.parametrize("to", [TO, "120363012345678901@g.us"])
async def test_lost_answers_are_found_by_their_time(
    provider: EvolutionProvider, rehearse: Rehearse, clock: Clock, to: str
) -> None:
    sender = await rehearse(faults=1.0, seed=3)
    lost: list[Prepared] = []
    for hour in range(12):
        clock.time = BEGUN + timedelta(hours=hour)
        prepared = prepare(provider, sender, "The same text", clock.time, to)
        if await provider.send(prepared, sender) == Unknown("connection_lost"):
            lost.append(prepared)
    assert len(lost) > 1
    findings = [await provider.reconcile(prepared, sender, ()) for prepared in lost]
    assert all(isinstance(finding, Found) for finding in findings)
    assert len({finding.ids for finding in findings if isinstance(finding, Found)}) == len(lost)


async def test_message_of_another_hour_is_not_taken_for_it(
    provider: EvolutionProvider, rehearse: Rehearse, clock: Clock
) -> None:
    sender = await rehearse()
    await provider.send(prepare(provider, sender, "Hello", clock.time), sender)
    later = prepare(provider, sender, "Hello", BEGUN + timedelta(hours=1))
    assert await provider.reconcile(later, sender, ()) == CannotTell("not_in_chat")


async def test_everything_written_down_has_the_time_of_the_clock(serve: Serve, clock: Clock, hooks: Receiver) -> None:
    options = Options(api_key=KEY, version="2.4.0", licensed=True, ack_seconds=0, connect_seconds=0, start_seconds=0)
    instance = Instance("snd_17", "token", "id", "open", "15550000001")
    application: Any = Simulator(options, [instance], now=clock)
    url = await serve(application)
    async with httpx.AsyncClient(base_url=url, headers={"apikey": KEY}) as http:
        hook = {"enabled": True, "url": hooks.url, "headers": {"jwt_key": "key"}}
        await http.post("/webhook/set/snd_17", json={"webhook": hook})
        sent = (await http.post("/message/sendText/snd_17", json={"number": TO, "text": "Hello"})).json()
        await http.post("/simulator/messages", json={"session": "snd_17", "from": TO, "text": "Oi"})
        group: Any = (await http.post("/simulator/groups", json={"session": "snd_17", "name": "Team"})).json()
        await http.post("/simulator/sessions/snd_17/state", json={"state": "close", "reason": 401})
        (told,) = await hooks.wait("status.instance", 1)
        await hooks.wait("messages.upsert", 1)
    second = int(BEGUN.timestamp())
    assert (sent["messageTimestamp"], group["created_at"]) == (second, second)
    assert {body["date_time"] for body in hooks.bodies()} == {"2031-03-09T06:30:00.250Z"}
    assert told["data"]["disconnectionAt"] == "2031-03-09T06:30:00.250Z"
    assert {body["data"]["messageTimestamp"] for body in hooks.bodies("messages.upsert")} == {second}
    assert {request.headers["x-timestamp"] for request in hooks.server.requests} == {str(1000 * second + 250)}


def test_no_other_clock_is_asked() -> None:
    folder = Path(plugins.evolution.simulator.__file__).parent
    asked = re.compile(r"time\.time\(|monotonic\(|\.now\(|utcnow\(|today\(")
    found = {path.name: asked.findall(path.read_text(encoding="utf-8")) for path in folder.glob("*.py")}
    assert {name: calls for name, calls in found.items() if calls} == {"state.py": [".now("]}
