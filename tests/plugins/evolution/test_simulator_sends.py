"""The simulator sends as Evolution v2 does: every kind of message, number checks, typing and read marks."""

import base64
import time
from typing import Any

import httpx
import pytest

from core.plugin.testing import Answer, ScriptedServer
from tests.plugins.evolution import simulator_conftest
from tests.plugins.evolution.simulator_conftest import ADDRESS, TO, Evolution, eventually

start_evolution, evolution = simulator_conftest.start_evolution, simulator_conftest.evolution


def error(status: int, name: str, message: object) -> dict[str, object]:
    return {"status": status, "error": name, "response": {"message": message}}


def closed(status: int = 500) -> dict[str, object]:
    return error(status, "Internal Server Error", "Connection Closed")


async def test_send_text(evolution: Evolution) -> None:
    await evolution.open()
    sent = await evolution.send("Hello", delay=0, linkPreview=False)
    body = sent.json()
    assert sent.status_code == 201
    message_id, at = body["key"].pop("id"), body.pop("messageTimestamp")
    assert (message_id[:4], len(message_id)) == ("3EB0", 22)
    assert abs(at - time.time()) < 60
    assert len(body.pop("instanceId")) == 36
    assert body == {
        "key": {"remoteJid": ADDRESS, "fromMe": True},
        "pushName": "Simulated phone",
        "status": "PENDING",
        "message": {"conversation": "Hello"},
        "contextInfo": None,
        "messageType": "conversation",
        "source": "web",
    }
    (arrived,) = (await evolution.phone())["messages"]
    assert (arrived["chat_id"], arrived["text"], arrived["id"]) == (ADDRESS, "Hello", message_id)


async def test_client_ids_are_ignored(evolution: Evolution) -> None:
    await evolution.open()
    sent = await evolution.send(messageId="3EB0A1B2C3D4E5F60718", id="3EB0A1B2C3D4E5F60718")
    assert sent.json()["key"]["id"] != "3EB0A1B2C3D4E5F60718"


async def test_a_delay_holds_the_request(evolution: Evolution) -> None:
    await evolution.open()
    begun = time.monotonic()
    await evolution.send(delay=300)
    assert time.monotonic() - begun >= 0.3
    with pytest.raises(httpx.ReadTimeout):
        await evolution.http.post(
            "/message/sendText/snd_17", json={"number": TO, "text": "b", "delay": 400}, timeout=0.1
        )

    async def arrived() -> bool:
        return bool((await evolution.phone())["count"] == 2)

    await eventually(arrived)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"number": TO}, [['instance requires property "text"']]),
        ({"text": "Hello"}, [['instance requires property "number"']]),
        ({"number": TO, "textMessage": {"text": "v1"}}, [['instance requires property "text"']]),
        ({"number": 12132132130, "text": "Hello"}, [["Invalid format"]]),
        ({"number": "12132130000", "text": "Hello"}, None),
    ],
)
async def test_refused_texts(evolution: Evolution, body: dict[str, object], message: object) -> None:
    await evolution.open()
    refused = await evolution.post("/message/sendText/snd_17", body)
    if message is None:
        message = [{"jid": "12132130000@s.whatsapp.net", "exists": False, "number": "12132130000"}]
    assert refused.json() == error(400, "Bad Request", message)
    assert (await evolution.phone())["count"] == 0


async def test_send_while_not_open(evolution: Evolution) -> None:
    await evolution.create()
    refused = await evolution.send()
    assert (refused.status_code, refused.json()) == (500, closed())


PICTURE = base64.b64encode(b"picture").decode()
SENDS: list[tuple[str, dict[str, Any], str, str]] = [
    (
        "sendMedia",
        {"mediatype": "image", "mimetype": "image/jpeg", "media": PICTURE, "caption": "Offer", "fileName": "o.jpg"},
        "imageMessage",
        "Offer",
    ),
    ("sendMedia", {"mediatype": "document", "media": PICTURE, "fileName": "o.pdf"}, "documentMessage", ""),
    ("sendMedia", {"mediatype": "video", "media": PICTURE}, "videoMessage", ""),
    ("sendWhatsAppAudio", {"audio": PICTURE, "encoding": True}, "audioMessage", ""),
    ("sendPtv", {"video": PICTURE}, "ptvMessage", ""),
    ("sendSticker", {"sticker": PICTURE}, "stickerMessage", ""),
    (
        "sendPoll",
        {"name": "Which day?", "selectableCount": 1, "values": ["Mon", "Tue"]},
        "pollCreationMessage",
        "Which day?",
    ),
    (
        "sendLocation",
        {"name": "Shop", "address": "Main St 1", "latitude": 1.5, "longitude": 2},
        "locationMessage",
        "Shop",
    ),
    ("sendContact", {"contact": [{"fullName": "Ana", "phoneNumber": TO}]}, "contactMessage", ""),
    ("sendButtons", {"title": "Choose", "buttons": []}, "viewOnceMessage", "Choose"),
]


@pytest.mark.parametrize(("name", "body", "message_type", "text"), SENDS)
async def test_other_sends(evolution: Evolution, name: str, body: dict[str, Any], message_type: str, text: str) -> None:
    await evolution.open()
    sent = await evolution.post(f"/message/{name}/snd_17", {"number": TO, **body})
    assert (sent.status_code, sent.json()["messageType"]) == (201, message_type)
    assert list(sent.json()["message"]) == [message_type]
    (arrived,) = (await evolution.phone())["messages"]
    assert (arrived["kind"], arrived["text"]) == (message_type, text)
    assert (arrived["file"] or {"size": 0})["size"] == (7 if PICTURE in body.values() else 0)


