"""What a message says, and when: the parts that versions and engines write in many forms."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

_WRAPPERS = ("ephemeralMessage", "viewOnceMessage", "viewOnceMessageV2", "documentWithCaptionMessage", "editedMessage")
_DEEPEST = 4
_DIGITS = 20
_TEXTS = (
    ("extendedTextMessage", "text"),
    ("buttonsResponseMessage", "selectedDisplayText"),
    ("templateButtonReplyMessage", "selectedDisplayText"),
    ("listResponseMessage", "title"),
)
_FILES = ("imageMessage", "videoMessage", "documentMessage", "audioMessage", "stickerMessage", "ptvMessage")


class Content(msgspec.Struct, frozen=True):
    """The text of a message, or the caption of its file."""

    text: str = ""
    is_media: bool = False


def read_text(message: object) -> Content:
    """Find the text in WhatsApp's own form of a message; anything may come, and nothing raises."""
    for _ in range(_DEEPEST):
        if not isinstance(message, Mapping):
            return Content()
        wrapped = next((message[name] for name in _WRAPPERS if isinstance(message.get(name), Mapping)), None)
        if wrapped is None:
            break
        message = wrapped.get("message")
    if not isinstance(message, Mapping):
        return Content()
    for name in _FILES:
        file = message.get(name)
        if isinstance(file, Mapping):
            return Content(_string(file.get("caption")), is_media=True)
    for name, field in _TEXTS:
        part = message.get(name)
        if isinstance(part, Mapping) and _string(part.get(field)):
            return Content(_string(part.get(field)))
    return Content(_string(message.get("conversation")))


def read_time(value: object) -> datetime | None:
    """Read a Unix time in seconds: a number, its digits, or JavaScript's long integer ``{"low": ...}``."""
    if isinstance(value, Mapping):
        value = value.get("low")
    if isinstance(value, str) and value.isdecimal() and len(value) <= _DIGITS:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
