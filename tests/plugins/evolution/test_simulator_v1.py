"""The simulator speaks the dialect of 1.7 and 1.8 where it differs from v2."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.plugin.testing import Answer
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.simulator_conftest import ADDRESS, PHONE, TO, TOKEN, Evolution, Receiver

start_evolution, hooks = simulator_conftest.start_evolution, simulator_conftest.hooks

Start = Callable[..., Awaitable[Evolution]]


@pytest.fixture
async def v1(start_evolution: Start) -> Evolution:
    """A server of the last version of v1."""
    return await start_evolution(version="1.8.2")


async def test_root(v1: Evolution) -> None:
    root = await v1.get("/")
    assert (root["version"], root["status"]) == ("1.8.2", 200)
    assert "whatsappWebVersion" not in root


async def test_create_is_flat(v1: Evolution, hooks: Receiver) -> None:
    body = {
        "instanceName": "snd_17",
        "token": TOKEN,
        "qrcode": True,
        "webhook": hooks.url,
        "events": ["QRCODE_UPDATED"],
    }
    created = await v1.post("/instance/create", {**body, "webhook_by_events": False})
    found = created.json()
    assert created.status_code == 201
    assert (found["instance"]["status"], found["hash"]) == ("created", {"apikey": TOKEN})
    assert found["qrcode"]["code"].startswith("2@")
    (told,) = await hooks.wait("qrcode.updated", 1)
    assert told["destination"] == hooks.url
    assert hooks.bodies("connection.update") == []


async def test_fetch_instances(v1: Evolution) -> None:
    await v1.open()
    (listed,) = await v1.get("/instance/fetchInstances")
    found = listed["instance"]
    assert (found["instanceName"], found["status"], found["apikey"]) == ("snd_17", "open", TOKEN)
    assert found["owner"] == f"{PHONE}@s.whatsapp.net"
    assert {"profileName", "serverUrl"} <= set(found)


async def test_fetch_instances_by_name_has_no_list(v1: Evolution) -> None:
    await v1.create()
    found = await v1.get("/instance/fetchInstances?instanceName=snd_17")
    assert found["instance"]["status"] == "connecting"
    own = await v1.http.get("/instance/fetchInstances", headers={"apikey": TOKEN})
    assert [one["instance"]["instanceName"] for one in own.json()] == ["snd_17"]


async def test_restart_is_put(v1: Evolution) -> None:
    await v1.open()
    assert (await v1.http.post("/instance/restart/snd_17")).status_code == 404
    assert (await v1.http.put("/instance/restart/snd_17")).status_code == 200
    await v1.until("open")


async def test_open_instances_cannot_be_deleted(v1: Evolution) -> None:
    await v1.open()
    refused = await v1.http.delete("/instance/delete/snd_17")
    assert refused.status_code == 400
    assert refused.json()["response"]["message"] == ['The "snd_17" instance needs to be disconnected']
    await v1.http.delete("/instance/logout/snd_17")
    assert (await v1.http.delete("/instance/delete/snd_17")).status_code == 200


async def test_webhook_is_flat_and_has_no_headers(v1: Evolution, hooks: Receiver) -> None:
    await v1.create()
    wanted = {"enabled": True, "url": hooks.url, "webhook_by_events": False, "webhook_base64": False}
    wanted |= {"events": ["CONNECTION_UPDATE"]}
    done = await v1.post("/webhook/set/snd_17", {**wanted, "headers": {"X-Hook-Secret": "s3cret"}})
    assert done.status_code == 201
    assert await v1.get("/webhook/find/snd_17") == wanted
    await v1.post("/simulator/sessions/snd_17/scan", {"phone": PHONE})
    (body,) = await hooks.wait("connection.update", 1)
    assert body["data"] == {"instance": "snd_17", "state": "open", "statusReason": 200}
    assert "x-hook-secret" not in hooks.server.requests[0].headers
    assert (await v1.post("/webhook/set/snd_17", {"webhook": wanted})).status_code == 400


async def test_send_text_is_nested(v1: Evolution) -> None:
    await v1.open()
    options = {"delay": 0, "presence": "composing", "linkPreview": False}
    body = {"number": TO, "options": options, "textMessage": {"text": "Hello"}}
    sent = await v1.post("/message/sendText/snd_17", body)
    found = sent.json()
    assert (sent.status_code, found["status"], found["key"]["remoteJid"]) == (201, "PENDING", ADDRESS)
    assert found["message"] == {"extendedTextMessage": {"text": "Hello"}}
    assert found["messageTimestamp"].isdecimal()
    (arrived,) = (await v1.phone())["messages"]
    assert arrived["text"] == "Hello"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"number": TO, "text": "flat"}, 'instance requires property "textMessage"'),
        ({"number": TO, "textMessage": {}}, 'textMessage requires property "text"'),
    ],
)
async def test_refused_texts(v1: Evolution, body: dict[str, Any], message: str) -> None:
    await v1.open()
    refused = await v1.post("/message/sendText/snd_17", body)
    assert (refused.status_code, refused.json()["response"]["message"]) == (400, [[message]])


FILE = base64.b64encode(b"file").decode()


@pytest.mark.parametrize(
    ("name", "wrapper", "inner", "kind"),
    [
        ("sendMedia", "mediaMessage", {"mediatype": "image", "media": FILE, "caption": "Offer"}, "imageMessage"),
        ("sendWhatsAppAudio", "audioMessage", {"audio": FILE}, "audioMessage"),
        ("sendSticker", "stickerMessage", {"image": FILE}, "stickerMessage"),
        ("sendPoll", "pollMessage", {"name": "Day?", "selectableCount": 1, "values": ["Mon"]}, "pollCreationMessage"),
        ("sendContact", "contactMessage", [{"fullName": "Ana", "phoneNumber": TO}], "contactMessage"),
    ],
)
async def test_other_sends(v1: Evolution, name: str, wrapper: str, inner: object, kind: str) -> None:
    await v1.open()
    sent = await v1.post(f"/message/{name}/snd_17", {"number": TO, wrapper: inner})
    assert (sent.status_code, list(sent.json()["message"])) == (201, [kind])
    assert (await v1.phone())["count"] == 1


async def test_a_delay_holds_the_request(v1: Evolution) -> None:
    await v1.open()
    await v1.fault("no_acks", count=-1)
    sent = await v1.send(options={"delay": 300})
    assert sent.elapsed.total_seconds() >= 0.3


async def test_typing_and_seen(v1: Evolution) -> None:
    await v1.open()
    typing = {"number": TO, "options": {"delay": 0, "presence": "composing"}}
    assert (await v1.post("/chat/sendPresence/snd_17", typing)).status_code == 201
    read = {"read_messages": [{"remoteJid": ADDRESS, "fromMe": False, "id": "3A00"}]}
    assert (await v1.post("/chat/markMessageAsRead/snd_17", read)).status_code == 404
    assert (await v1.http.put("/chat/markMessageAsRead/snd_17", json=read)).status_code == 201


async def test_lookups(v1: Evolution, hooks: Receiver) -> None:
    await v1.open(webhook=hooks.url)
    message_id = (await v1.send()).json()["key"]["id"]
    await hooks.statuses(3)
    (found,) = (await v1.post("/chat/findMessages/snd_17", {"where": {"key": {"id": message_id}}})).json()
    assert (found["key"]["remoteJid"], found["owner"]) == (ADDRESS, "snd_17")
    rows = (await v1.post("/chat/findStatusMessage/snd_17", {"where": {"id": message_id}})).json()
    assert [row["status"] for row in rows] == ["SERVER_ACK", "DELIVERY_ACK", "READ"]
    (chat,) = await v1.get("/chat/findChats/snd_17")
    assert chat["remoteJid"] == ADDRESS


async def test_acknowledgements(v1: Evolution, hooks: Receiver) -> None:
    await v1.open(webhook=hooks.url)
    message_id = (await v1.send()).json()["key"]["id"]
    assert sorted(await hooks.statuses(3)) == ["DELIVERY_ACK", "READ", "SERVER_ACK"]
    data = hooks.bodies("messages.update")[0]["data"]
    assert (data["id"], data["remoteJid"], data["fromMe"], data["owner"]) == (message_id, ADDRESS, True, "snd_17")
    assert isinstance(data["datetime"], int)
    assert not {"keyId", "messageId"} & set(data)


async def test_a_person_writes(v1: Evolution, hooks: Receiver) -> None:
    await v1.open(webhook=hooks.url)
    await v1.post("/simulator/messages", {"session": "snd_17", "from": TO, "text": "STOP"})
    (body,) = await hooks.wait("messages.upsert", 1)
    assert body["data"]["message"] == {"extendedTextMessage": {"text": "STOP"}}
    assert (body["data"]["owner"], "instanceId" in body["data"]) == ("snd_17", False)


@pytest.mark.parametrize("exposed", [True, False])
async def test_tokens_are_shown_only_where_exposed(start_evolution: Start, hooks: Receiver, *, exposed: bool) -> None:
    v1 = await start_evolution(version="1.8.2", expose_in_fetch_instances=exposed)
    await v1.open(webhook=hooks.url)
    (listed,) = await v1.get("/instance/fetchInstances")
    assert ("apikey" in listed["instance"]) is exposed
    (body, *_) = await hooks.wait("connection.update", 1)
    assert ("apikey" in body) is exposed


async def test_every_failed_webhook_is_repeated(start_evolution: Start, hooks: Receiver) -> None:
    v1 = await start_evolution(version="1.8.2", retry_seconds=0.001)
    hooks.server.reaction = Answer(404, b"")
    await v1.create(webhook=hooks.url, events=["QRCODE_UPDATED"])
    bodies = await hooks.wait("qrcode.updated", 10)
    assert len({body["data"]["qrcode"]["code"] for body in bodies}) == 1
