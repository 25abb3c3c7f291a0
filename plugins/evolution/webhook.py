"""Evolution API's webhooks: prove them, clean them, then translate them.

The server signs nothing: version 2 sends the number's secret in a header, version 1 in the address. It delivers from
memory and unordered, repeats what is not taken for some minutes, and gives its events no ids.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from core.plugin import (
    AnyEvent,
    ForeignMessageEvent,
    IdentityEvent,
    MessageInEvent,
    MessageStatusEvent,
    Secret,
    SenderState,
    SenderStatusEvent,
    UnknownEvent,
    WebhookDelivery,
    WebhookResult,
)
from plugins.evolution.connection import jid_of, phone_of
from plugins.evolution.content import read_text, read_time
from plugins.evolution.failures import UNREADABLE, read_part
from plugins.evolution.hooks import SECRET_HEADER, SECRET_PARAMETER
from plugins.evolution.instances import SIGNED_OUT, read_reason
from plugins.evolution.lookup import read_status
from plugins.evolution.outcomes import LONGEST_ID, Key

_PEOPLE = ("@s.whatsapp.net", "@lid", "@c.us")
_NOTHING = msgspec.Raw(b"{}")
_ADDRESS = "destination"
"""Our address with the number's token, and where no header is kept its secret."""
_CONFIDENTIAL = frozenset({"apikey", "token", "hash", "jwt", "accesstoken"})
"""The instance's key: beside every event's data, and inside those of ``TYPEBOT_START`` and ``NEW_JWT_TOKEN``."""
_MAY_BE_CONFIDENTIAL = re.compile(rb'"(?:api[_-]?key|token|hash|jwt|access[_-]?token)"', re.IGNORECASE)
_NAME = 120
"""The longest name of an account or event that is told."""
_ZONE_STEP = timedelta(minutes=15)
_STORM = 18
"""Characters of ``date_time`` up to the tens of seconds: without a network the server tells of 15 changes a second."""
_ID = msgspec.Meta(max_length=LONGEST_ID)
_SIDE_EVENTS = ("DELETED", "EDITED")
_T = TypeVar("_T")


class _Envelope(msgspec.Struct):
    """What surrounds every event; ``data`` is decoded by the event's name."""

    event: str
    data: msgspec.Raw = _NOTHING
    date_time: object = ""


class _Message(msgspec.Struct):
    key: Key
    message: object = None
    time: object = msgspec.field(name="messageTimestamp", default=None)
    status: object = None


class _Update(msgspec.Struct, rename="camel"):
    """Version 2 joins by ``keyId``, its ``messageId`` being a row of its own; version 1 by ``id``."""

    status: object = None
    key_id: Annotated[str, _ID] | None = None
    id: Annotated[str, _ID] | None = None
    remote_jid: Annotated[str, _ID] | None = None
    from_me: bool | None = None


class _Connection(msgspec.Struct):
    state: Annotated[str, _ID]
    reason: object = msgspec.field(name="statusReason", default=None)
    address: object = msgspec.field(name="wuid", default=None)
    name: object = msgspec.field(name="profileName", default=None)


class _Closed(msgspec.Struct, rename="camel"):
    """Why an instance ended; its connection tells the same, unless its webhook was made for this alone."""

    status: Literal["closed"]
    disconnection_reason_code: object = None


class _QrCode(msgspec.Struct):
    qrcode: object = None
    code: object = msgspec.field(name="statusCode", default=None)


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
# Versions differ in whether they tell of one or of many.
_decode_update = msgspec.json.Decoder(_Update | list[_Update]).decode
_decode_message = msgspec.json.Decoder(_Message | list[_Message]).decode
_decode_connection = msgspec.json.Decoder(_Connection).decode
_decode_closed = msgspec.json.Decoder(_Closed).decode
_decode_qr_code = msgspec.json.Decoder(_QrCode).decode


class _Delivery(msgspec.Struct, frozen=True):
    """What every event of a delivery shares."""

    name: str
    stamp: str
    """The server's ``date_time`` as it stands, equal in each repetition; a hash of the body where there is none."""
    at: datetime


