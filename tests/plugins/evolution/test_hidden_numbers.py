"""The phone behind a hidden number, as far as a server keeps a message that names both."""

import json
from collections.abc import Awaitable, Callable, Sequence

import pytest

from core.plugin import UncertainError
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.conftest import sender_on
from tests.plugins.evolution.simulator_conftest import TO, Evolution
from tests.plugins.evolution.test_lives import connect

start_evolution = simulator_conftest.start_evolution

HIDDEN = "77@lid"
ANA = "12132132130@s.whatsapp.net"
MESSAGES = "/chat/findMessages/snd_17"


def page(keys: Sequence[object]) -> Answer:
    records = [{"id": "row", "key": key, "messageTimestamp": 1795441640} for key in keys]
    return Answer(200, json.dumps({"messages": {"records": records}}).encode())


@pytest.mark.parametrize(
    ("keys", "phone"),
    [
        ([{"id": "3A", "remoteJid": HIDDEN, "remoteJidAlt": ANA}], TO),
        ([{"id": "3A", "remoteJid": ANA, "remoteJidAlt": HIDDEN}], TO),
        ([{"id": "3A", "remoteJid": HIDDEN}, {"id": "3B", "remoteJid": HIDDEN, "remoteJidAlt": ANA}], TO),
        ([{"id": "3A", "remoteJid": HIDDEN, "remoteJidAlt": None}], ""),
        ([{"id": "3A", "remoteJid": "78@lid", "remoteJidAlt": ANA}], ""),
        ([{"id": "3A", "remoteJid": ANA}], ""),
        ([], ""),
    ],
)
async def test_phone_of_a_stored_message(provider: EvolutionProvider, keys: Sequence[object], phone: str) -> None:
    async with ScriptedServer(page(keys)) as server:
        assert await provider.find_phone(sender_on(server.url), HIDDEN) == phone
        asked = [json.loads(request.body)["where"]["key"] for request in server.requests]
    assert asked == [{"remoteJid": HIDDEN}, {"remoteJidAlt": HIDDEN}][: 1 if phone else 2]


@pytest.mark.parametrize(
    ("version", "address", "phone"),
    [("2.3.7", ANA, TO), ("2.3.7", TO, TO), ("2.3.7", "1203@g.us", ""), ("1.8.2", HIDDEN, ""), ("1.8.2", ANA, TO)],
)
async def test_who_is_not_hidden_is_not_asked_about(
    provider: EvolutionProvider, version: str, address: str, phone: str
) -> None:
    async with ScriptedServer() as server:
        assert await provider.find_phone(sender_on(server.url, version), address) == phone
        assert server.requests == []


async def test_a_server_that_does_not_answer_knows_nothing_yet(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(500)) as server:
        with pytest.raises(UncertainError):
            await provider.find_phone(sender_on(server.url), HIDDEN)


@pytest.mark.parametrize("version", ["1.8.2", "2.0.10", "2.3.6", "2.3.7"])
@pytest.mark.parametrize("known", [True, False])
async def test_on_the_simulator(
    provider: EvolutionProvider,
    start_evolution: Callable[..., Awaitable[Evolution]],
    version: str,
    known: bool,  # noqa: FBT001 - a table's column
) -> None:
    evolution = await start_evolution(version=version)
    sender = await connect(provider, evolution)
    body = {"session": "snd_17", "from": TO, "text": "STOP", "lid": True if known else "hidden"}
    await evolution.post("/simulator/messages", body)
    method = "GET" if evolution.options.is_v1 else "POST"
    (chat,) = (await evolution.http.request(method, "/chat/findChats/snd_17", json={})).json()
    assert chat["remoteJid"].endswith("@lid")
    phone = TO if known and version != "1.8.2" else ""
    assert await provider.find_phone(sender, chat["remoteJid"]) == phone
