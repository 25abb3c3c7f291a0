"""Known bodies of instances in version 2: creation, sign-in, states, list, restart, end."""

import json

import pytest

from core.plugin import Challenge, RefusedError, SenderReport, SenderState, WebhookTarget
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from tests.plugins.evolution import facts, simulator_conftest
from tests.plugins.evolution.conftest import SECRET, sender_on
from tests.plugins.evolution.simulator_conftest import PHONE, TOKEN, Evolution, eventually

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution

OWNER = "5511988887777@s.whatsapp.net"
HOOK = WebhookTarget("https://p.example/hooks/evolution/17")
CREATION = {
    "instanceName": "snd_17",
    "integration": "WHATSAPP-BAILEYS",
    "token": TOKEN,
    "qrcode": True,
    "rejectCall": False,
    "groupsIgnore": True,
    "alwaysOnline": False,
    "readMessages": False,
    "syncFullHistory": False,
    "webhook": {
        "enabled": True,
        "url": HOOK.url,
        "byEvents": False,
        "base64": False,
        "headers": {"X-Hook-Secret": "<random>"},
        "events": [
            *("CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE"),
            *("LOGOUT_INSTANCE", "STATUS_INSTANCE"),
        ],
    },
}


async def test_create(provider: EvolutionProvider, evolution: Evolution) -> None:
    async with ScriptedServer(Answer(201, facts.CREATED)) as server:
        report = await provider.open(sender_on(server.url), HOOK)
    assert report == SenderReport(state=SenderState.SIGN_IN, raw="created")
    facts.assert_answer(await evolution.post("/instance/create", CREATION), 201, facts.CREATED)
    refused = await evolution.post("/instance/create", {"instanceName": "another", "integration": "OTHER"})
    assert (refused.status_code, refused.json()["response"]["message"]) == (400, ["Invalid integration"])


async def test_creation_in_the_known_form(provider: EvolutionProvider) -> None:
    async with ScriptedServer(Answer(201, facts.CREATED)) as server:
        await provider.open(sender_on(server.url), HOOK)
        (request,) = server.requests
    body = json.loads(request.body)
    assert body.keys() == CREATION.keys() - {"token"}
    facts.assert_form(json.dumps({name: CREATION[name] for name in body if name != "webhook"}).encode(), body)
    assert body["webhook"].keys() == {"enabled", "url", "byEvents", "base64", "headers", "events"}
    assert set(body["webhook"]["headers"].values()) == {SECRET}


async def test_connect(provider: EvolutionProvider, evolution: Evolution) -> None:
    async with ScriptedServer(Answer(200, facts.CODE)) as server:
        assert await provider.challenge(sender_on(server.url)) == Challenge(kind="qr", value="2@abc")
    await evolution.create(qrcode=False)
    facts.assert_answer(await evolution.http.get("/instance/connect/snd_17"), 200, facts.CODE)


@pytest.mark.parametrize("body", [facts.OPEN, b'{"count": 0}', b"{}", b'{"code": null}'])
async def test_connect_while_open(provider: EvolutionProvider, evolution: Evolution, body: bytes) -> None:
    async with ScriptedServer(Answer(200, body)) as server:
        with pytest.raises(RefusedError, match="has no code for this number now"):
            await provider.challenge(sender_on(server.url))
    await evolution.open()
    facts.assert_answer(await evolution.http.get("/instance/connect/snd_17"), 200, facts.OPEN)


async def test_connect_without_a_network(evolution: Evolution) -> None:
    await evolution.open()
    await evolution.post("/simulator/sessions/snd_17/network", {"online": False})

    async def counts() -> bool:
        return bool(await evolution.get("/instance/connect/snd_17") == {"count": 0})

    await eventually(counts)


@pytest.mark.parametrize(
    ("word", "state"),
    [("open", SenderState.CONNECTED), ("connecting", SenderState.SIGN_IN), ("close", SenderState.FAILED)],
)
async def test_connection_state(
    provider: EvolutionProvider, evolution: Evolution, word: str, state: SenderState
) -> None:
    body = facts.OPEN.replace(b'"open"', f'"{word}"'.encode())
    routes = {"/instance/connectionState": Answer(200, body)}
    async with ScriptedServer(Answer(404), routes) as server:
        assert (await provider.state(sender_on(server.url))).state is state
    await evolution.create()
    facts.assert_answer(await evolution.http.get("/instance/connectionState/snd_17"), 200, body)
    assert (await evolution.state()) in {"open", "connecting", "close"}


async def test_fetch_instances(provider: EvolutionProvider, evolution: Evolution) -> None:
    routes = {
        "/instance/connectionState": Answer(200, facts.OPEN),
        "/instance/fetchInstances": Answer(200, facts.LISTED),
    }
    async with ScriptedServer(Answer(404), routes) as server:
        report = await provider.state(sender_on(server.url))
    assert report == SenderReport(state=SenderState.CONNECTED, raw="open", address=OWNER, name="Shop")
    await evolution.open()
    facts.assert_answer(await evolution.http.get("/instance/fetchInstances"), 200, facts.LISTED)
    (listed,) = await evolution.get(f"/instance/fetchInstances?number={PHONE}")
    assert listed["ownerJid"] == OWNER


async def test_restart(provider: EvolutionProvider, evolution: Evolution) -> None:
    routes = {"/instance/restart": Answer(200, facts.OPEN), "/instance/connectionState": Answer(200, facts.OPEN)}
    async with ScriptedServer(Answer(404), routes) as server:
        assert (await provider.restart(sender_on(server.url))).state is SenderState.CONNECTED
        assert server.requests[0].method == "POST"
    await evolution.create(qrcode=False)
    facts.assert_answer(await evolution.http.post("/instance/restart/snd_17"), 200, facts.HIDDEN_ERROR)
    assert (await evolution.http.put("/instance/restart/snd_17")).status_code == 404


async def test_logout_and_delete(provider: EvolutionProvider, evolution: Evolution) -> None:
    async with ScriptedServer(Answer(200, facts.DONE)) as server:
        await provider.sign_out(sender_on(server.url))
        await provider.remove(sender_on(server.url))
        assert {request.method for request in server.requests} == {"DELETE"}
    await evolution.open()
    for call, word in (("logout", "logged out"), ("delete", "deleted")):
        answer = await evolution.http.delete(f"/instance/{call}/snd_17")
        facts.assert_answer(answer, 200, facts.DONE)
        assert answer.json()["response"]["message"] == f"Instance {word}"
    await evolution.create(qrcode=False)
    assert (await evolution.http.delete("/instance/logout/snd_17")).status_code == 400
