"""What ``recado conformance`` examines: the gateway, and what Mercado Pago answers."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from core.plugin import Checkout, Money, References, Secret, WebhookDelivery
from core.plugin.testing import Answer, GatewaySubject, PaymentGatewayContract, Routes
from plugins.mercadopago.gateway import Account, MercadoPagoGateway
from plugins.mercadopago.webhook import REQUEST_HEADER, SIGNATURE_HEADER, manifest, sign

NUMBER = "2c938084726fca480172750000000000"
PAYMENT = 19951521071
REFERENCE = "recado-1a2b3c4d-17"
_TOKEN = "TEST-token-of-the-contract"  # noqa: S105 - of nobody
_EMPTY = b'{"paging": {"offset": 0, "limit": 50, "total": 0}, "results": []}'
_MISSING = Answer(404, b'{"message": "The resource was not found", "error": "not_found", "status": 404, "cause": []}')


def _body(status: str) -> bytes:
    """Make a subscription as the reference shows it."""
    return msgspec.json.encode(
        {
            "id": NUMBER,
            "version": 1,
            "payer_id": 123123123,
            "payer_email": "",
            "status": status,
            "reason": "Pro",
            "external_reference": REFERENCE,
            "date_created": "2029-12-01T11:12:25.892-04:00",
            "next_payment_date": "2030-01-01T12:12:25.000-04:00",
            "init_point": f"https://www.mercadopago.com.br/subscriptions/checkout?preapproval_id={NUMBER}",
            "auto_recurring": {
                "frequency": 1,
                "frequency_type": "months",
                "transaction_amount": 49.9,
                "currency_id": "BRL",
                "free_trial": None,
            },
        }
    )


_INSTALLMENTS = (
    b'{"paging": {"offset": 0, "limit": 50, "total": 1}, "results": [{"id": 6114264375, "type": "scheduled",'
    b' "date_created": "2029-12-01T12:12:25.892-04:00", "preapproval_id": "2c938084726fca480172750000000000",'
    b' "external_reference": "recado-1a2b3c4d-17", "currency_id": "BRL", "transaction_amount": "49.90",'
    b' "debit_date": "2029-12-01T12:12:25.892-04:00", "retry_attempt": 0, "status": "processed",'
    b' "payment": {"id": 19951521071, "status": "approved", "status_detail": "accredited"}}]}'
)
_PAYMENT = (
    b'{"id": 19951521071, "status": "approved", "status_detail": "accredited", "operation_type": "recurring_payment",'
    b' "transaction_amount": 49.9, "transaction_amount_refunded": 0, "currency_id": "BRL",'
    b' "external_reference": "recado-1a2b3c4d-17", "date_created": "2029-12-01T12:12:25.892-04:00",'
    b' "date_approved": "2029-12-01T12:12:26.101-04:00", "live_mode": false}'
)


class MercadoPagoContract(PaymentGatewayContract):
    """Mercado Pago keeps the contract of every payment gateway."""

    started: ClassVar[Routes] = {
        "GET /preapproval/search": Answer(200, _EMPTY),
        "POST /preapproval": Answer(201, _body("pending")),
    }
    subscription: ClassVar[Routes] = {
        "GET /preapproval/search": Answer(200, _EMPTY),
        f"GET /preapproval/{NUMBER}": Answer(200, _body("authorized")),
        "GET /authorized_payments/search": Answer(200, _INSTALLMENTS),
        "GET /v1/payments/search": Answer(200, _EMPTY),
        f"GET /v1/payments/{PAYMENT}": Answer(200, _PAYMENT),
    }
    unknown_subscription: ClassVar[Routes | None] = {f"GET /preapproval/{NUMBER}": _MISSING}
    event = (
        b'{"id": 12345, "live_mode": false, "type": "subscription_preapproval",'
        b' "date_created": "2029-12-01T11:12:25.892-04:00", "application_id": 7, "user_id": 823549964, "version": 1,'
        b' "api_version": "v1", "action": "updated", "data": {"id": "2c938084726fca480172750000000000"},'
        b' "entity": "preapproval"}'
    )
    unknown_event = b'{"id": 12346, "type": "topic_claims_integration_wh", "action": "updated", "data": {"id": "1"}}'
    signs_body = False

    def subject(self, url: str) -> GatewaySubject:
        """Make a gateway that waits half a second."""
        webhook_secret = Secret("webhook-secret-of-the-contract")
        account = Account(
            access_token=Secret(_TOKEN),
            webhook_secrets=(webhook_secret,),
            site="MLB",
            api_url=url,
            timeout_seconds=0.5,
        )
        checkout = Checkout(
            idempotency_key="",
            reference=REFERENCE,
            plan_id=1,
            plan_name="Pro",
            price=Money(Decimal("49.90"), "BRL"),
            interval="month",
            payer_email="payer@example.com",
            payer_name="Ana",
            customer_id="",
            success_url="https://recado.example/yes",
            cancel_url="https://recado.example/no",
        )
        return GatewaySubject(
            gateway=MercadoPagoGateway(account),
            checkout=checkout,
            refs=References(gateway_id=NUMBER),
            webhook_secret=webhook_secret,
            secrets=(_TOKEN,),
        )

    def delivery(self, body: bytes, secret: Secret) -> WebhookDelivery:
        """Sign as the service does: the id of the query, the request's id and the time in milliseconds."""
        number = _number_in(body)
        stamp = str(int(datetime.now(UTC).timestamp() * 1000))
        signature = sign(manifest(number, "request-1", stamp), secret)
        return WebhookDelivery(
            method="POST",
            query={"data.id": number, "type": "subscription_preapproval"} if number else {},
            headers={SIGNATURE_HEADER: f"ts={stamp},v1={signature}", REQUEST_HEADER: "request-1"},
            body=body,
            public_url="https://recado.example/api/webhooks/mercadopago",
        )


def _number_in(body: bytes) -> str:
    """Return ``data.id`` of a body, as the service writes it into the query too."""
    try:
        found: Any = msgspec.json.decode(body)["data"]["id"]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, KeyError, TypeError, IndexError):
        return ""
    return found if isinstance(found, str) else ""
