"""What `recado conformance` examines: the gateway, and what Stripe answers."""

import time
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from core.plugin import Checkout, Money, References, Secret, WebhookDelivery
from core.plugin.testing import Answer, GatewaySubject, PaymentGatewayContract, Routes
from plugins.stripe.checkout import REFERENCE
from plugins.stripe.connection import Connection
from plugins.stripe.gateway import StripeGateway
from plugins.stripe.webhook import SIGNATURE_HEADER, sign

_BEGUN, _ENDS = 1_900_000_000, 1_902_592_000
_PRICE = {"id": "price_1", "object": "price", "currency": "brl", "unit_amount": 4990}
SUBSCRIPTION = {
    "id": "sub_1",
    "object": "subscription",
    "status": "active",
    "customer": "cus_1",
    "created": _BEGUN,
    "livemode": False,
    "latest_invoice": "in_1",
    "metadata": {REFERENCE: "recado-7"},
    "items": {
        "object": "list",
        "data": [
            {"id": "si_1", "price": _PRICE, "current_period_start": _BEGUN, "current_period_end": _ENDS, "quantity": 1}
        ],
    },
}
_LINE = {
    "amount": 4990,
    "period": {"start": _BEGUN, "end": _ENDS},
    "parent": {"subscription_item_details": {"proration": False}},
}
INVOICE = {
    "id": "in_1",
    "object": "invoice",
    "status": "paid",
    "created": _BEGUN,
    "currency": "brl",
    "amount_due": 4990,
    "amount_paid": 4990,
    "total": 4990,
    "lines": {"object": "list", "data": [_LINE]},
    "payments": {"object": "list", "data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_1"}}]},
}
_CHARGE = {
    "id": "ch_1",
    "object": "charge",
    "status": "succeeded",
    "amount": 4990,
    "currency": "brl",
    "created": _BEGUN,
    "payment_intent": "pi_1",
}
_SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "status": "open",
    "url": "https://checkout.stripe.com/c/pay/cs_test_1",
    "expires_at": _ENDS,
}


def _answer(body: object, status: int = 200) -> Answer:
    return Answer(status, msgspec.json.encode(body))


def _list(*data: Any) -> Answer:
    return _answer({"object": "list", "data": data, "has_more": False, "url": "/v1"})


class StripeContract(PaymentGatewayContract):
    """Stripe keeps the contract of every payment gateway."""

    started: ClassVar[Routes] = {
        "POST /v1/customers": _answer({"id": "cus_1", "object": "customer"}),
        "POST /v1/checkout/sessions": _answer(_SESSION),
    }
    subscription: ClassVar[Routes] = {
        "GET /v1/subscriptions/sub_1": _answer(SUBSCRIPTION),
        "GET /v1/invoices": _list(INVOICE),
        "GET /v1/charges": _list(_CHARGE),
    }
    unknown_subscription: ClassVar[Routes] = {
        "GET /v1/subscriptions/": _answer(
            {"error": {"type": "invalid_request_error", "code": "resource_missing", "param": "id"}}, 404
        )
    }
    declined = _answer({"error": {"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"}}, 402)
    event = (
        b'{"id": "evt_1", "object": "event", "api_version": "2026-10-28.endive", "livemode": false, "type":'
        b' "customer.subscription.updated", "data": {"object": {"id": "sub_1", "object": "subscription"}}}'
    )
    unknown_event = (
        b'{"id": "evt_2", "object": "event", "api_version": "2026-10-28.endive", "livemode": false, "type":'
        b' "person.created", "data": {"object": {"id": "person_1", "object": "person"}}}'
    )

    def subject(self, url: str) -> GatewaySubject:
        """Make a gateway that waits half a second, and leaves repeating to its caller."""
        key, webhook_secret = "sk_test_of_the_contract", Secret("whsec_of_the_contract")
        checkout = Checkout(
            idempotency_key="",
            reference="recado-7",
            plan_id=1,
            plan_name="Pro",
            plan_reference="price_2",
            price=Money(Decimal("49.90"), "BRL"),
            interval="month",
            payer_email="ana@example.com",
            payer_name="Ana",
            customer_id="",
            success_url="https://recado.example/yes",
            cancel_url="https://recado.example/no",
        )
        return GatewaySubject(
            gateway=StripeGateway(
                Connection(Secret(key), url=url, timeout_seconds=0.5, retries=0), webhook_secrets=(webhook_secret,)
            ),
            checkout=checkout,
            refs=References(gateway_id="sub_1"),
            webhook_secret=webhook_secret,
            secrets=(key,),
        )

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        """Sign as Stripe does."""
        at = int(time.time())
        return WebhookDelivery(
            method="POST",
            query={},
            headers={SIGNATURE_HEADER: f"t={at},v1={sign(body, secret, at)}"},
            body=body,
            public_url="https://recado.example/api/webhooks/stripe",
        )
