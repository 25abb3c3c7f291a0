"""WAHA's webhooks: prove them, then translate them.

WAHA delivers from memory, unordered, and repeats every answer that is no success, so whatever is genuine is taken.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from core.plugin import (
    AnyEvent,
    ForeignMessageEvent,
    IdentityEvent,
    MessageInEvent,
    MessageStatusEvent,
    Secret,
    SenderStatusEvent,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
)
from plugins.waha.connection import phone_of, plain_address, split_id
from plugins.waha.lookup import STATUSES
from plugins.waha.sessions import Me, Timelock, read_report

_PEOPLE = ("@c.us", "@lid")
_NOTHING = msgspec.Raw(b"{}")
_T = TypeVar("_T")


class _Envelope(msgspec.Struct):
    """What surrounds every event; ``payload`` is decoded by the event's name."""

    event: str
    id: str = ""
    timestamp: float = 0
    """Unix time in milliseconds."""
    me: msgspec.Raw = _NOTHING
    payload: msgspec.Raw = _NOTHING


class _StatusData(msgspec.Struct):
    timelock: Timelock | None = msgspec.field(name="reachoutTimelock", default=None)


class _SessionStatus(msgspec.Struct):
    status: str
    extra: msgspec.Raw = msgspec.field(name="data", default=_NOTHING)


class _AckError(msgspec.Struct):
    code: str | int = ""
    reason: str = ""
    until: datetime | None = None


class _Batch(msgspec.Struct):
    ids: list[str] = msgspec.field(name="MessageIDs", default_factory=list)


class _Ack(msgspec.Struct):
    id: str
    ack: int
    from_me: bool = msgspec.field(name="fromMe", default=True)
    id_alt: str | None = None
    error: msgspec.Raw = _NOTHING
    engine: msgspec.Raw = msgspec.field(name="_data", default=_NOTHING)


class _NowebKey(msgspec.Struct):
    alt: str | None = msgspec.field(name="remoteJidAlt", default=None)
    sender_pn: str | None = msgspec.field(name="senderPn", default=None)


class _Noweb(msgspec.Struct):
    key: _NowebKey | None = None


class _GowsFacts(msgspec.Struct):
    alt: str | None = msgspec.field(name="SenderAlt", default=None)


class _Gows(msgspec.Struct):
    facts: _GowsFacts | None = msgspec.field(name="Info", default=None)


