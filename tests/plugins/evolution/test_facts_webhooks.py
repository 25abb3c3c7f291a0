"""Known bodies and rules of webhooks in version 2."""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.plugin import (
    AnyEvent,
    MessageInEvent,
    MessageStatusEvent,
    Secret,
    SenderStatusEvent,
    UnknownEvent,
    WebhookDelivery,
    WebhookTarget,
)
from core.plugin.testing import Answer, ScriptedServer
from plugins.evolution.provider import EvolutionProvider
from plugins.evolution.webhook import receive
from tests.plugins.evolution import facts, simulator_conftest
from tests.plugins.evolution.conftest import SECRET, sender_on
from tests.plugins.evolution.simulator_conftest import TO, Evolution, Receiver

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution
hooks = simulator_conftest.hooks

Start = Callable[..., Awaitable[Evolution]]
OTHERS = (
    *("application.startup", "messages.set", "messages.edited", "messages.delete", "send.message.update"),
    *("contacts.set", "contacts.upsert", "contacts.update", "presence.update", "chats.set", "chats.upsert"),
    *("chats.update", "chats.delete", "groups.upsert", "group.update", "group.participants.update", "labels.edit"),
    *("labels.association", "call", "typebot.start", "typebot.change.status", "instance.create", "instance.delete"),
    *("logout.instance", "remove.instance"),
)


def read(event: str, data: bytes) -> tuple[AnyEvent, ...]:
    delivery = WebhookDelivery(
        method="POST",
        query={},
        headers={"x-recado-secret": SECRET},
        body=facts.envelope(event, data),
        public_url="https://p.example/w",
    )
    result = receive(delivery, Secret(SECRET))
    assert result.genuine
    assert b"<instance token>" not in result.payload
    return result.events


async def test_configuration(provider: EvolutionProvider, evolution: Evolution) -> None:
    await evolution.create()
    nested = {"enabled": True, "url": "https://p.example/w", "events": [], "byEvents": False, "base64": False}
    done = await evolution.post("/webhook/set/snd_17", {"webhook": {**nested, "headers": {"X-Hook-Secret": "s"}}})
    row = b'{"id":"cm","url":"https://p.example/w","enabled":true,"events":["CALL"],"headers":{"X-Hook-Secret":"s"},'
    facts.assert_answer(done, 201, row + b'"webhookByEvents":false,"webhookBase64":false,"instanceId":"<uuid>"}')
    assert len(done.json()["events"]) > 20
    assert (await evolution.post("/webhook/set/snd_17", nested)).status_code == 400
    async with ScriptedServer(Answer(200, json.dumps(done.json()).encode())) as server:
        server.routes["/instance/connectionState"] = Answer(200, facts.OPEN)
        assert await provider.repair_webhook(sender_on(server.url), WebhookTarget("https://p.example/w"))


async def test_envelope(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    told = next(one for one in await hooks.wait("connection.update", 2) if one["data"]["state"] == "open")
    facts.assert_form(facts.ENVELOPE, told)
    assert told["event"] == told["event"].lower()


async def test_delivery_rules(start_evolution: Start, hooks: Receiver) -> None:
    """One address for each event, the global one, headers with a JWT, the zone, and the headers of 2.4."""
    evolution = await start_evolution(
        version="2.4.0", licensed=True, webhook_global_url=hooks.url, utc_offset_minutes=-180
    )
    hook = {"enabled": True, "url": hooks.url, "byEvents": True, "events": ["MESSAGES_UPSERT"]}
    await evolution.create(webhook="https://p.example")
    await evolution.post("/webhook/set/snd_17", {"webhook": {**hook, "headers": {"X-Own": "1", "jwt_key": "key"}}})
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "Oi"})
    await hooks.wait("messages.upsert", 2)
    targets = {request.target: request for request in hooks.server.requests}
    own = targets["/hooks/evolution/17/messages-upsert"]
    assert "/hooks/evolution/17" in targets
    head, claims, _ = (own.headers["authorization"].removeprefix("Bearer ") + "..").split(".")[:3]
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert (said["app"], said["action"], said["exp"] - said["iat"]) == ("evolution", "webhook", 600)
    assert own.headers["x-own"] == "1"
    assert {"x-instance-id", "x-instance-name", "x-event-type", "x-timestamp"} <= own.headers.keys()
    written = datetime.fromisoformat(json.loads(own.body)["date_time"])
    assert abs(datetime.now(UTC) - written - timedelta(hours=3)) < timedelta(minutes=1)


@pytest.mark.parametrize(("status", "count"), [(400, 1), (401, 1), (403, 1), (404, 1), (422, 1), (500, 10), (429, 10)])
async def test_what_is_not_taken_is_repeated(start_evolution: Start, hooks: Receiver, status: int, count: int) -> None:
    evolution = await start_evolution(retry_seconds=0.0001)
    hooks.server.reaction = Answer(status, b"")
    await evolution.create(webhook=hooks.url)
    await evolution.post("/simulator/sessions/snd_17/events", {"event": "CALL", "data": {}})
    await hooks.wait("call", count)
    await evolution.post("/simulator/sessions/snd_17/events", {"event": "LABELS_EDIT", "data": {}})
    await hooks.wait("labels.edit", count)
    assert len(hooks.bodies("call")) == count


