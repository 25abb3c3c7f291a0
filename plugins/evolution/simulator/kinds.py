"""What each send takes in both dialects, and what it makes of it on WhatsApp."""

import re
from typing import Any

import msgspec

from plugins.evolution.simulator.http import Refused, error_reply, invalid

_MEDIA = ("image", "document", "video", "audio", "ptv")


class Kind(msgspec.Struct, frozen=True):
    """One send: the object it lies in for v1 (empty: v1 has no such send), and what it cannot do without."""

    wrapper: str
    required: tuple[str, ...]
    media: str = ""
    """The field with the file's address or its base64."""
    to_number: bool = True


KINDS: dict[str, Kind] = {
    "sendText": Kind("textMessage", ("text",)),
    "sendMedia": Kind("mediaMessage", ("mediatype", "media"), "media"),
    "sendWhatsAppAudio": Kind("audioMessage", ("audio",), "audio"),
    "sendPtv": Kind("", ("video",), "video"),
    "sendSticker": Kind("stickerMessage", ("sticker",), "sticker"),
    "sendPoll": Kind("pollMessage", ("name", "selectableCount", "values")),
    "sendLocation": Kind("locationMessage", ("latitude", "longitude", "name", "address")),
    "sendList": Kind("listMessage", ("title", "footerText", "buttonText", "sections")),
    "sendButtons": Kind("", ("title", "buttons")),
    "sendContact": Kind("contactMessage", ("contact",)),
    "sendReaction": Kind("reactionMessage", ("key", "reaction"), to_number=False),
    "sendStatus": Kind("statusMessage", ("type",), to_number=False),
}
_V1_STICKER = "image"
_LINK = re.compile(r"https?://\S")


def flatten(name: str, fields: dict[str, Any], *, is_v1: bool) -> dict[str, Any]:
    """Return a send's body in the flat form of v2.

    Raises:
        Refused: It breaks the dialect's schema: 400.
    """
    kind = KINDS[name]
    missing = [] if not kind.to_number or "number" in fields else ['instance requires property "number"']
    inner, prefix = fields, "instance"
    if is_v1:
        missing += [f'instance requires property "{kind.wrapper}"'] if kind.wrapper not in fields else []
        inner, prefix = _inner(name, fields.get(kind.wrapper)), kind.wrapper
    if not is_v1 or kind.wrapper in fields:
        missing += [f'{prefix} requires property "{field}"' for field in kind.required if field not in inner]
    if missing:
        raise Refused(invalid(*missing))
    options = fields.get("options") if is_v1 else fields
    delay = options.get("delay") if isinstance(options, dict) else None
    flat = {**inner, "number": fields.get("number", ""), "delay": delay}
    flat["linkPreview"] = options.get("linkPreview") if isinstance(options, dict) else None
    _check(name, flat)
    return flat


def _inner(name: str, given: Any) -> dict[str, Any]:
    if name == "sendContact":
        return {"contact": given}
    inner = given if isinstance(given, dict) else {}
    if name == "sendSticker" and _V1_STICKER in inner:
        return {"sticker": inner[_V1_STICKER]}
    return inner


def _check(name: str, flat: dict[str, Any]) -> None:
    if not isinstance(flat["number"], str):
        raise Refused(invalid("Invalid format"))
    if name == "sendText" and not isinstance(flat["text"], str):
        raise Refused(invalid("text is not of a type(s) string"))
    if name == "sendMedia" and flat["mediatype"] not in _MEDIA:
        raise Refused(invalid(f"mediatype is not one of enum values: {','.join(_MEDIA)}"))
    is_base64 = not str(flat.get("media", "")).startswith(("http://", "https://"))
    if flat.get("mediatype") == "document" and is_base64 and not flat.get("fileName"):
        raise Refused(error_reply(400, ["For base64 the file name must be informed."]))
    if name == "sendPoll" and not isinstance(flat["values"], list):
        raise Refused(invalid("values is not of a type(s) array"))
    if name == "sendReaction" and not (isinstance(flat["key"], dict) and isinstance(flat["key"].get("remoteJid"), str)):
        raise Refused(invalid('key requires property "remoteJid"'))


def text_of(name: str, flat: dict[str, Any]) -> str:
    """Return what a person reads of a message."""
    fields = {"sendPoll": "name", "sendLocation": "name", "sendReaction": "reaction", "sendStatus": "content"}
    fields |= {"sendList": "title", "sendButtons": "title", "sendMedia": "caption"}
    return str(flat.get(fields.get(name, "text")) or "")


def shows_preview(name: str, flat: dict[str, Any]) -> bool:
    """Whether a text is shown with a preview of its link: a server does that unless it is told not to."""
    return name == "sendText" and flat["linkPreview"] is not False and _LINK.search(text_of(name, flat)) is not None


def content_of(name: str, flat: dict[str, Any], *, is_v1: bool) -> tuple[str, dict[str, Any]]:
    """Return ``messageType`` and ``message``."""
    text = text_of(name, flat)
    if name == "sendText" and not is_v1:
        return "conversation", {"conversation": text}
    kind, content = _file_of(name, flat) if KINDS[name].media else _rest_of(name, flat, text)
    return kind, {kind: content}


def _file_of(name: str, flat: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    content: dict[str, Any] = {"url": _URL}
    if name == "sendMedia":
        content |= {"mimetype": flat.get("mimetype"), "caption": text_of(name, flat)}
        content |= {"fileName": flat["fileName"]} if flat.get("fileName") else {}
        return f"{flat['mediatype']}Message", content
    kind, mimetype = _KINDS_OF_FILES[name]
    content["mimetype"] = mimetype
    return kind, {**content, "ptt": True} if kind == "audioMessage" else content


def _rest_of(name: str, flat: dict[str, Any], text: str) -> tuple[str, dict[str, Any]]:
    match name:
        case "sendPoll":
            options = [{"optionName": value} for value in flat["values"]]
            content = {"name": text, "options": options, "selectableOptionsCount": flat["selectableCount"]}
            return "pollCreationMessage", content
        case "sendLocation":
            place = {"degreesLatitude": flat["latitude"], "degreesLongitude": flat["longitude"]}
            return "locationMessage", {**place, "name": text, "address": flat["address"]}
        case "sendReaction":
            return "reactionMessage", {"key": flat["key"], "text": text}
        case "sendContact":
            return "contactMessage", {"contact": flat["contact"]}
        case "sendList" | "sendButtons":
            return "viewOnceMessage", {"title": text}
    return "extendedTextMessage", {"text": text}


_URL = "https://mmg.whatsapp.net/simulated.enc"
_KINDS_OF_FILES = {
    "sendWhatsAppAudio": ("audioMessage", "audio/ogg; codecs=opus"),
    "sendPtv": ("ptvMessage", "video/mp4"),
    "sendSticker": ("stickerMessage", "image/webp"),
}
