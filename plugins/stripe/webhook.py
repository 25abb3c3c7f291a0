"""Stripe's webhooks: prove them on their raw bytes, then take nothing from them but ids.

https://docs.stripe.com/webhooks/signature. The library's own check lets a time in the future pass, and decodes the
body before it compares.
"""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import stripe

from core.plugin import GatewayHint, GatewayVerdict, References, Secret, WebhookDelivery

SIGNATURE_HEADER = "stripe-signature"
EVENTS = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
    "invoice.finalization_failed",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "payment_intent.payment_failed",
    "payment_intent.succeeded",
    "refund.created",
    "refund.failed",
    "refund.updated",
)
"""Every event that is worth a fetch; ``invoice.payment_succeeded`` says nothing that ``invoice.paid`` does not."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
_KEPT = ("id", "object", "status", "customer", "subscription", "payment_intent", "charge", "invoice")
"""What of an event's object is stored: ids and a state, nothing of the payer or the card."""


class _Data(msgspec.Struct):
    object: dict[str, Any]


class _Event(msgspec.Struct):
    id: str
    type: str
    data: _Data
    object: str = "event"
    created: int = 0
    api_version: str | None = None
    livemode: bool | None = None


_decode = msgspec.json.Decoder(_Event).decode


def sign(body: bytes, secret: Secret, at: int) -> str:
    """Return the signature of ``body`` at a Unix time in seconds: HMAC-SHA256 in hexadecimal."""
    return hmac.new(secret.reveal().encode(), b"%d." % at + body, hashlib.sha256).hexdigest()


def receive(
    delivery: WebhookDelivery, secrets: Iterable[Secret], *, tolerance_seconds: int, live: bool | None
) -> GatewayVerdict:
    """Verify a delivery first; one that says nothing of a subscription is no hint."""
    if not _is_genuine(delivery, [one for one in secrets if one.reveal().strip()], tolerance_seconds):
        return GatewayVerdict(genuine=False, status=400)
    try:
        event = _decode(delivery.body)
    except _UNREADABLE:
        return GatewayVerdict(genuine=True)
    if event.object != "event" or not _ID.fullmatch(event.id) or not _ID.fullmatch(event.type.replace(".", "_")):
        # Thin events have no object of ours, and are not asked for.
        return GatewayVerdict(genuine=True)
    if live is not None and event.livemode is not None and event.livemode is not live:
        modes = ("live", "test") if event.livemode else ("test", "live")
        warning = f"Events of {modes[0]} mode arrive, but the secret key is of {modes[1]} mode."
        return GatewayVerdict(genuine=True, payload=_cleaned(event), warning=warning)
    refs = _references(event.data.object) if event.type in EVENTS else None
    hints = (GatewayHint(dedupe_key=event.id, refs=refs, name=event.type),) if refs else ()
    return GatewayVerdict(genuine=True, hints=hints, payload=_cleaned(event), warning=_outdated(event.api_version))


def _is_genuine(delivery: WebhookDelivery, secrets: Sequence[Secret], tolerance_seconds: int) -> bool:
    """Compare every ``v1`` with the signature under every secret: both sides have two while a secret is replaced."""
    pairs = [part.strip().partition("=") for part in delivery.headers.get(SIGNATURE_HEADER, "")[:4000].split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if not times or not re.fullmatch(r"[0-9]{1,12}", times[0]):
        return False
    at = int(times[0])
    given = [value.encode() for name, _, value in pairs if name == "v1"]
    expected = [sign(delivery.body, secret, at).encode() for secret in secrets]
    # A list, so that how long it takes does not tell which fits.
    found = [hmac.compare_digest(one, other) for one in given for other in expected]
    return any(found) and abs(time.time() - at) <= tolerance_seconds


def _references(thing: dict[str, Any]) -> References | None:
    """Return how to find the subscription; the same for the shapes of all API versions, since only ids are read."""
    kind, number = _text(thing, "object"), _text(thing, "id")
    customer = number if kind == "customer" else _text(thing, "customer")
    if not number:
        return None
    match kind:
        case "subscription":
            return References(gateway_id=number, customer_id=customer)
        case "checkout.session":
            return References(gateway_id=_text(thing, "subscription"), checkout_id=number, customer_id=customer)
        case "customer":
            return References(customer_id=customer, object_kind=kind, object_id=number)
        case "invoice" | "charge" | "payment_intent" | "dispute" | "refund":
            return References(customer_id=customer, object_kind=kind, object_id=number)
    return None


def _text(thing: dict[str, Any], name: str) -> str:
    """Return an id, of a thing itself where it stands in the place of its id."""
    value = thing.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    pattern = r"[a-z_]+(\.[a-z_]+)?" if name == "object" else _ID.pattern
    return value if isinstance(value, str) and re.fullmatch(pattern, value[:256]) else ""


def _cleaned(event: _Event) -> bytes:
    thing = {name: text for name in _KEPT if (text := _text(event.data.object, name))}
    return msgspec.json.encode(
        {
            "id": event.id,
            "type": event.type,
            "created": event.created,
            "api_version": (event.api_version or "")[:40],
            "livemode": event.livemode,
            "data": {"object": thing},
        }
    )


def _outdated(version: str | None) -> str:
    if version == stripe.api_version:
        return ""
    shown = version if version and re.fullmatch(r"[0-9a-z.-]{1,40}", version) else "unknown"
    return (
        f"Webhooks have API version {shown} instead of {stripe.api_version}: register the address again. Until then"
        " they are used all the same."
    )