@pytest.mark.parametrize(
    ("event", "data", "kind", "expected"),
    [
        ("connection.update", facts.CONNECTION, SenderStatusEvent, {"state": "starting", "raw": "connecting"}),
        (
            "connection.update",
            facts.OPENED,
            SenderStatusEvent,
            {"state": "connected", "address": "5511988887777@s.whatsapp.net", "name": "Shop"},
        ),
        (
            "connection.update",
            b'{"instance":"i1","state":"close","statusReason":401}',
            SenderStatusEvent,
            {"state": "failed", "raw": "close 401"},
        ),
        (
            "connection.update",
            b'{"instance":"i1","state":"close","statusReason":428}',
            SenderStatusEvent,
            {"state": "starting", "raw": "close 428"},
        ),
        (
            "connection.update",
            b'{"instance":"i1","state":"refused","statusReason":428}',
            SenderStatusEvent,
            {"state": "failed", "raw": "refused"},
        ),
        ("qrcode.updated", facts.QRCODE, SenderStatusEvent, {"state": "sign_in", "raw": "qrcode"}),
        ("qrcode.updated", facts.QRCODE_LIMIT, SenderStatusEvent, {"state": "failed", "raw": "qrcode limit"}),
        (
            "messages.upsert",
            facts.UPSERT,
            MessageInEvent,
            {"id": "3A01", "address": facts.PERSON, "phone": TO, "text": "STOP"},
        ),
        (
            "messages.update",
            facts.UPDATE,
            MessageStatusEvent,
            {"ids": ("3EB0AA",), "status": "sent", "address": facts.PERSON},
        ),
        (
            "send.message",
            facts.SENT,
            MessageStatusEvent,
            {"ids": ("3EB01C622C26014C47E80B",), "status": "accepted", "address": facts.PERSON},
        ),
        ("status.instance", facts.STATUS_CLOSED, SenderStatusEvent, {"state": "failed", "raw": "close 401"}),
        ("logout.instance", b"null", UnknownEvent, {"name": "logout.instance"}),
        ("remove.instance", b"null", UnknownEvent, {"name": "remove.instance"}),
    ],
)
def test_events_are_read(event: str, data: bytes, kind: type, expected: dict[str, object]) -> None:
    for name in (event, event.upper().replace(".", "_")):
        (found,) = read(name, data)
        assert isinstance(found, kind)
        assert {field: getattr(found, field) for field in expected} == expected


async def test_events_are_told(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(qr_seconds=0.01, qr_limit=1)
    await evolution.create(webhook=hooks.url)
    facts.assert_form(facts.QRCODE, (await hooks.wait("qrcode.updated", 1))[0]["data"])
    facts.assert_form(facts.QRCODE_LIMIT, (await hooks.wait("qrcode.updated", 2))[1]["data"])
    await hooks.wait("connection.update", 2)
    evolution = await start_evolution()
    await evolution.open(webhook=hooks.url)
    await evolution.send()
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})
    await hooks.statuses(3)
    await evolution.http.delete("/instance/logout/snd_17")
    await evolution.http.delete("/instance/delete/snd_17")
    await hooks.wait("remove.instance", 1)
    told = {
        "messages.upsert": facts.UPSERT,
        "messages.update": facts.UPDATE,
        "send.message": facts.SENT.replace(b'"contextInfo":null,', b""),
        "connection.update": facts.CONNECTION,
        "status.instance": facts.STATUS_CLOSED,
        "logout.instance": b"null",
    }
    for event, known in told.items():
        for body in await hooks.wait(event, 1):
            facts.assert_form(known, body["data"])
    states = [body["data"] for body in hooks.bodies("connection.update")]
    assert {"connecting", "refused", "open", "close"} <= {one["state"] for one in states}
    facts.assert_form(facts.OPENED, next(one for one in states if one["state"] == "open"))


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_counted(name: str) -> None:
    for data in (b"null", b"{}", b"[]", b'{"anything":[1]}'):
        (found,) = read(name.upper().replace(".", "_"), data)
        assert isinstance(found, UnknownEvent)
        assert found.name == name


async def test_hot_loop(evolution: Evolution, hooks: Receiver) -> None:
    """Some fifteen changes a second become one or two facts."""
    await evolution.open(webhook=hooks.url)
    await evolution.post("/simulator/sessions/snd_17/network", {"online": False})
    bodies = await hooks.wait("connection.update", 16)
    storm = [body for body in bodies if body["data"]["state"] != "open"]
    keys = {event.dedupe_key for body in storm for event in read_body(body)}
    assert len(keys) <= 2


def read_body(body: dict[str, Any]) -> tuple[AnyEvent, ...]:
    delivery = WebhookDelivery(
        method="POST",
        query={},
        headers={"x-recado-secret": SECRET},
        body=json.dumps(body).encode(),
        public_url="https://p.example/w",
    )
    return receive(delivery, Secret(SECRET)).events
