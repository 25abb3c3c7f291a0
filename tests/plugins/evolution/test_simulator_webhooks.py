"""The simulator's webhooks are those of Evolution v2: configuration, bodies, order of events, repetitions."""

import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.plugin.testing import Answer
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.simulator_conftest import ADDRESS, PHONE, TO, TOKEN, Evolution, Receiver, eventually

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution
hooks = simulator_conftest.hooks

Start = Callable[..., Awaitable[Evolution]]


async def test_configuration_is_nested(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.create()
    assert await evolution.get("/webhook/find/snd_17") is None
    headers = {"X-Hook-Secret": "s3cret"}
    wanted = {"enabled": True, "url": hooks.url, "events": ["MESSAGES_UPDATE"], "headers": headers}
    done = await evolution.post("/webhook/set/snd_17", {"webhook": {**wanted, "byEvents": False, "base64": False}})
    assert done.status_code == 201
    row = await evolution.get("/webhook/find/snd_17")
    assert row == done.json()
    assert {name: row[name] for name in wanted} == wanted
    assert (row["webhookByEvents"], row["webhookBase64"]) == (False, False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"enabled": True, "url": "https://p.example/hooks"}, [['instance requires property "webhook"']]),
        ({"webhook": "https://p.example/hooks"}, [["webhook is not of a type(s) object"]]),
        ({"webhook": {"enabled": True}}, [['webhook requires property "url"']]),
        ({"webhook": {"enabled": True, "url": "ftp://p.example"}}, ['Invalid "url" property']),
    ],
)
async def test_refused_configurations(evolution: Evolution, body: object, message: object) -> None:
    await evolution.create()
    refused = await evolution.post("/webhook/set/snd_17", body)
    assert refused.json() == {"status": 400, "error": "Bad Request", "response": {"message": message}}


async def test_unknown_events_are_refused(evolution: Evolution) -> None:
    await evolution.create()
    hook = {"enabled": True, "url": "https://p.example/hooks", "events": ["MESSAGES_UPDATE", "messages.update"]}
    refused = await evolution.post("/webhook/set/snd_17", {"webhook": hook})
    assert refused.json()["response"]["message"][0][0].startswith("webhook.events[1] is not one of enum values: ")