def receive(delivery: WebhookDelivery, secret: Secret) -> WebhookResult:
    """Compare the secret first; only then read."""
    if not is_genuine(delivery, secret):
        return WebhookResult(genuine=False, status=401, body=b"The secret is missing or wrong.\n")
    return WebhookResult(genuine=True, events=read_events(delivery.body), payload=clean(delivery.body))


def is_genuine(delivery: WebhookDelivery, secret: Secret) -> bool:
    """Compare header and parameter with the number's secret, in constant time; one that fits is enough."""
    given = (delivery.headers.get(SECRET_HEADER.lower(), ""), delivery.query.get(SECRET_PARAMETER, ""))
    fits = [_matches(secret, one) for one in given]
    return bool(secret) and any(fits)


def clean(body: bytes) -> bytes:
    """Take out what must not be kept; a body that cannot be read is not kept at all."""
    parts = read_part(body, dict[str, msgspec.Raw])
    if parts is None:
        return b""
    kept = {name: _clean_part(raw) for name, raw in parts.items() if not _is_confidential(name) and name != _ADDRESS}
    try:
        return msgspec.json.encode(kept)
    except RecursionError:
        return b""


def _clean_part(raw: msgspec.Raw) -> object:
    """Decode only what may hold something confidential, and take that out at any depth."""
    if _MAY_BE_CONFIDENTIAL.search(raw) is None:
        return raw
    whole: Any = read_part(raw, object)
    waiting = [whole]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            for name in [name for name in one if _is_confidential(name)]:
                del one[name]
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return whole


def _is_confidential(name: str) -> bool:
    return name.lower().replace("_", "").replace("-", "") in _CONFIDENTIAL


def read_events(body: bytes) -> tuple[AnyEvent, ...]:
    """Translate one delivery; what cannot be understood becomes an ``UnknownEvent``."""
    name = "unreadable"
    try:
        envelope = _decode_envelope(body)
        name = envelope.event[:_NAME].lower().replace("_", ".").replace("-", ".")
        stamp = envelope.date_time if isinstance(envelope.date_time, str) else ""
        shared = _Delivery(name, stamp or hashlib.sha256(body).hexdigest(), _moment(stamp, datetime.now(UTC)))
        if name in _READERS:
            return tuple(_READERS[name](envelope.data, shared))
    except UNREADABLE:
        pass
    return (UnknownEvent(dedupe_key=hashlib.sha256(body).hexdigest(), name=name),)


def _matches(secret: Secret, given: str) -> bool:
    return secret.matches(given.encode("utf-8", "replace").decode())


def _each(found: _T | list[_T]) -> list[_T]:
    return found if isinstance(found, list) else [found]


def _read_update(update: _Update, shared: _Delivery) -> Iterable[AnyEvent]:
    message_id = update.key_id or update.id
    status = read_status(update.status)
    if update.from_me is False or update.status in _SIDE_EVENTS:
        return
    if status is None or not message_id:
        name = f"{shared.name} {str(update.status)[:30]}"
        yield UnknownEvent(dedupe_key=f"unknown:{message_id}:{name}:{shared.stamp}", name=name)
        return
    yield MessageStatusEvent(
        dedupe_key=f"status:{message_id}:{status}",
        ids=(message_id,),
        status=status.value,
        at=shared.at,
        address=jid_of(update.remote_jid) if update.remote_jid else "",
    )


def _read_message(message: _Message, shared: _Delivery) -> Iterable[AnyEvent]:
    """Our own sends come as ``send.message``; what comes here with ``fromMe`` was written on the phone."""
    key = message.key
    at = read_time(message.time) or shared.at
    address = jid_of(key.remote_jid) if key.remote_jid else ""
    if not key.id or not address.endswith(_PEOPLE):
        return
    if key.from_me:
        yield ForeignMessageEvent(dedupe_key=f"out:{key.id}", id=key.id, address=address, at=at)
        return
    other = jid_of(key.remote_jid_alt) if key.remote_jid_alt else ""
    phone = phone_of(address) or phone_of(other)
    text = read_text(message.message).text
    yield MessageInEvent(dedupe_key=f"in:{key.id}", id=key.id, address=address, phone=phone, text=text, at=at)
    hidden = next((one for one in (address, other) if one.endswith("@lid")), "")
    if phone and hidden:
        yield IdentityEvent(dedupe_key=f"identity:{hidden}:{phone}", address=hidden, phone=phone)


