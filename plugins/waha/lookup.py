"""Find out what became of a message whose send got no answer, or no acknowledgement."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import quote

import msgspec

from core.plugin import (
    Absent,
    CannotTell,
    Finding,
    Found,
    MessageKind,
    MessageStatus,
    Prepared,
    ProviderError,
    Sender,
    decode,
)
from plugins.waha.connection import BROWSER_ENGINES, Connection, chat_id, is_group, session_path, split_id

STATUSES = {
    -1: MessageStatus.FAILED,
    0: MessageStatus.ACCEPTED,
    1: MessageStatus.SENT,
    2: MessageStatus.DELIVERED,
    3: MessageStatus.READ,
    4: MessageStatus.READ,
}
"""WAHA's ``ack``; 4 is *played*."""
_DOING = "looking a message up"
_LATEST = {"sortBy": "timestamp", "sortOrder": "desc", "downloadMedia": "false"}
_ABSENT = 404
_SIGN_IN_SECONDS = 10
"""Nobody signs a session out and in again within this time, so a message as young as that proves the store whole."""


class _Stored(msgspec.Struct):
    """A message of the store. Its ``source`` changes when WAHA restarts and proves nothing."""

    id: str
    timestamp: float = 0
    from_me: bool = msgspec.field(name="fromMe", default=False)
    body: str | None = None
    has_media: bool = msgspec.field(name="hasMedia", default=False)
    ack: int | None = None


class _Refusal(msgspec.Struct):
    message: str = ""


async def look_up(connection: Connection, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
    """Look the message up by id, else among the chat's latest messages; ``Absent`` only where that is certain.

    It is certain for a text that went out under our own id, while the store reaches back to the attempt: a session
    that was signed out since has lost its store, and a 404 from it says nothing.
    """
    try:
        if ids and sender.capabilities.engine in BROWSER_ENGINES and is_group(prepared.message.address):
            return await _in_group(connection, prepared, sender, ids)
        for raw_id in _ids(prepared, sender, ids):
            finding = await _by_id(connection, sender, raw_id)
            if finding is not None:
                return finding
        if ids:
            return CannotTell("not_in_store")
        own_id = sender.capabilities.client_message_id
        if own_id and prepared.message.kind is MessageKind.TEXT:
            return await _absent(connection, prepared, sender)
        return await _by_text(connection, prepared, sender)
    except ProviderError as error:
        return CannotTell(error.code)


def _ids(prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Iterable[str]:
    """Name the ids worth asking for, each once; WEBJS and WPP find their messages by the serialized id alone."""
    if sender.capabilities.engine in BROWSER_ENGINES:
        return dict.fromkeys(f"true_{chat_id(prepared.message.address)}_{split_id(one)[0]}" for one in ids)
    own = (prepared.client_id,) if sender.capabilities.client_message_id else ()
    return dict.fromkeys((*(split_id(one)[0] for one in ids), *own))


async def _by_id(connection: Connection, sender: Sender, message_id: str) -> Finding | None:
    path = f"/api/{session_path(sender)}/chats/all/messages/{quote(message_id, safe='@.')}"
    answer = await connection.get(
        sender.server, path, {"downloadMedia": "false"}, doing=_DOING, accept=(_ABSENT, 400, 422)
    )
    if answer.status_code == _ABSENT:
        known = decode(answer, _Refusal, _DOING).message == "Message not found"
        return None if known else CannotTell("session_missing")
    if answer.is_error:
        # 400: NOWEB without its store. 422: the session does not run.
        return CannotTell("store_not_available")
    return _found(decode(answer, _Stored, _DOING))


async def _in_group(connection: Connection, prepared: Prepared, sender: Sender, ids: Sequence[str]) -> Finding:
    """Look among a group's own messages: a browser engine's id of one ends with a form of our number nobody told."""
    filters = {**_LATEST, "limit": "50", "filter.fromMe": "true"}
    listed = await _list(connection, sender, quote(prepared.message.address, safe="@."), filters)
    raw_ids = {split_id(one)[0] for one in ids}
    found = next((one for one in listed if split_id(one.id)[0] in raw_ids), None)
    return _found(found) if found else CannotTell("not_in_store")


async def _absent(connection: Connection, prepared: Prepared, sender: Sender) -> Finding:
    filters = {**_LATEST, "limit": "1"}
    if prepared.attempted_at is not None:
        filters["filter.timestamp.lte"] = str(int(prepared.attempted_at.timestamp() + _SIGN_IN_SECONDS))
    older = await _list(connection, sender, "all", filters)
    return Absent() if older else CannotTell("store_too_young")


async def _by_text(connection: Connection, prepared: Prepared, sender: Sender) -> Finding:
    """Take the one message of the chat with the same text since the attempt began; two could be anybody's."""
    message = prepared.message
    if prepared.attempted_at is None or not message.text:
        return CannotTell("no_message_id")
    filters = _since(prepared.attempted_at)
    listed = await _list(connection, sender, quote(chat_id(message.address), safe="@."), filters)
    begun = int(prepared.attempted_at.timestamp())
    fitting = [
        one
        for one in listed
        if one.from_me
        and one.timestamp >= begun
        and one.body == message.text
        and one.has_media == (message.media is not None)
    ]
    return _found(fitting[0]) if len(fitting) == 1 else CannotTell("ambiguous" if fitting else "not_in_chat")


def _since(begun: datetime) -> dict[str, str]:
    since = str(int(begun.timestamp()))
    return {**_LATEST, "limit": "50", "filter.fromMe": "true", "filter.timestamp.gte": since}


async def _list(connection: Connection, sender: Sender, chat: str, filters: dict[str, str]) -> list[_Stored]:
    path = f"/api/{session_path(sender)}/chats/{chat}/messages"
    answer = await connection.get(sender.server, path, filters, doing=_DOING)
    return decode(answer, list[_Stored], _DOING)


def _found(stored: _Stored) -> Finding:
    raw_id, address = split_id(stored.id)
    if not stored.from_me:
        return CannotTell("not_ours")
    return Found((raw_id,), STATUSES.get(stored.ack or 0, MessageStatus.ACCEPTED), address)
