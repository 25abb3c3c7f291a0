"""Outgoing messages as WAHA's request bodies."""

import secrets
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from core.plugin import Media, MessageKind, OutgoingMessage, Prepared, Sender
from plugins.waha.connection import chat_id, session_of

TEXT_PATH: Final = "/api/sendText"
_MEDIA_PATHS = {
    MessageKind.IMAGE: "/api/sendImage",
    MessageKind.AUDIO: "/api/sendVoice",
    MessageKind.DOCUMENT: "/api/sendFile",
    MessageKind.VIDEO: "/api/sendVideo",
}
_encode = msgspec.json.Encoder().encode


class _Text(msgspec.Struct, rename="camel"):
    session: str
    chat_id: str
    text: str
    link_preview: bool
    id: str | UnsetType


class _File(msgspec.Struct):
    mimetype: str
    filename: str
    url: str | UnsetType = UNSET
    data: bytes | UnsetType = UNSET  # msgspec writes bytes as base64, the form WAHA wants


class _WithFile(msgspec.Struct, rename="camel"):
    session: str
    chat_id: str
    file: _File
    id: str | UnsetType
    caption: str | UnsetType = UNSET
    convert: bool | UnsetType = UNSET
    as_note: bool | UnsetType = UNSET


def new_client_id() -> str:
    """Make a raw message id as WhatsApp Web makes them: ``3EB0`` and 18 upper-case hexadecimal digits."""
    return "3EB0" + secrets.token_hex(9).upper()


def prepare_message(message: OutgoingMessage, sender: Sender, client_id: str) -> Prepared:
    """Encode ``message`` once, so that ``send`` only writes bytes.

    Raises:
        ValueError: A kind with a file came without one.
    """
    given_id = client_id if sender.capabilities.client_message_id else UNSET
    if message.kind is MessageKind.TEXT:
        # Always said: WAHA would make a preview of itself.
        preview = message.link_preview and sender.capabilities.link_preview
        text = _Text(session_of(sender), chat_id(message.address), message.text, preview, given_id)
        return Prepared(message, client_id, TEXT_PATH, _encode(text))
    if message.media is None:
        raise ValueError(f"a message of the kind {message.kind} needs media")
    body = _WithFile(session_of(sender), chat_id(message.address), _file(message.media), given_id)
    if message.kind is MessageKind.AUDIO:
        # An OGG file may hold Vorbis, which no phone plays as a voice message.
        body.convert = "opus" not in message.media.mimetype
    elif message.text:
        body.caption = message.text
    if message.kind is MessageKind.VIDEO:
        body.convert = message.media.mimetype != "video/mp4"
        body.as_note = False
    return Prepared(message, client_id, _MEDIA_PATHS[message.kind], _encode(body))


def _file(media: Media) -> _File:
    if media.url:
        return _File(media.mimetype, media.filename, url=media.url)
    return _File(media.mimetype, media.filename, data=media.content)
