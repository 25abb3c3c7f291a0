"""Outgoing messages as request bodies of both dialects."""

import secrets

import msgspec
from msgspec import UNSET, UnsetType

from core.plugin import Media, MessageKind, OutgoingMessage, Prepared, Sender
from plugins.evolution.connection import is_first, path_of, recipient_of

_PATHS = {
    MessageKind.TEXT: "/message/sendText",
    MessageKind.AUDIO: "/message/sendWhatsAppAudio",
    MessageKind.IMAGE: "/message/sendMedia",
    MessageKind.DOCUMENT: "/message/sendMedia",
    MessageKind.VIDEO: "/message/sendMedia",
}
_encode = msgspec.json.Encoder().encode


class _Media(msgspec.Struct):
    mediatype: str
    mimetype: str
    media: str | bytes  # msgspec writes bytes as base64, the form the server wants
    filename: str = msgspec.field(name="fileName")
    """Required for a document by content, and shown by phones for any document."""
    caption: str | UnsetType = UNSET


class _SecondMedia(_Media, kw_only=True):
    number: str


class _Text(msgspec.Struct, rename="camel"):
    """Version 2; a ``delay`` would hold the request for as long, so there is none.

    A server shows a preview unless it is told not to.
    """

    number: str
    text: str
    link_preview: bool = False


class _Audio(msgspec.Struct):
    number: str
    audio: str | bytes
    encoding: bool = True
    """Makes it a voice message that every phone plays."""


class _Options(msgspec.Struct, rename="camel"):
    delay: int = 0
    presence: str = "composing"
    link_preview: bool = False
    encoding: bool | UnsetType = UNSET


class _FirstText(msgspec.Struct, rename="camel"):
    number: str
    options: _Options
    text_message: dict[str, str]


class _FirstAudio(msgspec.Struct, rename="camel"):
    number: str
    options: _Options
    audio_message: dict[str, str | bytes]


class _FirstMedia(msgspec.Struct, rename="camel"):
    number: str
    options: _Options
    media_message: _Media


def new_client_id() -> str:
    """Make an id in WhatsApp Web's form; the server knows none of ours, so it only names the attempt."""
    return "3EB0" + secrets.token_hex(9).upper()


def prepare_message(message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
    """Encode ``message`` once, so that ``send`` only writes bytes.

    Raises:
        ValueError: A kind with a file came without one.
    """
    path = path_of(_PATHS[message.kind], sender)
    body = _first(message) if is_first(sender.capabilities) else _second(message)
    return Prepared(message, client_id, path, _encode(body))


def _first(message: OutgoingMessage) -> object:
    number = recipient_of(message.address)
    match message.kind:
        case MessageKind.TEXT:
            return _FirstText(number, _Options(link_preview=message.link_preview), {"text": message.text})
        case MessageKind.AUDIO:
            options = _Options(presence="recording", encoding=True)
            return _FirstAudio(number, options, {"audio": _content(_file(message))})
    return _FirstMedia(number, _Options(), _media(message))


def _second(message: OutgoingMessage) -> object:
    number = recipient_of(message.address)
    match message.kind:
        case MessageKind.TEXT:
            return _Text(number, message.text, message.link_preview)
        case MessageKind.AUDIO:
            return _Audio(number, _content(_file(message)))
    media = _media(message)
    return _SecondMedia(media.mediatype, media.mimetype, media.media, media.filename, media.caption, number=number)


def _media(message: OutgoingMessage) -> _Media:
    media = _file(message)
    return _Media(str(message.kind), media.mimetype, _content(media), media.filename, caption=message.text or UNSET)


def _file(message: OutgoingMessage) -> Media:
    if message.media is None:
        raise ValueError(f"a message of the kind {message.kind} needs media")
    return message.media


def _content(media: Media) -> str | bytes:
    return media.url or media.content
