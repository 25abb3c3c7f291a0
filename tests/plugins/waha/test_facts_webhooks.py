"""Webhooks, example by example; the table is in ``test_facts``."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from core.plugin import (
    AnyEvent,
    ForeignMessageEvent,
    MessageInEvent,
    MessageKind,
    MessageStatusEvent,
    Secret,
    SenderStatusEvent,
    UnknownEvent,
    WebhookDelivery,
)
from core.plugin.testing import Answer, ReceivedRequest, ScriptedServer
from core.plugin.transport import CONNECT_SECONDS
from plugins.waha import connection, sessions
from plugins.waha.plugin import WahaSettings
from plugins.waha.provider import WahaProvider
from plugins.waha.webhook import receive
from tests.plugins.waha.conftest import HMAC_KEY, PHONE, TO, Waha, delivery_of, eventually, misfits

SECRET = Secret(HMAC_KEY)
ENVELOPE = (
    '{"id":"evt_01m84ajgc953kxgc1x3zvjqhtf","timestamp":1795441639817,"event":"%s","session":"snd_17",'
    '"metadata":{"sender_id":"17"},"me":{"id":"5511988887777@c.us","pushName":"Shop","lid":"999000111222333@lid"},'
    '"payload":%s,"engine":"NOWEB","environment":{"version":"2026.2.1","engine":"NOWEB","tier":"CORE","browser":null,'
    '"platform":"linux/x64","worker":{"id":null}}}'
)
STATUS = (
    '{"name":"snd_17","status":"WORKING","statuses":[{"status":"STARTING","timestamp":1795441639000},'
    '{"status":"WORKING","timestamp":1795441639817}]}'
)
INCOMING = (
    '{"id":"false_12132132130@c.us_3AAA","timestamp":1795441640,"from":"12132132130@c.us","fromMe":false,'
    '"source":"app","body":"STOP","hasMedia":false,"media":null,"ack":0,"replyTo":null,"_data":{}}'
)
OWN = (
    '{"id":"true_12132132130@c.us_3EB0AA","timestamp":1795441640,"from":"12132132130@c.us","fromMe":true,'
    '"source":"api","body":"Hello","hasMedia":false,"media":null,"ack":0,"ackName":"PENDING","replyTo":null,"_data":{}}'
)
ACK = '{"id":"true_12132132130@c.us_3EB0AA","from":"12132132130@c.us","fromMe":true,"ack":1,"ackName":"SERVER"}'
GROUP_ACK = (
    '{"id":"true_120363000000000001@g.us_3EB0AA_5511988887777@c.us","from":"120363000000000001@g.us","fromMe":true,'
    '"ack":2,"ackName":"DEVICE","to":"123@lid","participant":"123@lid","_data":{"MessageIDs":["3EB0AA"]}}'
)
PICTURE = INCOMING.replace('"hasMedia":false,"media":null', '"hasMedia":true,"media":%s') % (
    '{"url":"http://waha:3000/api/files/a.jpeg","mimetype":"image/jpeg","filename":null}'
)
AT = datetime.fromtimestamp(1795441639.817, UTC)
SECOND = datetime.fromtimestamp(1795441640, UTC)


def delivered(event: str, payload: str) -> tuple[AnyEvent, ...]:
    body = (ENVELOPE % (event, payload)).encode()
    signature = hmac.new(HMAC_KEY.encode(), body, hashlib.sha512).hexdigest()
    headers = {"x-webhook-hmac": signature, "x-webhook-hmac-algorithm": "sha512"}
    delivery = WebhookDelivery(method="POST", query={}, headers=headers, body=body, public_url="https://p.example/w")
    result = receive(delivery, SECRET)
    assert (result.genuine, result.status, result.payload) == (True, 200, body)
    return result.events


@pytest.mark.parametrize(
    ("event", "payload", "read"),
    [
        (
            "session.status",
            STATUS,
            SenderStatusEvent(
                dedupe_key="evt_01m84ajgc953kxgc1x3zvjqhtf",
                state="connected",
                raw="WORKING",
                address="5511988887777@c.us",
                name="Shop",
                at=AT,
            ),
        ),
        (
            "message",
            INCOMING,
            MessageInEvent(dedupe_key="in:3AAA", id="3AAA", address=f"{TO}@c.us", phone=TO, text="STOP", at=SECOND),
        ),
        (
            "message.any",
            INCOMING,
            MessageInEvent(dedupe_key="in:3AAA", id="3AAA", address=f"{TO}@c.us", phone=TO, text="STOP", at=SECOND),
        ),
        (
            "message.any",
            PICTURE,
            MessageInEvent(dedupe_key="in:3AAA", id="3AAA", address=f"{TO}@c.us", phone=TO, text="STOP", at=SECOND),
        ),
        (
            "message.any",
            OWN,
            MessageStatusEvent(
                dedupe_key="out:3EB0AA:accepted", ids=("3EB0AA",), status="accepted", at=SECOND, address=f"{TO}@c.us"
            ),
        ),
        (
            "message.any",
            OWN.replace('"source":"api"', '"source":"app"'),
            ForeignMessageEvent(dedupe_key="out:3EB0AA", id="3EB0AA", address=f"{TO}@c.us", at=SECOND),
        ),
        (
            "message.ack",
            ACK,
            MessageStatusEvent(
                dedupe_key="evt_01m84ajgc953kxgc1x3zvjqhtf",
                ids=("3EB0AA",),
                status="sent",
                at=AT,
                address=f"{TO}@c.us",
            ),
        ),
        (
            "message.ack.group",
            GROUP_ACK,
            MessageStatusEvent(
                dedupe_key="group:3EB0AA:delivered",
                ids=("3EB0AA",),
                status="delivered",
                at=AT,
                address="120363000000000001@g.us",
            ),
        ),
    ],
)
def test_payload(event: str, payload: str, read: AnyEvent) -> None:
    assert delivered(event, payload) == (read,)


@pytest.mark.parametrize(
    ("ack", "engine", "status"),
    [
        (-1, "{}", None),
        (0, "{}", "accepted"),
        (1, "{}", "sent"),
        (1, '{"receipt":{"userJid":"1@s.whatsapp.net","receiptTimestamp":1795441640}}', "delivered"),
        (1, '{"receipt":{"userJid":"1@s.whatsapp.net"}}', "sent"),
        (2, "{}", "delivered"),
        (3, '{"receipt":{"readTimestamp":1795441640}}', "read"),
        (4, "[]", "read"),
    ],
)
def test_acknowledgement_of_a_group(ack: int, engine: str, status: str | None) -> None:
    """What a participant's phone did; its trouble is nobody else's. NOWEB calls a phone's receipt the server's."""
    payload = GROUP_ACK.replace('"ack":2', f'"ack":{ack}').replace('{"MessageIDs":["3EB0AA"]}', engine)
    statuses = [event.status for event in delivered("message.ack.group", payload) if hasattr(event, "status")]
    assert statuses == ([status] if status else [])


def test_new_acknowledgement_of_a_group() -> None:
    (event,) = delivered("message.ack.group", GROUP_ACK.replace('"ack":2', '"ack":9'))
    assert isinstance(event, UnknownEvent)
    assert event.name == "message.ack.group 9"


def test_what_others_wrote_in_a_group_is_no_event() -> None:
    assert delivered("message.ack.group", GROUP_ACK.replace('"fromMe":true', '"fromMe":false')) == ()


EVENTS = [
    "session.status",
    "message",
    "message.reaction",
    "message.any",
    "message.ack",
    "message.ack.group",
    "message.waiting",
    "message.revoked",
    "message.edited",
    "group.v2.join",
    "group.v2.leave",
    "group.v2.update",
    "group.v2.participants",
    "group.join",
    "group.leave",
    "state.change",
    "presence.update",
    "poll.vote",
    "poll.vote.failed",
    "chat.archive",
    "call.received",
    "call.accepted",
    "call.rejected",
    "label.upsert",
    "label.deleted",
    "label.chat.added",
    "label.chat.deleted",
    "event.response",
    "event.response.failed",
    "engine.event",
]


@pytest.mark.parametrize("name", EVENTS)
def test_every_event(name: str) -> None:
    """What core has no use for is counted under its name."""
    (event,) = delivered(name, "{}")
    assert event == UnknownEvent(dedupe_key="evt_01m84ajgc953kxgc1x3zvjqhtf", name=name)


async def happened(waha: Waha, receiver: ScriptedServer, event: str) -> tuple[ReceivedRequest, Any]:
    """Let everything happen once; return a delivery of ``event`` and its body."""
    config = {
        "metadata": {"sender_id": "17"},
        "noweb": {"store": {"enabled": True}},
        "webhooks": [
            {
                "url": receiver.url,
                "events": ["*"],
                "hmac": {"key": HMAC_KEY},
                "customHeaders": [{"name": "X-Sender", "value": "17"}],
            }
        ],
    }
    await waha.post("/api/sessions", {"name": "snd_17", "start": True, "config": config})
    await waha.until("snd_17", "SCAN_QR_CODE")
    await waha.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})
    group = await waha.post("/simulator/groups", {"session": "snd_17", "name": "Clients", "participants": [TO]})
    for chat in (f"{TO}@c.us", group.json()["id"]):
        await waha.post("/api/sendText", {"session": "snd_17", "chatId": chat, "text": "Hello"})
    found: list[tuple[ReceivedRequest, Any]] = []

    async def came() -> bool:
        bodies = [(request, json.loads(request.body)) for request in receiver.requests]
        found[:] = [(request, body) for request, body in bodies if body["event"] == event and body["me"]]
        return bool(found)

    await eventually(came)
    return found[0]


@pytest.mark.parametrize(
    ("event", "example"),
    [
        ("session.status", STATUS),
        ("message", INCOMING),
        ("message.ack", ACK),
        ("message.ack.group", GROUP_ACK),
    ],
)
async def test_payload_of_the_simulator(
    waha: Waha, receiver: ScriptedServer, provider: WahaProvider, event: str, example: str
) -> None:
    request, body = await happened(waha, receiver, event)
    assert misfits(json.loads(example), body["payload"]) == []
    (read,) = provider.receive(delivery_of(request), SECRET).events
    assert not isinstance(read, UnknownEvent)


async def test_own_message_of_the_simulator(waha: Waha, receiver: ScriptedServer) -> None:
    await happened(waha, receiver, "message.ack")
    bodies = [json.loads(request.body) for request in receiver.requests]
    own = [body["payload"] for body in bodies if body["event"] == "message.any" and body["payload"]["fromMe"]]
    assert misfits(json.loads(OWN), own[0]) == []


async def test_envelope(waha: Waha, receiver: ScriptedServer) -> None:
    _, body = await happened(waha, receiver, "message.any")
    assert misfits(json.loads(ENVELOPE % ("message.any", "{}")), body) == []
    assert body["metadata"] == {"sender_id": "17"}
    early = json.loads(receiver.requests[0].body)
    assert early["me"] is None


async def test_headers(waha: Waha, receiver: ScriptedServer) -> None:
    request, body = await happened(waha, receiver, "message.any")
    headers = request.headers
    assert headers["x-webhook-request-id"]
    assert headers["x-webhook-timestamp"] == str(body["timestamp"])
    assert headers["x-webhook-hmac"] == hmac.new(HMAC_KEY.encode(), request.body, hashlib.sha512).hexdigest()
    assert headers["x-webhook-hmac-algorithm"] == "sha512"
    assert headers["user-agent"] == "WAHA/2026.7.1"
    assert headers["x-sender"] == "17"
    assert headers["content-type"] == "application/json"


async def test_retry_after(waha: Waha, receiver: ScriptedServer) -> None:
    """A repetition waits for what the receiver says; here the default of 2 s would be too late."""
    await waha.working_session(webhook=receiver.url, retries={"delaySeconds": 600})
    receiver.reaction = Answer(503, b"", {"Retry-After": "1"})
    await waha.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})

    async def repeated() -> bool:
        ids = [request.headers["x-webhook-request-id"] for request in receiver.requests]
        return len(ids) > len(set(ids))

    await eventually(repeated)


async def test_limits(provider: WahaProvider) -> None:
    """Seconds; the defaults of the settings are what a real server needs."""
    settings = WahaSettings()
    assert (CONNECT_SECONDS, connection.QUICK_SECONDS, connection.SLOW_SECONDS, sessions.PAIRING_SECONDS) == (
        5,
        20,
        30,
        20,
    )
    assert settings.text_timeout_seconds == 40
    assert settings.media_timeout_seconds >= 120
    assert settings.unknown_grace_seconds >= 60
    assert provider.send_timeout(MessageKind.TEXT) < provider.send_timeout(MessageKind.VIDEO)
