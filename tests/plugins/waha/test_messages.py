"""The exact body of each send."""

import json
import re
import timeit
from typing import Any

import pytest

from core.plugin import Capabilities, Media, MessageKind, OutgoingMessage, Prepared
from plugins.waha.messages import new_client_id, prepare_message
from tests.plugins.waha.conftest import sender_on

ID = "3EB0A1B2C3D4E5F60718AB"
SENDER = sender_on("http://waha:3000")
IGNORES_IDS = sender_on("http://waha:3000", Capabilities(engine="WEBJS"))


def prepared(kind: MessageKind, text: str = "Hello", media: Media | None = None) -> Prepared:
    return prepare_message(OutgoingMessage("12132132130", kind, text, media), SENDER, ID)


def body(made: Prepared) -> Any:
    return json.loads(made.body)


def test_text() -> None:
    made = prepared(MessageKind.TEXT, "Hello Ana")
    assert made.path == "/api/sendText"
    assert made.client_id == ID
    assert body(made) == {
        "session": "snd_17",
        "chatId": "12132132130@c.us",
        "text": "Hello Ana",
        "linkPreview": False,
        "id": ID,
    }


def test_client_id_stays_at_home_where_it_would_be_ignored() -> None:
    made = prepare_message(OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"), IGNORES_IDS, ID)
    assert made.client_id == ID
    assert "id" not in body(made)


@pytest.mark.parametrize(
    ("address", "chat_id"),
    [
        ("12132132130", "12132132130@c.us"),
        ("12132132130@c.us", "12132132130@c.us"),
        ("12132132130@s.whatsapp.net", "12132132130@c.us"),
        ("1234567@lid", "1234567@lid"),
    ],
)
def test_addresses(address: str, chat_id: str) -> None:
    made = prepare_message(OutgoingMessage(address, MessageKind.TEXT, "Hello"), SENDER, ID)
    assert body(made)["chatId"] == chat_id


def test_server_with_one_session_calls_it_default() -> None:
    sender = sender_on("http://waha:3000", Capabilities(multi_session=False))
    made = prepare_message(OutgoingMessage("12132132130", MessageKind.TEXT, "Hello"), sender, ID)
    assert body(made)["session"] == "default"


def test_image_by_url() -> None:
    made = prepared(MessageKind.IMAGE, "Offer", Media(mimetype="image/jpeg", filename="o.jpg", url="https://p/o.jpg"))
    assert made.path == "/api/sendImage"
    assert body(made) == {
        "session": "snd_17",
        "chatId": "12132132130@c.us",
        "file": {"mimetype": "image/jpeg", "filename": "o.jpg", "url": "https://p/o.jpg"},
        "id": ID,
        "caption": "Offer",
    }


def test_document_as_base64_without_a_prefix() -> None:
    media = Media(mimetype="application/pdf", filename="t.pdf", content=b"%PDF-1.4\n")
    made = prepared(MessageKind.DOCUMENT, "", media)
    assert made.path == "/api/sendFile"
    assert body(made)["file"] == {"mimetype": "application/pdf", "filename": "t.pdf", "data": "JVBERi0xLjQK"}
    assert "caption" not in body(made)


@pytest.mark.parametrize(
    ("mimetype", "convert"), [("audio/ogg; codecs=opus", False), ("audio/ogg", True), ("audio/mpeg", True)]
)
def test_audio(mimetype: str, convert: bool) -> None:  # noqa: FBT001 - a table's column
    made = prepared(MessageKind.AUDIO, "unseen", Media(mimetype=mimetype, filename="v", url="https://p/v"))
    assert made.path == "/api/sendVoice"
    assert body(made)["convert"] is convert
    assert "caption" not in body(made)


@pytest.mark.parametrize(("mimetype", "convert"), [("video/mp4", False), ("video/quicktime", True)])
def test_video(mimetype: str, convert: bool) -> None:  # noqa: FBT001 - a table's column
    made = prepared(MessageKind.VIDEO, "Demo", Media(mimetype=mimetype, filename="v", url="https://p/v"))
    assert made.path == "/api/sendVideo"
    assert (body(made)["convert"], body(made)["asNote"], body(made)["caption"]) == (convert, False, "Demo")


def test_media_is_needed() -> None:
    with pytest.raises(ValueError, match="a message of the kind image needs media"):
        prepared(MessageKind.IMAGE)


def test_client_id_has_whatsapps_form() -> None:
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", new_client_id())


def test_prepare_is_cheap() -> None:
    """Far below the cost of a request: 100 times the 10 us it should take would still pass on a busy machine."""
    message = OutgoingMessage("12132132130", MessageKind.TEXT, "Hello Ana")
    best = min(timeit.repeat(lambda: prepare_message(message, SENDER, ID), number=1000, repeat=3))
    assert best / 1000 < 0.001
