"""WAHA's webhooks: prove them, then translate them.

WAHA delivers from memory, unordered, and repeats every answer that is no success, so whatever is genuine is taken.
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime

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
from plugins.waha.connection import NOTHING, UNREADABLE, part, phone_of, plain_address, split_id
from plugins.waha.lookup import STATUSES
from plugins.waha.restrictions import Refusal, moment
from plugins.waha.sessions import read_report

_PEOPLE = ("@c.us", "@lid")
_GROUP_ACK = "message.ack.group"
_SERVER, _DEVICE = 1, 2


class _Envelope(msgspec.Struct):
    """What surrounds every event; ``payload`` is decoded by the event's name."""

    event: str
    id: str | None = ""
    timestamp: float | None = None
    """Unix time in milliseconds."""
    me: msgspec.Raw = NOTHING
    payload: msgspec.Raw = NOTHING

    @property
    def at(self) -> datetime:
        """When it happened."""
        return moment((self.timestamp or 0) / 1000) or datetime.now(UTC)


class _SessionStatus(msgspec.Struct):
    status: str
    extra: msgspec.Raw = msgspec.field(name="data", default=NOTHING)


class _Batch(msgspec.Struct):
    ids: list[str] = msgspec.field(name="MessageIDs", default_factory=list)


class _Receipt(msgspec.Struct):
    delivered: object = msgspec.field(name="receiptTimestamp", default=None)


class _NowebReceipt(msgspec.Struct):
    receipt: _Receipt


class _Ack(msgspec.Struct):
    id: str
    ack: int
    from_me: bool = msgspec.field(name="fromMe", default=True)
    id_alt: str | None = None
    error: msgspec.Raw = NOTHING
    engine: msgspec.Raw = msgspec.field(name="_data", default=NOTHING)


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
    sender: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    timestamp: float | None = None
    """Unix time in seconds."""
    from_me: bool = msgspec.field(name="fromMe", default=False)
    source: str | None = None
    body: str | None = None
    ack: int | None = None
    engine: msgspec.Raw = msgspec.field(name="_data", default=NOTHING)


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_ack = msgspec.json.Decoder(_Ack).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_status = msgspec.json.Decoder(_SessionStatus).decode


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
    events = _translate(delivery)
    # JSON may hold NUL, which no text in PostgreSQL can.
    return tuple(map(_without_nul, events)) if b"\\u0000" in delivery.body else events


def _translate(delivery: WebhookDelivery) -> tuple[AnyEvent, ...]:
    name = "unreadable"
    key = delivery.headers.get("x-webhook-request-id", "")
    try:
        envelope = _decode_envelope(delivery.body)
        name, key = envelope.event, envelope.id or key
        envelope.id = key or hashlib.sha256(delivery.body).hexdigest()
        match name:
            case "message.ack":
                return tuple(_read_ack(_decode_ack(envelope.payload), envelope))
            case "message.ack.group":
                return tuple(_read_group_ack(_decode_ack(envelope.payload), envelope))
            case "message.any" | "message":
                return tuple(_read_message(_decode_message(envelope.payload)))
            case "session.status":
                return (_read_status(_decode_status(envelope.payload), envelope),)
    except UNREADABLE:
        pass
    return (UnknownEvent(dedupe_key=key or hashlib.sha256(delivery.body).hexdigest(), name=name[:100]),)


def _read_ack(ack: _Ack, envelope: _Envelope) -> Iterable[AnyEvent]:
    status = STATUSES.get(ack.ack)
    key = envelope.id or ""
    if status is None:
        yield UnknownEvent(dedupe_key=key, name=f"message.ack {ack.ack}")
        return
    if not ack.from_me:
        return
    chat, ids = _ids(ack)
    refusal = part(ack.error, Refusal)
    error = str(refusal.code or "")[:40] if refusal else ""
    at = envelope.at
    yield MessageStatusEvent(dedupe_key=key, ids=ids, status=status.value, at=at, address=chat, error=error)
    if refusal and refusal.restricts:
        yield SenderStatusEvent(
            dedupe_key=f"{key}:restriction",
            state="connected",
            raw="account_restricted",
            restricted_until=refusal.end(at),
            at=at,
        )


def _read_group_ack(ack: _Ack, envelope: _Envelope) -> Iterable[AnyEvent]:
    """Translate what one participant's phone did; the group is as far as the first of them came.

    The trouble of one participant is not the group's. All that say the same of a message share one dedupe key, so
    that a group of a thousand costs as much as a person.
    """
    noweb = part(ack.engine, _NowebReceipt)
    # NOWEB says SERVER for the receipt of a phone (`convertMessageReceiptUpdateToMessageAck`).
    status = STATUSES.get(_DEVICE if ack.ack == _SERVER and noweb and noweb.receipt.delivered else ack.ack)
    if status is None:
        yield UnknownEvent(dedupe_key=envelope.id or "", name=f"{_GROUP_ACK} {ack.ack}")
        return
    if not ack.from_me or ack.ack < 0:
        return
    chat, ids = _ids(ack)
    yield MessageStatusEvent(
        dedupe_key=f"group:{ids[0]}:{status}", ids=ids, status=status.value, at=envelope.at, address=chat
    )


def _ids(ack: _Ack) -> tuple[str, tuple[str, ...]]:
    """Return the chat, and each raw id that an acknowledgement is for."""
    raw_id, chat = split_id(ack.id)
    batch = part(ack.engine, _Batch)
    others = (*(batch.ids if batch else ()), *((ack.id_alt,) if ack.id_alt else ()))
    return chat, tuple(dict.fromkeys((raw_id, *(split_id(other)[0] for other in others))))


def _read_message(message: _Message) -> Iterable[AnyEvent]:
    """Key messages by their own id: an incoming one fires ``message`` and ``message.any`` with two envelopes."""
    raw_id, chat = split_id(message.id)
    at = moment(message.timestamp) or datetime.now(UTC)
    if message.from_me:
        yield _read_own(message, raw_id, chat or plain_address(message.to or message.sender or ""), at)
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
    report = read_report(payload.status, envelope.me, payload.extra, envelope.at)
    return SenderStatusEvent(
        dedupe_key=envelope.id or "",
        state=report.state.value,
        raw=report.raw,
        address=report.address,
        name=report.name,
        restricted_until=report.restricted_until,
        at=envelope.at,
    )


def _alternative(engine: msgspec.Raw) -> str:
    """Return the phone form of a hidden number, where the engine names it beside the lid."""
    noweb, gows = part(engine, _Noweb), part(engine, _Gows)
    key = (noweb.key if noweb else None) or _NowebKey()
    facts = (gows.facts if gows else None) or _GowsFacts()
    return key.alt or key.sender_pn or facts.alt or ""


def _without_nul(event: AnyEvent) -> AnyEvent:
    clean: dict[str, object] = {}
    for name, value in msgspec.structs.asdict(event).items():
        if isinstance(value, str):
            # A key is never empty, and stays another than its neighbours'.
            clean[name] = value.replace("\0", "\ufffd" if name == "dedupe_key" else "")
        elif isinstance(value, tuple):
            clean[name] = tuple(one.replace("\0", "") for one in value)
    return msgspec.structs.replace(event, **clean)
