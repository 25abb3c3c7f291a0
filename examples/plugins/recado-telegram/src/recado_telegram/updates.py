"""Updates as events, and the cursor that says up to which of them everything is stored.

https://core.telegram.org/bots/api#getting-updates
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from core.plugin import AnyEvent, MessageInEvent, UnknownEvent


class _Id(msgspec.Struct):
    update_id: int


class _Chat(msgspec.Struct):
    id: int
    type: str


class _Message(msgspec.Struct):
    message_id: int
    date: int
    chat: _Chat
    text: str = ""
    caption: str = ""


class _Update(msgspec.Struct):
    message: _Message


def offset_after(cursor: str, bot: str) -> int | None:
    """Return the offset to ask with; ``None``, for whatever Telegram has kept, where the cursor is another bot's."""
    kept, _, offset = cursor.partition(":")
    return int(offset) if kept == bot and offset.isdecimal() else None


def next_cursor(updates: Sequence[msgspec.Raw], bot: str) -> str:
    """Return the cursor after ``updates``, which are at least one: the bot, and one more than the last number.

    After a week of silence Telegram goes on with any number; an offset far from it counts for the beginning.

    Raises:
        msgspec.DecodeError: One of them has no number.
    """
    last = max(msgspec.json.decode(update, type=_Id).update_id for update in updates)
    return f"{bot}:{last + 1}"


def read_update(update: msgspec.Raw) -> AnyEvent:
    """Translate one update; what somebody writes in a group is not written to the bot."""
    try:
        message = msgspec.json.decode(update, type=_Update).message
        at = datetime.fromtimestamp(message.date, UTC)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError, OverflowError, OSError):
        return _unknown(update, "")
    if message.chat.type != "private":
        return _unknown(update, "message of a group")
    chat = str(message.chat.id)
    key = f"{chat}:{message.message_id}"
    return MessageInEvent(
        dedupe_key=f"message:{key}", id=key, address=chat, text=message.text or message.caption, at=at
    )


def _unknown(update: msgspec.Raw, name: str) -> UnknownEvent:
    fields = msgspec.json.decode(update, type=dict[str, msgspec.Raw])
    kind = name or next((field for field in fields if field != "update_id"), "empty update")
    return UnknownEvent(dedupe_key=f"update:{bytes(fields['update_id']).decode()}", name=kind)
