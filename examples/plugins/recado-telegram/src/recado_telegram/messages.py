"""Outgoing messages as request bodies: JSON, or a form where the file itself goes along.

https://core.telegram.org/bots/api#sending-files
"""

import secrets

import msgspec

from core.plugin import Media, MessageKind, OutgoingMessage, Prepared

TEXT_METHOD = "sendMessage"
_FILES = {
    MessageKind.IMAGE: ("sendPhoto", "photo"),
    MessageKind.VIDEO: ("sendVideo", "video"),
    MessageKind.AUDIO: ("sendVoice", "voice"),
    MessageKind.DOCUMENT: ("sendDocument", "document"),
}
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})


def new_client_id() -> str:
    """Make an id; Telegram knows none of ours, so it names the attempt and bounds the parts of a form."""
    return secrets.token_hex(16)


def prepare_message(message: OutgoingMessage, client_id: str) -> Prepared:
    """Encode ``message`` once, so that ``send`` only writes bytes.

    Raises:
        ValueError: A kind with a file came without one.
    """
    if message.kind is MessageKind.TEXT:
        body: dict[str, object] = {
            "chat_id": message.address,
            "text": message.text,
            "link_preview_options": {"is_disabled": not message.link_preview},
        }
        return Prepared(message, client_id, TEXT_METHOD, msgspec.json.encode(body))
    if message.media is None:
        raise ValueError(f"a message of the kind {message.kind} needs media")
    method, field = _FILES[message.kind]
    fields = {"chat_id": message.address, **({"caption": message.text} if message.text else {})}
    if message.media.url:
        return Prepared(message, client_id, method, msgspec.json.encode({**fields, field: message.media.url}))
    return Prepared(message, client_id, method, _form(fields, field, message.media, _boundary(client_id)))


def content_type(prepared: Prepared) -> str:
    """Return the type of the prepared body."""
    media = prepared.message.media
    if media is None or media.url:
        return "application/json"
    return f"multipart/form-data; boundary={_boundary(prepared.client_id)}"


def _boundary(client_id: str) -> str:
    return f"recado-{client_id}"


def _form(fields: dict[str, str], file_field: str, media: Media, boundary: str) -> bytes:
    """Build a form (RFC 7578) whose last part is the file."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{file_field}";'
        f' filename="{media.filename.translate(_ESCAPES)}"\r\nContent-Type: {media.mimetype}\r\n\r\n'
    )
    return "".join(parts).encode() + media.content + f"\r\n--{boundary}--\r\n".encode()
