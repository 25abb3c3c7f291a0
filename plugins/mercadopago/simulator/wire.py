"""Bodies as Mercado Pago writes and refuses them."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
from litestar import Request, Response

from plugins.mercadopago.simulator.state import (
    PAYER_ID,
    InstallmentRow,
    PaymentRow,
    PlanRow,
    RefundRow,
    State,
    SubscriptionRow,
    Terms,
)

AnyRequest = Request[Any, Any, Any]
_ZONE = timezone(timedelta(hours=-4))
_COLLECTOR = 823_549_964
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Refused(Exception):  # noqa: N818 - carries an answer, is no error of the simulator
    """Ends a request with the service's error body."""

    def __init__(self, status: int, message: str, *, error: str = "bad_request", cause: int | None = None) -> None:
        super().__init__(status)
        causes = [] if cause is None else [{"code": cause, "description": message, "data": None}]
        self.status = status
        self.body = {"message": message, "error": error, "status": status, "cause": causes}


def reply(value: object, status: int = 200) -> Response[bytes]:
    """Encode an answer; amounts stay exact."""
    return Response(_encode(value), status_code=status, media_type="application/json")


def refuse(_: AnyRequest, refusal: Refused) -> Response[bytes]:
    """Answer a refusal."""
    return reply(refusal.body, refusal.status)


async def fields(request: AnyRequest) -> dict[str, Any]:
    """Return the body's fields, numbers exact; raises ``Refused`` where it is no object."""
    try:
        found = _decode(await request.body() or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "Malformed JSON") from None
    if not isinstance(found, dict):
        raise Refused(400, "The body must be an object")
    return found


def page(request: AnyRequest, rows: list[dict[str, object]], filters: frozenset[str]) -> Response[bytes]:
    """Answer a search: the rows that fit the query, in parts."""
    query = dict(request.query_params.items())
    if unknown := query.keys() - filters - {"limit", "offset", "sort", "criteria"}:
        raise Refused(400, f"Invalid search parameter: {min(unknown)}")
    for name in query.keys() & filters:
        rows = [row for row in rows if str(row.get(name)) == query[name]]
    if query.get("criteria") == "desc":
        rows = rows[::-1]
    try:
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 10))
    except ValueError:
        raise Refused(400, "offset and limit must be numbers") from None
    paging = {"offset": offset, "limit": limit, "total": len(rows)}
    return reply({"paging": paging, "results": rows[offset : offset + limit]})


def written(at: datetime | None) -> str | None:
    """Return a date as the service writes it: milliseconds, and the offset of its own place."""
    return None if at is None else at.astimezone(_ZONE).isoformat(timespec="milliseconds")


def amount(value: Decimal, state: State) -> Decimal | str:
    """Return an amount as a number without trailing zeros, or as a text with two decimals."""
    if state.options.amounts == "text":
        return f"{value:.2f}"
    return Decimal(int(value)) if value == int(value) else value.normalize()


def _terms(terms: Terms, state: State) -> dict[str, object]:
    trial = {"frequency": terms.trial_days, "frequency_type": "days"} if terms.trial_days else None
    return {
        "frequency": terms.frequency,
        "frequency_type": terms.frequency_type,
        "transaction_amount": amount(terms.transaction_amount, state),
        "currency_id": terms.currency_id,
        "end_date": written(terms.end_date),
        "free_trial": trial,
    }


def _link(base: str, name: str, number: str, state: State) -> str:
    activation = "&activation=true" if state.options.activation else ""
    return f"{base.rstrip('/')}/subscriptions/checkout?{name}={number}{activation}"


def plan_body(plan: PlanRow, base: str, state: State) -> dict[str, object]:
    """Write a plan."""
    return {
        "id": plan.id,
        "status": "active",
        "reason": plan.reason,
        "back_url": plan.back_url,
        "collector_id": _COLLECTOR,
        "application_id": 6_245_132_082_630_004,
        "init_point": _link(base, "preapproval_plan_id", plan.id, state),
        "date_created": written(plan.created),
        "last_modified": written(plan.created),
        "auto_recurring": _terms(plan.terms, state),
    }


