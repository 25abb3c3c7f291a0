"""What version 1 does differently: known bodies, read by the plugin and answered by the simulator."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.plugin import (
    AnyEvent,
    Media,
    MessageInEvent,
    MessageKind,
    MessageStatusEvent,
    OutgoingMessage,
    Secret,
    SenderReport,
    SenderState,
    WebhookDelivery,
    WebhookTarget,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.messages import prepare_message
from plugins.evolution.provider import EvolutionProvider
from plugins.evolution.webhook import receive
from tests.plugins.evolution import facts, simulator_conftest
from tests.plugins.evolution.conftest import SECRET, sender_on
from tests.plugins.evolution.simulator_conftest import PHONE, TO, TOKEN, Evolution, Receiver

start_evolution, hooks = simulator_conftest.start_evolution, simulator_conftest.hooks

Start = Callable[..., Awaitable[Evolution]]
TEXT = (
    b'{"number":"12132132130","options":{"delay":1200,"presence":"composing","linkPreview":false},'
    b'"textMessage":{"text":"Hello"}}'
)
MEDIA = (
    b'{"number":"12132132130","options":{"delay":1200,"presence":"composing"},'
    b'"mediaMessage":{"mediatype":"image","media":"https://p.example/o.jpg","caption":"Offer","fileName":"o.jpg"}}'
)
AUDIO = b'{"number":"12132132130","options":{"delay":1200},"audioMessage":{"audio":"https://p.example/o.ogg"}}'
LINK = Media(mimetype="image/jpeg", filename="o.jpg", url="https://p.example/o.jpg")


@pytest.fixture
async def first(start_evolution: Start) -> Evolution:
    """A server of the last version of version 1."""
    return await start_evolution(version="1.8.2")


def read(event: str, data: bytes) -> tuple[AnyEvent, ...]:
    delivery = WebhookDelivery(
        method="POST",
        query={"secret": SECRET},
        headers={},
        body=facts.envelope(event, data),
        public_url="https://p.example/w",
    )
    return receive(delivery, Secret(SECRET)).events


@pytest.mark.parametrize(
    ("kind", "path", "known"),
    [
        (MessageKind.TEXT, "sendText", TEXT),
        (MessageKind.IMAGE, "sendMedia", MEDIA),
        (MessageKind.AUDIO, "sendWhatsAppAudio", AUDIO),
    ],
)
async def test_bodies_of_sends(first: Evolution, kind: MessageKind, path: str, known: bytes) -> None:
    message = OutgoingMessage(TO, kind, "Hello", None if kind is MessageKind.TEXT else LINK)
    prepared = prepare_message(message, sender_on("http://evo", "1.8.2"), "3EB0")
    assert prepared.path == f"/message/{path}/snd_17"
    body = json.loads(prepared.body)
    facts.assert_form(known, body)
    await first.open()
    flat = {"number": TO, "text": "Hello", "mediatype": "image", "media": "aGk=", "audio": "aGk="}
    assert (await first.post(prepared.path, flat)).status_code == 400
    named = json.loads(prepared.body.replace(b"https://p.example/o.jpg", b"aGk="))
    assert (await first.post(prepared.path, named)).status_code == 201


@pytest.mark.parametrize(
    ("name", "inner"),
    [
        ("sendPoll", {"pollMessage": {"name": "Day?", "selectableCount": 1, "values": ["Mon", "Tue"]}}),
        ("sendStatus", {"statusMessage": {"type": "text", "content": "Open today"}}),
    ],
)
async def test_other_sends_are_nested(first: Evolution, name: str, inner: dict[str, Any]) -> None:
    await first.open()
    assert (await first.post(f"/message/{name}/snd_17", {"number": TO, **inner})).status_code == 201
    flat = {"number": TO, **next(iter(inner.values()))}
    assert (await first.post(f"/message/{name}/snd_17", flat)).status_code == 400


async def test_create(provider: EvolutionProvider, first: Evolution, hooks: Receiver) -> None:
    routes = {"/instance/create": Answer(201, facts.FIRST_CREATED), "/instance/connect": Answer(200, facts.CODE)}
    async with ScriptedServer(Answer(201, b"{}"), routes) as server:
        report = await provider.open(sender_on(server.url, "1.8.2"), WebhookTarget("https://p.example/w"))
        body = json.loads(server.requests[0].body)
    assert report == SenderReport(state=SenderState.SIGN_IN, raw="created")
    assert body.keys() >= {"webhook", "webhook_by_events", "webhook_base64", "events"}
    flat = {"instanceName": "snd_17", "token": TOKEN, "qrcode": False, "webhook": hooks.url, "events": []}
    created = await first.post("/instance/create", {**flat, "groups_ignore": False})
    facts.assert_answer(created, 201, facts.FIRST_CREATED)
    await hooks.wait("instance.create", 1)
    assert (created.json()["instance"]["status"], created.json()["settings"]["groups_ignore"]) == ("created", True)


async def test_webhook(provider: EvolutionProvider, first: Evolution) -> None:
    await first.create()
    known = b'{"enabled":true,"url":"https://p.example/w","webhook_by_events":false,"webhook_base64":false,"events":[]}'
    done = await first.post("/webhook/set/snd_17", {**json.loads(known), "headers": {"X": "1"}})
    assert done.status_code == 201
    found = await first.get("/webhook/find/snd_17")
    facts.assert_form(known, found)
    assert "headers" not in found
    routes = {"/webhook/find": Answer(200, known), "/instance/connectionState": Answer(200, facts.OPEN)}
    async with ScriptedServer(Answer(201, b"{}"), routes) as server:
        sender = sender_on(server.url, "1.8.2")
        assert await provider.repair_webhook(sender, WebhookTarget("https://p.example/w"))
        facts.assert_form(known, json.loads(server.requests[-1].body))


@pytest.mark.parametrize(
    ("path", "method", "other"),
    [
        ("/instance/restart/snd_17", "PUT", "POST"),
        ("/chat/markMessageAsRead/snd_17", "PUT", "POST"),
        ("/chat/findChats/snd_17", "GET", "POST"),
    ],
)
async def test_methods(start_evolution: Start, path: str, method: str, other: str) -> None:
    body: dict[str, list[object]] = {"read_messages": [], "readMessages": []}
    for version, right, wrong in (("1.8.2", method, other), ("2.3.7", other, method)):
        evolution = await start_evolution(version=version)
        await evolution.open()
        assert (await evolution.http.request(right, path, json=body)).is_success
        assert (await evolution.http.request(wrong, path, json=body)).status_code == 404


async def test_fetch_instances(provider: EvolutionProvider, first: Evolution) -> None:
    routes = {"/instance/connectionState": Answer(200, facts.OPEN)}
    routes["/instance/fetchInstances"] = Answer(200, facts.FIRST_LISTED)
    async with ScriptedServer(Answer(404), routes) as server:
        report = await provider.state(sender_on(server.url, "1.8.2"))
    assert (report.address, report.name) == (f"{PHONE}@s.whatsapp.net", "Shop")
    await first.open()
    facts.assert_answer(await first.http.get("/instance/fetchInstances"), 200, facts.FIRST_LISTED)


async def test_events(first: Evolution, hooks: Receiver) -> None:
    (status,) = read("messages.update", facts.FIRST_UPDATE)
    assert isinstance(status, MessageStatusEvent)
    assert (status.ids, status.status) == (("3EB0AA",), "delivered")
    (message,) = read("messages.upsert", facts.FIRST_UPSERT)
    assert isinstance(message, MessageInEvent)
    assert (message.phone, message.text) == (TO, "STOP")
    await first.open(webhook=hooks.url)
    await first.send()
    await first.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})
    facts.assert_form(facts.FIRST_UPDATE, (await hooks.wait("messages.update", 1))[0]["data"])
    facts.assert_form(facts.FIRST_UPSERT, (await hooks.wait("messages.upsert", 1))[0]["data"])
    assert "instanceId" not in hooks.bodies("messages.upsert")[0]["data"]


@pytest.mark.parametrize("exposed", [True, False])
async def test_key_only_where_exposed(start_evolution: Start, hooks: Receiver, *, exposed: bool) -> None:
    first = await start_evolution(version="1.8.2", expose_in_fetch_instances=exposed)
    await first.open(webhook=hooks.url)
    (told, *_) = await hooks.wait("connection.update", 1)
    assert ("apikey" in told) is exposed


async def test_repetitions_are_constant(start_evolution: Start, hooks: Receiver) -> None:
    first = await start_evolution(version="1.8.2", retry_seconds=0.0001)
    hooks.server.reaction = Answer(404, b"")
    await first.create(webhook=hooks.url, events=["CALL"])
    await first.post("/simulator/sessions/snd_17/events", {"event": "CALL", "data": {}})
    assert len(await hooks.wait("call", 10)) == 10