async def test_reaction_goes_to_the_chat_of_its_key(evolution: Evolution) -> None:
    await evolution.open()
    key = {"remoteJid": ADDRESS, "fromMe": True, "id": "3EB0FF"}
    sent = await evolution.post("/message/sendReaction/snd_17", {"key": key, "reaction": "👍"})
    assert sent.json()["message"] == {"reactionMessage": {"key": key, "text": "👍"}}
    refused = await evolution.post("/message/sendReaction/snd_17", {"key": {}, "reaction": "👍"})
    assert refused.status_code == 400


async def test_status_reaches_no_single_phone(evolution: Evolution) -> None:
    await evolution.open()
    sent = await evolution.post("/message/sendStatus/snd_17", {"type": "text", "content": "Open today"})
    assert sent.json()["key"]["remoteJid"] == "status@broadcast"
    assert (await evolution.phone())["count"] == 0


async def test_media_from_an_address(evolution: Evolution) -> None:
    await evolution.open()
    async with ScriptedServer(Answer(200, b"from afar")) as files:
        body = {"number": TO, "mediatype": "image", "media": f"{files.url}/o.jpg"}
        assert (await evolution.post("/message/sendMedia/snd_17", body)).status_code == 201
        files.reaction = Answer(404, b"")
        failed = await evolution.post("/message/sendMedia/snd_17", body)
    text = "AxiosError: Request failed with status code 404"
    assert failed.json() == error(500, "Internal Server Error", [text])
    (arrived,) = (await evolution.phone())["messages"]
    assert arrived["file"]["size"] == 9


async def test_media_as_a_form(evolution: Evolution) -> None:
    await evolution.open()
    fields = {"number": TO, "mediatype": "image", "caption": "Offer"}
    files = {"file": ("o.jpg", b"picture", "image/jpeg")}
    sent = await evolution.http.post("/message/sendMedia/snd_17", data=fields, files=files)
    assert (sent.status_code, sent.json()["message"]["imageMessage"]["fileName"]) == (201, "o.jpg")
    (arrived,) = (await evolution.phone())["messages"]
    assert arrived["file"]["size"] == 7
    assert (arrived["file"]["mimetype"], arrived["text"]) == ("image/jpeg", "Offer")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"mediatype": "document", "media": PICTURE}, ["For base64 the file name must be informed."]),
        ({"mediatype": "image", "media": "data:image/png;base64,!!"}, ["Owned media must be a url or base64"]),
        (
            {"mediatype": "smell", "media": PICTURE},
            [["mediatype is not one of enum values: image,document,video,audio,ptv"]],
        ),
    ],
)
async def test_refused_media(evolution: Evolution, body: dict[str, object], message: object) -> None:
    await evolution.open()
    refused = await evolution.post("/message/sendMedia/snd_17", {"number": TO, **body})
    assert refused.json() == error(400, "Bad Request", message)


async def test_templates_belong_to_the_cloud(evolution: Evolution) -> None:
    await evolution.open()
    refused = await evolution.post("/message/sendTemplate/snd_17", {"number": TO})
    assert refused.status_code == 400


@pytest.mark.parametrize(
    ("number", "address"),
    [
        ("+1 213 213-2130", ADDRESS),
        (ADDRESS, ADDRESS),
        ("120363012345678901", "120363012345678901@g.us"),
        ("5531988887777", "553188887777@s.whatsapp.net"),
        ("551188887777", "5511988887777@s.whatsapp.net"),
        ("5215512345678", "525512345678@s.whatsapp.net"),
        ("5491112345678", "541112345678@s.whatsapp.net"),
    ],
)
async def test_numbers_are_rewritten(evolution: Evolution, number: str, address: str) -> None:
    await evolution.open()
    await evolution.post("/simulator/groups", {"session": "snd_17", "address": "120363012345678901@g.us"})
    assert (await evolution.send(number=number)).json()["key"]["remoteJid"] == address


async def test_number_checks_in_bulk(evolution: Evolution) -> None:
    await evolution.open()
    checked = await evolution.post("/chat/whatsappNumbers/snd_17", {"numbers": [TO, "12132130000", "5531988887777"]})
    assert checked.json() == [
        {"jid": ADDRESS, "exists": True, "number": TO},
        {"jid": "12132130000@s.whatsapp.net", "exists": False, "number": "12132130000"},
        {"jid": "553188887777@s.whatsapp.net", "exists": True, "number": "5531988887777"},
    ]


async def test_number_checks_while_not_open(evolution: Evolution) -> None:
    await evolution.create()
    failed = await evolution.post("/chat/whatsappNumbers/snd_17", {"numbers": [TO]})
    body = failed.json()
    assert (failed.status_code, body["data"], body["isBoom"]) == (400, None, True)
    assert body["output"]["statusCode"] == 428


async def test_typing_blocks_for_its_delay(evolution: Evolution) -> None:
    await evolution.open()
    begun = time.monotonic()
    body = {"number": TO, "delay": 300, "presence": "composing"}
    shown = await evolution.post("/chat/sendPresence/snd_17", body)
    assert (shown.status_code, shown.json()) == (201, {"presence": "composing"})
    assert time.monotonic() - begun >= 0.3


async def test_seen(evolution: Evolution) -> None:
    await evolution.open()
    body = {"readMessages": [{"remoteJid": ADDRESS, "fromMe": False, "id": "3A00"}]}
    seen = await evolution.post("/chat/markMessageAsRead/snd_17", body)
    assert (seen.status_code, seen.json()) == (201, {"message": "Read messages", "read": "success"})