async def test_envelope(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(server_url="http://127.0.0.1:18080", utc_offset_minutes=-180)
    await evolution.open(webhook=hooks.url)
    sent = (await evolution.send()).json()
    (body,) = await hooks.wait("send.message", 1)
    data = body.pop("data")
    moment = body.pop("date_time")
    behind = datetime.now(UTC) - datetime.fromisoformat(moment)
    assert abs(behind - timedelta(hours=3)) < timedelta(minutes=1)
    assert body == {
        "event": "send.message",
        "instance": "snd_17",
        "destination": hooks.url,
        "sender": f"{PHONE}@s.whatsapp.net",
        "server_url": "http://127.0.0.1:18080",
        "apikey": TOKEN,
    }
    assert (data["key"], data["message"], data["status"]) == (sent["key"], {"conversation": "Hello"}, "PENDING")
    assert {request.headers["x-hook-secret"] for request in hooks.server.requests} == {"s3cret"}


async def test_acknowledgements(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    sent = (await evolution.send()).json()
    assert sorted(await hooks.statuses(3)) == ["DELIVERY_ACK", "READ", "SERVER_ACK"]
    data = hooks.bodies("messages.update")[0]["data"]
    row_id = data.pop("messageId")
    assert row_id != sent["key"]["id"]
    assert data | {"status": ""} == {
        "keyId": sent["key"]["id"],
        "remoteJid": ADDRESS,
        "fromMe": True,
        "participant": None,
        "status": "",
        "instanceId": sent["instanceId"],
    }
    assert hooks.bodies("messages.upsert") == []


async def test_voice_notes_are_played(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    audio = base64.b64encode(b"voice").decode()
    await evolution.post("/message/sendWhatsAppAudio/snd_17", {"number": TO, "audio": audio})
    assert sorted(await hooks.statuses(4)) == ["DELIVERY_ACK", "PLAYED", "READ", "SERVER_ACK"]


async def test_unread_messages_stay_delivered(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(read_share=0.0)
    await evolution.open(webhook=hooks.url)
    message_id = (await evolution.send()).json()["key"]["id"]
    await hooks.statuses(2)
    rows = (await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})).json()
    assert [row["status"] for row in rows] == ["SERVER_ACK", "DELIVERY_ACK"]


async def test_a_person_writes(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    written = await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})
    (body,) = await hooks.wait("messages.upsert", 1)
    data = body["data"]
    assert data["key"] == {"remoteJid": ADDRESS, "fromMe": False, "id": written.json()["id"]}
    assert (data["pushName"], data["status"], data["source"]) == ("Ana", "DELIVERY_ACK", "android")
    assert (data["message"], data["messageType"]) == ({"conversation": "STOP"}, "conversation")


async def test_the_owner_writes_on_the_phone(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.post("/simulator/messages", {"session": "snd_17", "to": TO, "text": "By hand"})
    (body,) = await hooks.wait("messages.upsert", 1)
    assert (body["data"]["key"]["fromMe"], body["data"]["key"]["remoteJid"]) == (True, ADDRESS)
    assert (await evolution.phone())["count"] == 1


@pytest.mark.parametrize(
    ("version", "lid", "shown"),
    [
        ("2.3.7", True, ("s.whatsapp.net", "lid")),
        ("2.3.6", True, ("lid", "s.whatsapp.net")),
        ("2.3.7", "hidden", ("lid", "")),
        ("1.8.2", True, ("lid", "")),
    ],
)
async def test_hidden_numbers(
    start_evolution: Start, hooks: Receiver, version: str, lid: object, shown: tuple[str, str]
) -> None:
    evolution = await start_evolution(version=version)
    await evolution.open(webhook=hooks.url)
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP", "lid": lid})
    (body,) = await hooks.wait("messages.upsert", 1)
    key = body["data"]["key"]
    hosts = tuple(key.get(name, "").partition("@")[2] for name in ("remoteJid", "remoteJidAlt"))
    assert hosts == shown


async def test_signing_in(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    bodies = await hooks.wait("connection.update", 2)
    data = {body["data"]["state"]: body["data"] for body in bodies}
    assert data["connecting"] == {"instance": "snd_17", "state": "connecting", "statusReason": 200}
    assert (data["open"]["wuid"], data["open"]["statusReason"]) == (f"{PHONE}@s.whatsapp.net", 200)
    (code,) = await hooks.wait("qrcode.updated", 1)
    shown = code["data"]["qrcode"]
    assert (shown["instance"], shown["pairingCode"], shown["code"][:2]) == ("snd_17", None, "2@")
    assert shown["base64"].startswith("data:image/png;base64,")
    assert "sender" not in code


async def test_qr_codes_run_out(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(qr_seconds=0.01, qr_limit=3)
    await evolution.create(webhook=hooks.url)
    await evolution.until("close")
    codes = [body["data"] for body in await hooks.wait("qrcode.updated", 4)]
    assert {"message": "QR code limit reached, please login again", "statusCode": 500} in codes
    assert len({code["qrcode"]["code"] for code in codes if "qrcode" in code}) == 3
    states = [body["data"]["state"] for body in await hooks.wait("connection.update", 2)]
    assert sorted(states) == ["connecting", "refused"]


async def test_logout_tells(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.http.delete("/instance/logout/snd_17")
    (left,) = await hooks.wait("logout.instance", 1)
    assert left["data"] is None
    (status,) = await hooks.wait("status.instance", 1)
    assert (status["data"]["status"], status["data"]["disconnectionReasonCode"]) == ("closed", 401)
    assert json.loads(status["data"]["disconnectionObject"])["error"]["output"]["statusCode"] == 401
    updates = [body["data"] for body in await hooks.wait("connection.update", 3)]
    assert {"instance": "snd_17", "state": "close", "statusReason": 401} in updates


async def test_delete_tells(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.create(webhook=hooks.url)
    await evolution.http.delete("/instance/delete/snd_17")
    (removed,) = await hooks.wait("remove.instance", 1)
    assert removed["data"] is None
    (deleted,) = await hooks.wait("instance.delete", 1)
    assert deleted["data"]["instanceName"] == "snd_17"


async def test_without_a_network_updates_storm(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.post("/simulator/sessions/snd_17/network", {"online": False})
    bodies = await hooks.wait("connection.update", 12)
    states = [(body["data"]["state"], body["data"]["statusReason"]) for body in bodies]
    assert states.count(("close", 428)) >= 4
    assert (await evolution.send()).status_code == 500


async def test_only_chosen_events_come(evolution: Evolution, hooks: Receiver) -> None:
    hook = {"enabled": True, "url": hooks.url, "events": ["MESSAGES_UPDATE"]}
    await evolution.open()
    await evolution.post("/webhook/set/snd_17", {"webhook": hook})
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "hey"})
    await evolution.send()
    await hooks.statuses(3)
    assert {body["event"] for body in hooks.bodies()} == {"messages.update"}


async def test_a_webhook_that_is_off_gets_nothing(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(webhook_global_url=f"{hooks.server.url}/global")
    await evolution.open(webhook=f"{hooks.server.url}/own")
    await evolution.post("/webhook/set/snd_17", {"webhook": {"enabled": False, "url": f"{hooks.server.url}/own"}})
    await hooks.wait("connection.update", 4)
    hooks.server.requests.clear()
    await evolution.send()
    bodies = await hooks.wait("messages.update", 3)
    assert {body["destination"] for body in bodies} == {f"{hooks.server.url}/global"}


async def test_by_events_appends_the_name(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.create()
    hook = {"enabled": True, "url": hooks.url, "byEvents": True, "events": ["CONNECTION_UPDATE"]}
    await evolution.post("/webhook/set/snd_17", {"webhook": hook})
    await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    (body,) = await hooks.wait("connection.update", 1)
    assert body["destination"] == f"{hooks.url}/connection-update"
    assert hooks.server.requests[0].target == "/hooks/evolution/17/connection-update"


def _claims(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_jwt_key_becomes_a_token_that_covers_no_body(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.create()
    hook = {"enabled": True, "url": hooks.url, "headers": {"jwt_key": "signing-key"}}
    await evolution.post("/webhook/set/snd_17", {"webhook": hook})
    await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    await hooks.wait("connection.update", 1)
    headers = hooks.server.requests[0].headers
    signed, _, signature = headers["authorization"].removeprefix("Bearer ").rpartition(".")
    digest = hmac.new(b"signing-key", signed.encode(), hashlib.sha256).digest()
    assert signature == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    claims = _claims(signed.partition(".")[2])
    assert (claims["app"], claims["action"], claims["exp"] - claims["iat"]) == ("evolution", "webhook", 600)
    assert "jwt_key" not in headers


async def test_2_4_names_the_instance_in_headers(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(version="2.4.0", licensed=True)
    await evolution.open(webhook=hooks.url)
    await hooks.wait("connection.update", 1)
    headers = hooks.server.requests[0].headers
    assert headers["x-instance-name"] == "snd_17"
    assert {"x-instance-id", "x-event-type", "x-timestamp"} <= set(headers)


@pytest.mark.parametrize(("status", "tries"), [(500, 10), (429, 10), (404, 1), (422, 1)])
async def test_repetitions(start_evolution: Start, hooks: Receiver, status: int, tries: int) -> None:
    evolution = await start_evolution(retry_seconds=0.001)
    hooks.server.reaction = Answer(status, b"")
    await evolution.create()
    hook = {"enabled": True, "url": hooks.url, "events": ["CONNECTION_UPDATE", "LOGOUT_INSTANCE"]}
    await evolution.post("/webhook/set/snd_17", {"webhook": hook})
    await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    await hooks.wait("connection.update", tries)
    # What comes later shows that the repetitions have ended.
    hooks.server.reaction = Answer(200, b"")
    await evolution.http.delete("/instance/logout/snd_17")
    await hooks.wait("logout.instance", 1)
    states = [body["data"]["state"] for body in hooks.bodies("connection.update")]
    assert states.count("open") == tries


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("no_acks", []),
        ("failed_ack", ["ERROR"]),
        ("duplicate_acks", ["SERVER_ACK", "SERVER_ACK", "DELIVERY_ACK", "DELIVERY_ACK", "READ", "READ"]),
        ("out_of_order_acks", ["READ", "DELIVERY_ACK", "SERVER_ACK"]),
        ("update_without_status", ["SERVER_ACK", "DELIVERY_ACK", "READ", "SERVER_ACK"]),
    ],
)
async def test_ack_faults(evolution: Evolution, hooks: Receiver, kind: str, statuses: list[str]) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.fault(kind)
    struck = (await evolution.send()).json()["key"]["id"]
    await evolution.send(number="12132132131")
    await hooks.statuses(len(statuses) + 3)
    rows = (await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": struck}})).json()
    assert [row["status"] for row in rows] == statuses
    told = [body["data"]["status"] for body in hooks.bodies("messages.update") if body["data"]["keyId"] == struck]
    assert sorted(told) == sorted(statuses)


async def test_an_update_without_status_is_called_deleted_in_2_3_6(start_evolution: Start, hooks: Receiver) -> None:
    evolution = await start_evolution(version="2.3.6")
    await evolution.open(webhook=hooks.url)
    await evolution.fault("update_without_status")
    await evolution.send()
    assert "DELETED" in await hooks.statuses(4)


async def test_late_acks(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.fault("late_acks", seconds=0.5)
    late = (await evolution.send()).json()["key"]["id"]
    await evolution.send(number="12132132131")
    await hooks.statuses(6)
    keys = [body["data"]["keyId"] == late for body in hooks.bodies("messages.update")]
    assert keys == [False] * 3 + [True] * 3


async def test_lost_webhooks(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.fault("lost_webhooks", count=-1, match={"text": "messages.update"})
    message_id = (await evolution.send()).json()["key"]["id"]

    async def read() -> bool:
        rows = (await evolution.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})).json()
        return len(rows) == 3

    await eventually(read)
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "hey"})
    await hooks.wait("messages.upsert", 1)
    assert hooks.bodies("messages.update") == []


async def test_duplicate_webhooks_are_equal(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.fault("duplicate_webhooks", match={"text": "messages.upsert"})
    await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})
    first, second = await hooks.wait("messages.upsert", 2)
    assert first == second


async def test_late_webhooks(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    await evolution.fault("late_webhooks", seconds=0.3, match={"text": "messages.upsert"})
    for text in ("first", "second"):
        await evolution.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": text})
    bodies = await hooks.wait("messages.upsert", 2)
    assert [body["data"]["message"]["conversation"] for body in bodies] == ["second", "first"]


async def test_any_other_event(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.open(webhook=hooks.url)
    data = {"id": "3A00", "remoteJid": ADDRESS, "fromMe": False}
    ordered = await evolution.post("/simulator/sessions/snd_17/events", {"event": "NEWS_ARRIVED", "data": data})
    assert ordered.status_code == 204
    (body,) = await hooks.wait("news.arrived", 1)
    assert (body["data"], body["apikey"]) == (data, TOKEN)
    assert (await evolution.post("/simulator/sessions/snd_17/events", {})).status_code == 400


async def test_no_events_are_all_events(evolution: Evolution, hooks: Receiver) -> None:
    await evolution.create()
    hook = {"enabled": True, "url": hooks.url, "events": []}
    row = (await evolution.post("/webhook/set/snd_17", {"webhook": hook})).json()
    assert {"MESSAGES_UPSERT", "CONNECTION_UPDATE"} <= set(row["events"])
    await evolution.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    await hooks.wait("connection.update", 1)