def _read_sent(message: _Message, shared: _Delivery) -> AnyEvent:
    """Say that the server has it, which proves a send without an answer as soon as its id is known."""
    key = message.key
    status = read_status(message.status) or read_status("PENDING")
    return MessageStatusEvent(
        dedupe_key=f"sent:{key.id}:{status}",
        ids=(key.id,),
        status=status.value if status else "accepted",
        at=read_time(message.time) or shared.at,
        address=jid_of(key.remote_jid) if key.remote_jid else "",
    )


def _read_connection(update: _Connection, shared: _Delivery) -> AnyEvent:
    """Translate a change of the connection; a close that the server mends by itself is a start."""
    code = update.reason if isinstance(update.reason, int) else None
    raw = read_reason(update.state, code)
    state = {
        "open": SenderState.CONNECTED,
        "connecting": SenderState.STARTING,
        "refused": SenderState.FAILED,
        "close": SenderState.FAILED if code in SIGNED_OUT else SenderState.STARTING,
    }.get(update.state, SenderState.NEEDS_PERSON)
    # Openings and ends are facts of their own. Attempts come in storms, which alternate between two words for the same
    # state: one in ten seconds is told.
    word = state if state is SenderState.STARTING else raw
    stamp = shared.stamp if state in {SenderState.CONNECTED, SenderState.FAILED} else shared.stamp[:_STORM]
    return SenderStatusEvent(
        dedupe_key=f"connection:{word}:{stamp}",
        state=state.value,
        raw=raw,
        address=jid_of(update.address[:LONGEST_ID]) if isinstance(update.address, str) and update.address else "",
        name=update.name[:_NAME] if isinstance(update.name, str) else "",
        at=shared.at,
    )


def _read_closed(closed: _Closed, shared: _Delivery) -> AnyEvent:
    return _read_connection(_Connection("close", closed.disconnection_reason_code), shared)


def _read_qr_code(update: _QrCode, shared: _Delivery) -> AnyEvent:
    """Say that a person has to scan, or that the server stopped offering codes."""
    waits = isinstance(update.qrcode, dict)
    if not waits and update.code is None:
        return UnknownEvent(dedupe_key=f"unknown:{shared.name}:{shared.stamp}", name=shared.name)
    state, raw = (SenderState.SIGN_IN, "qrcode") if waits else (SenderState.FAILED, "qrcode limit")
    return SenderStatusEvent(dedupe_key=f"{raw}:{shared.stamp[:_STORM]}", state=state.value, raw=raw, at=shared.at)


_READERS: Mapping[str, Callable[[msgspec.Raw, _Delivery], Iterable[AnyEvent]]] = {
    "messages.update": lambda data, shared: (
        event for one in _each(_decode_update(data)) for event in _read_update(one, shared)
    ),
    "messages.upsert": lambda data, shared: (
        event for one in _each(_decode_message(data)) for event in _read_message(one, shared)
    ),
    "send.message": lambda data, shared: (_read_sent(one, shared) for one in _each(_decode_message(data))),
    "connection.update": lambda data, shared: (_read_connection(_decode_connection(data), shared),),
    "status.instance": lambda data, shared: (_read_closed(_decode_closed(data), shared),),
    "qrcode.updated": lambda data, shared: (_read_qr_code(_decode_qr_code(data), shared),),
}


def _moment(stamp: str, now: datetime) -> datetime:
    """Read ``date_time``, the server's wall clock written as if it were UTC.

    Its zone is what is nearest to now in quarters of an hour, which holds for deliveries of the last minutes.
    """
    try:
        told = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
        zone = round((now - told) / _ZONE_STEP) * _ZONE_STEP
        return min(told + zone, now)
    except (ValueError, OverflowError):
        return now