def subscription_body(one: SubscriptionRow, base: str, state: State) -> dict[str, object]:
    """Write a subscription."""
    charged = [state.payments[row.payment] for row in state.installments_of(one.id) if row.payment is not None]
    paid = [payment for payment in charged if payment.approved is not None]
    return {
        "id": one.id,
        "version": one.version,
        "payer_id": PAYER_ID if one.holder else None,
        "payer_email": "",
        "back_url": one.back_url,
        "collector_id": _COLLECTOR,
        "application_id": 6_245_132_082_630_004,
        "status": one.status,
        "reason": one.reason,
        "external_reference": one.reference,
        "date_created": written(one.created),
        "last_modified": written(one.modified),
        "init_point": _link(base, "preapproval_id", one.id, state),
        "preapproval_plan_id": one.plan_id,
        "auto_recurring": _terms(one.terms, state),
        "summarized": {
            "quotas": None,
            "charged_quantity": len(paid) or None,
            "charged_amount": amount(sum((payment.amount for payment in paid), Decimal(0)), state) if paid else None,
            "last_charged_date": written(paid[-1].approved) if paid else None,
            "last_charged_amount": amount(paid[-1].amount, state) if paid else None,
            "semaphore": None,
        },
        "next_payment_date": written(one.next_payment),
        "payment_method_id": "master" if one.holder else None,
        "card_id": "9008789976" if one.holder else None,
        "first_invoice_offset": None,
    }


def installment_body(one: InstallmentRow, state: State) -> dict[str, object]:
    """Write an authorized payment; the payment of its last attempt alone is in it."""
    subscription = state.subscriptions[one.subscription]
    payment = state.payments[one.payment] if one.payment is not None else None
    shown = {"id": payment.id, "status": payment.status, "status_detail": payment.detail} if payment else None
    return {
        "id": one.id,
        "type": "scheduled",
        "date_created": written(one.created),
        "last_modified": written(one.modified),
        "preapproval_id": one.subscription,
        "reason": subscription.reason,
        "external_reference": subscription.reference,
        "currency_id": subscription.terms.currency_id,
        "transaction_amount": amount(one.amount, state),
        "debit_date": written(one.debit),
        "next_retry_date": written(one.debit) if one.status == "recycling" else None,
        "retry_attempt": one.retries,
        "status": one.status,
        "summarized": "pending" if one.status in {"scheduled", "recycling"} else "done",
        "payment": shown,
    }


def refund_body(refund: RefundRow, state: State) -> dict[str, object]:
    """Write a refund."""
    return {
        "id": refund.id,
        "payment_id": refund.payment,
        "amount": amount(refund.amount, state),
        "status": "approved",
        "date_created": written(refund.created),
    }


def payment_body(payment: PaymentRow, state: State) -> dict[str, object]:
    """Write a payment; what proves a card names no subscription."""
    is_charge = payment.operation == "recurring_payment"
    return {
        "id": payment.id,
        "status": payment.status,
        "status_detail": payment.detail,
        "operation_type": payment.operation,
        "transaction_amount": amount(payment.amount, state),
        "transaction_amount_refunded": amount(payment.refunded, state),
        "currency_id": payment.currency,
        "external_reference": payment.reference,
        "date_created": written(payment.created),
        "date_approved": written(payment.approved),
        "payer": {"id": PAYER_ID, "type": "customer"},
        "metadata": {},
        "point_of_interaction": {
            "type": "SUBSCRIPTIONS" if is_charge else "UNSPECIFIED",
            "transaction_data": {"subscription_id": payment.subscription} if is_charge else {},
        },
        "refunds": [refund_body(refund, state) for refund in payment.refunds],
        "live_mode": False,
    }
