"""The exact body of each send, in both dialects."""

import json
import re
from typing import Any

import pytest

from core.plugin import Media, MessageKind, OutgoingMessage, Prepared
from plugins.evolution.messages import new_client_id, prepare_message
from tests.plugins.evolution.conftest import sender_on

TO = "12132132130"
OPTIONS = {"delay": 0, "presence": "composing", "linkPreview": False}
LINK = Media(mimetype="image/jpeg", filename="o.jpg", url="https://p/o.jpg")


def prepared(
    version: str, kind: MessageKind, text: str = "Hello", media: Media | None = None, to: str = TO
) -> Prepared:
    return prepare_message(OutgoingMessage(to, kind, text, media), sender_on("http://evo", version), "3EB0AA")


def body(made: Prepared) -> Any:
    return json.loads(made.body)


def test_text_of_version_2() -> None:
    made = prepared("2.3.7", MessageKind.TEXT, "Hello Ana")
    assert (made.path, made.client_id) == ("/message/sendText/snd_17", "3EB0AA")
    assert body(made) == {"number": TO, "text": "Hello Ana", "linkPreview": False}


def test_text_of_version_1() -> None:
    made = prepared("1.8.2", MessageKind.TEXT, "Hello Ana")
    assert made.path == "/message/sendText/snd_17"
    assert body(made) == {"number": TO, "options": OPTIONS, "textMessage": {"text": "Hello Ana"}}


@pytest.mark.parametrize("version", ["1.8.2", "2.3.7"])
@pytest.mark.parametrize("wanted", [True, False])
def test_link_preview_is_shown_where_it_is_wanted(version: str, wanted: bool) -> None:  # noqa: FBT001 - a setting
    message = OutgoingMessage(TO, MessageKind.TEXT, "See https://p.example", link_preview=wanted)
    made = body(prepare_message(message, sender_on("http://evo", version), "3EB0AA"))
    assert (made["options"] if version == "1.8.2" else made)["linkPreview"] is wanted


def test_a_server_that_was_never_probed_is_taken_for_version_2() -> None:
    assert body(prepared("", MessageKind.TEXT))["text"] == "Hello"


def test_image_by_address_of_version_2() -> None:
    made = prepared("2.3.7", MessageKind.IMAGE, "Offer", LINK)
    assert made.path == "/message/sendMedia/snd_17"
    assert body(made) == {
        "number": TO,
        "mediatype": "image",
        "mimetype": "image/jpeg",
        "media": "https://p/o.jpg",
        "fileName": "o.jpg",
        "caption": "Offer",
    }


def test_image_by_address_of_version_1() -> None:
    made = prepared("1.8.2", MessageKind.IMAGE, "Offer", LINK)
    assert made.path == "/message/sendMedia/snd_17"
    assert body(made) == {
        "number": TO,
        "options": OPTIONS,
        "mediaMessage": {
            "mediatype": "image",
            "mimetype": "image/jpeg",
            "media": "https://p/o.jpg",
            "fileName": "o.jpg",
            "caption": "Offer",
        },
    }


@pytest.mark.parametrize("version", ["1.8.2", "2.3.7"])
@pytest.mark.parametrize("kind", [MessageKind.DOCUMENT, MessageKind.VIDEO])
def test_file_by_content_is_bare_base64(version: str, kind: MessageKind) -> None:
    made = body(prepared(version, kind, "", Media(mimetype="a/b", filename="t.pdf", content=b"%PDF-1.4\n")))
    file = made["mediaMessage"] if version == "1.8.2" else made
    assert (file["mediatype"], file["media"], file["fileName"]) == (kind.value, "JVBERi0xLjQK", "t.pdf")
    assert "caption" not in file


def test_voice_of_version_2() -> None:
    made = prepared("2.3.7", MessageKind.AUDIO, "unseen", Media(mimetype="audio/ogg", filename="v", url="https://p/v"))
    assert made.path == "/message/sendWhatsAppAudio/snd_17"
    assert body(made) == {"number": TO, "audio": "https://p/v", "encoding": True}


def test_voice_of_version_1() -> None:
    made = prepared("1.8.2", MessageKind.AUDIO, "unseen", Media(mimetype="audio/ogg", filename="v", content=b"OggS"))
    assert made.path == "/message/sendWhatsAppAudio/snd_17"
    assert body(made) == {
        "number": TO,
        "options": {**OPTIONS, "presence": "recording", "encoding": True},
        "audioMessage": {"audio": "T2dnUw=="},
    }


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("12132132130", "12132132130"),
        ("12132132130@s.whatsapp.net", "12132132130@s.whatsapp.net"),
        ("12132132130@c.us", "12132132130@s.whatsapp.net"),
        ("12132132130:7@s.whatsapp.net", "12132132130@s.whatsapp.net"),
        ("1234567@lid", "1234567@lid"),
        ("120363012345678901@g.us", "120363012345678901@g.us"),
        ("5511988887777-1612345678@g.us", "5511988887777-1612345678@g.us"),
    ],
)
def test_addresses(address: str, number: str) -> None:
    assert body(prepared("2.3.7", MessageKind.TEXT, to=address))["number"] == number


def test_an_instance_with_an_odd_name_stays_in_its_path() -> None:
    sender = sender_on("http://evo", instance="a/b c")
    made = prepare_message(OutgoingMessage(TO, MessageKind.TEXT, "Hello"), sender, "3EB0AA")
    assert made.path == "/message/sendText/a%2Fb%20c"


@pytest.mark.parametrize("version", ["1.8.2", "2.3.7"])
@pytest.mark.parametrize("kind", [MessageKind.IMAGE, MessageKind.AUDIO])
def test_media_is_needed(version: str, kind: MessageKind) -> None:
    with pytest.raises(ValueError, match=f"a message of the kind {kind} needs media"):
        prepared(version, kind)


def test_client_id_has_whatsapps_form() -> None:
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", new_client_id())
