"""Mercado Pago's webhooks: prove them, then name what is worth fetching.

``x-signature: ts=<t>,v1=<hex>`` is HMAC-SHA256 over ``id:<data.id of the query, lower case>;request-id:<x-request-id>;\
ts:<t>;`` without the pairs that are absent (https://www.mercadopago.com.br/developers/en/docs/your-integrations/\
notifications/webhooks). It covers neither body nor topic: a delivery is a hint and nothing else.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from core.plugin import GatewayHint, GatewayVerdict, References, Secret, WebhookDelivery

SIGNATURE_HEADER = "x-signature"
REQUEST_HEADER = "x-request-id"
KINDS: Mapping[str, str] = {
    "payment": "payment",
    "subscription_preapproval": "preapproval",
    "subscription_authorized_payment": "authorized_payment",
}
"""``References.object_kind`` by topic. Plans are ours alone and change only by us, so their topic is passed over."""

_FIRST_MILLISECONDS = 10**11
"""A larger ``ts`` counts milliseconds, as the page says; older examples of it, and the SDK, count seconds."""
_NUMBER = re.compile(r"[0-9]{1,16}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_WORD = re.compile(r"[a-z_.]{1,60}")


class _Object(msgspec.Struct):
    id: int | str = ""


class _Notice(msgspec.Struct):
    """A body, as far as anything of it is kept: ids and words."""

    id: int | str | None = None
    type: str = ""
    action: str = ""
    date_created: str | None = None
    live_mode: bool | None = None
    user_id: int | str | None = None
    api_version: str | None = None
    object: _Object = msgspec.field(name="data", default_factory=_Object)


def manifest(data_id: str, request_id: str, stamp: str) -> str:
    """Return the text that is signed."""
    pairs = (("id", data_id.lower()), ("request-id", request_id), ("ts", stamp))
    return "".join(f"{name}:{value};" for name, value in pairs if value)


def sign(text: str, secret: Secret) -> str:
    """Return the signature of a manifest, in hexadecimal."""
    return hmac.new(secret.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()


def receive(delivery: WebhookDelivery, secrets: Sequence[Secret], window_seconds: int, now: datetime) -> GatewayVerdict:
    """Verify what is signed, then read the rest as a hint; the old IPN form has no signature and is refused."""
    if not _is_genuine(delivery, secrets, window_seconds, now):
        return GatewayVerdict(genuine=False, status=401)
    try:
        notice = msgspec.json.decode(delivery.body, type=_Notice)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return GatewayVerdict(genuine=True)
    return GatewayVerdict(genuine=True, hints=_hints(delivery, notice), payload=_payload(notice))


def _is_genuine(delivery: WebhookDelivery, secrets: Sequence[Secret], window_seconds: int, now: datetime) -> bool:
    parts = dict(_pair(part) for part in delivery.headers.get(SIGNATURE_HEADER, "")[:500].split(","))
    stamp, given = parts.get("ts", ""), parts.get("v1", "")
    if not _NUMBER.fullmatch(stamp) or not given:
        return False
    text = manifest(delivery.query.get("data.id", ""), delivery.headers.get(REQUEST_HEADER, ""), stamp)
    # A list, so that every secret is tried whichever fits: how long it takes tells nothing.
    fits = [secret and hmac.compare_digest(given.encode(), sign(text, secret).encode()) for secret in secrets]
    return any(fits) and abs(now.timestamp() - _seconds(int(stamp))) <= window_seconds


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name.strip().lower(), value.strip()


def _seconds(stamp: int) -> float:
    return stamp / 1000 if stamp > _FIRST_MILLISECONDS else float(stamp)


def _hints(delivery: WebhookDelivery, notice: _Notice) -> tuple[GatewayHint, ...]:
    """Name the object of the query, which is signed; topic and action are of the body, which is not."""
    topic = notice.type or delivery.query.get("type", "")
    number = delivery.query.get("data.id", "")
    kind = KINDS.get(topic)
    if kind is None or not _ID.fullmatch(number):
        return ()
    action = notice.action if _WORD.fullmatch(notice.action) else ""
    request = delivery.headers.get(REQUEST_HEADER, "")
    # The body's own id differs between repetitions of one event; the request's does not.
    event = hashlib.sha256(request.encode()).hexdigest()[:32]
    refs = References(gateway_id=number if kind == "preapproval" else "", object_kind=kind, object_id=number)
    name = action if "." in action else f"{topic}.{action}".rstrip(".")
    return (GatewayHint(dedupe_key=f"{topic}:{number}:{action}:{event}", refs=refs, name=name),)


def _payload(notice: _Notice) -> bytes:
    """Return what may be stored: nothing proves the body, so only what is known of it is kept, in bounds."""
    kept = {name: _plain(value) for name, value in msgspec.structs.asdict(notice).items() if name != "object"}
    return msgspec.json.encode({**kept, "data": {"id": _plain(notice.object.id)}})


def _plain(value: object) -> object:
    return re.sub(r"[^ -~]", "", value)[:100] if isinstance(value, str) else value