class _Message(msgspec.Struct):
    id: str
    sender: str = msgspec.field(name="from", default="")
    to: str | None = None
    timestamp: float = 0
    """Unix time in seconds."""
    from_me: bool = msgspec.field(name="fromMe", default=False)
    source: str | None = None
    body: str | None = None
    ack: int | None = None
    engine: msgspec.Raw = msgspec.field(name="_data", default=_NOTHING)


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_ack = msgspec.json.Decoder(_Ack).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_status = msgspec.json.Decoder(_SessionStatus).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def receive(delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
    """Compare the signature over the raw bytes first; only then read them."""
    if not is_genuine(delivery, secret):
        return WebhookResult(genuine=False, status=401, body=b"The signature is missing or wrong.\n")
    return WebhookResult(genuine=True, events=read_events(delivery), payload=delivery.body)


def is_genuine(delivery: WebhookDelivery, secret: Secret) -> bool:
    """Check ``X-Webhook-Hmac``, the hexadecimal HMAC-SHA512 of the body, in constant time."""
    given = delivery.headers.get("x-webhook-hmac", "")
    expected = hmac.new(secret.reveal().encode(), delivery.body, hashlib.sha512).hexdigest()
    return bool(secret) and hmac.compare_digest(given.encode(), expected.encode())


def read_events(delivery: WebhookDelivery) -> tuple[AnyEvent, ...]:
    """Translate one delivery; what cannot be understood becomes an ``UnknownEvent``."""
    name = "unreadable"
    key = delivery.headers.get("x-webhook-request-id", "")
    try:
        envelope = _decode_envelope(delivery.body)
        name, key = envelope.event, envelope.id or key
        envelope.id = key or hashlib.sha256(delivery.body).hexdigest()
        match name:
            case "message.ack":
                return tuple(_read_ack(_decode_ack(envelope.payload), envelope))
            case "message.any" | "message":
                return tuple(_read_message(_decode_message(envelope.payload)))
            case "session.status":
                return (_read_status(_decode_status(envelope.payload), envelope),)
    except _UNREADABLE:
        pass
    return (UnknownEvent(dedupe_key=key or hashlib.sha256(delivery.body).hexdigest(), name=name),)


def _read_ack(ack: _Ack, envelope: _Envelope) -> Iterable[AnyEvent]:
    status = STATUSES.get(ack.ack)
    if status is None:
        yield UnknownEvent(dedupe_key=envelope.id, name=f"message.ack {ack.ack}")
        return
    if not ack.from_me:
        return
    raw_id, chat = split_id(ack.id)
    batch, failure = _part(ack.engine, _Batch), _part(ack.error, _AckError)
    others = (*(batch.ids if batch else ()), *((ack.id_alt,) if ack.id_alt else ()))
    ids = tuple(dict.fromkeys((raw_id, *(split_id(other)[0] for other in others))))
    error = str(failure.code)[:40] if failure else ""
    at = _moment(envelope.timestamp / 1000)
    yield MessageStatusEvent(dedupe_key=envelope.id, ids=ids, status=status.value, at=at, address=chat, error=error)
    if failure and failure.reason == "account_restricted" and failure.until:
        yield SenderStatusEvent(
            dedupe_key=f"{envelope.id}:restriction",
            state="connected",
            raw="account_restricted",
            restricted_until=failure.until if failure.until.tzinfo else failure.until.replace(tzinfo=UTC),
            at=at,
        )


def _read_message(message: _Message) -> Iterable[AnyEvent]:
    """Key messages by their own id: an incoming one fires ``message`` and ``message.any`` with two envelopes."""
    raw_id, chat = split_id(message.id)
    at = _moment(message.timestamp)
    if message.from_me:
        yield _read_own(message, raw_id, chat or plain_address(message.to or message.sender), at)
        return
    address = plain_address(message.sender or chat)
    if not address.endswith(_PEOPLE):
        return
    phone = phone_of(address) or phone_of(_alternative(message.engine))
    yield MessageInEvent(
        dedupe_key=f"in:{raw_id}", id=raw_id, address=address, phone=phone, text=message.body or "", at=at
    )
    if phone and address.endswith("@lid"):
        yield IdentityEvent(dedupe_key=f"identity:{address}:{phone}", address=address, phone=phone)


def _read_own(message: _Message, raw_id: str, chat: str, at: datetime) -> AnyEvent:
    if message.source == "app":
        return ForeignMessageEvent(dedupe_key=f"out:{raw_id}", id=raw_id, address=chat, at=at)
    status = STATUSES.get(message.ack or 0, STATUSES[0])
    return MessageStatusEvent(
        dedupe_key=f"out:{raw_id}:{status}", ids=(raw_id,), status=status.value, at=at, address=chat
    )


def _read_status(payload: _SessionStatus, envelope: _Envelope) -> SenderStatusEvent:
    at = _moment(envelope.timestamp / 1000)
    extra = _part(payload.extra, _StatusData)
    report = read_report(payload.status, _part(envelope.me, Me), extra.timelock if extra else None, at)
    return SenderStatusEvent(
        dedupe_key=envelope.id,
        state=report.state.value,
        raw=report.raw,
        address=report.address,
        name=report.name,
        restricted_until=report.restricted_until,
        at=at,
    )


def _alternative(engine: msgspec.Raw) -> str:
    """Return the phone form of a hidden number, where the engine names it beside the lid."""
    noweb, gows = _part(engine, _Noweb), _part(engine, _Gows)
    key = (noweb.key if noweb else None) or _NowebKey()
    facts = (gows.facts if gows else None) or _GowsFacts()
    return key.alt or key.sender_pn or facts.alt or ""


def _part(raw: msgspec.Raw, kind: type[_T]) -> _T | None:
    """Decode what differs between engines and versions; nothing, where it has another shape."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNREADABLE:
        return None


def _moment(seconds: float) -> datetime:
    """Return a moment in UTC; now, where the service gives none that exists."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else datetime.now(UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.now(UTC)
