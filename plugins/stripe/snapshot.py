"""What Stripe knows of one subscription, in the words of gateways: pure functions over what was read."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from core.plugin import Money, PaymentFact, PaymentFailure, Snapshot, SubscriptionStatus
from plugins.stripe.amounts import money
from plugins.stripe.checkout import REFERENCE
from plugins.stripe.objects import Charge, Invoice, Item, Session, Subscription, id_of

STATUSES: Mapping[str, SubscriptionStatus] = {
    "incomplete": SubscriptionStatus.PENDING,
    "incomplete_expired": SubscriptionStatus.CANCELED,
    "trialing": SubscriptionStatus.TRIAL,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "unpaid": SubscriptionStatus.SUSPENDED,
    "paused": SubscriptionStatus.PAUSED,
    "canceled": SubscriptionStatus.CANCELED,
}
"""Stripe's own words (https://docs.stripe.com/api/subscriptions/object#subscription_object-status)."""
_CHARGES: Mapping[str, Literal["pending", "completed", "failed"]] = {
    "succeeded": "completed",
    "pending": "pending",
    "failed": "failed",
}
FAILURES: Mapping[str, PaymentFailure] = {
    "card_declined": "card_declined",
    "insufficient_funds": "insufficient_funds",
    "expired_card": "expired_card",
    "incorrect_cvc": "incorrect_data",
    "incorrect_number": "incorrect_data",
    "invalid_cvc": "incorrect_data",
    "authentication_required": "authentication_required",
    "processing_error": "processing_error",
}
"""What codes of a failed charge mean (https://docs.stripe.com/error-codes)."""
_SESSIONS = {
    "open": SubscriptionStatus.PENDING,
    "complete": SubscriptionStatus.PENDING,
    "expired": SubscriptionStatus.CANCELED,
}
WON = frozenset({"won", "warning_closed", "prevented"})
"""States of a dispute in which the money stays here."""


def of_session(session: Session) -> Snapshot | None:
    """Describe a checkout that has no subscription yet; ``None`` where it is none of ours."""
    reference = session.client_reference_id or (session.metadata or {}).get(REFERENCE, "")
    if REFERENCE not in (session.metadata or {}):
        return None
    raw = session.status or ""
    return Snapshot(
        gateway_id="",
        checkout_id=session.id,
        reference=reference,
        customer_id=id_of(session.customer),
        status=_SESSIONS.get(raw, SubscriptionStatus.UNKNOWN),
        raw_status=raw,
        auto_renew=False,
        access_until=None,
        payments=(),
        action_url=(session.url or "") if raw == "open" else "",
    )


def of_subscription(
    found: Subscription,
    invoices: Sequence[Invoice],
    charges: Sequence[Charge],
    disputed: Collection[str],
    checkout_id: str,
) -> Snapshot:
    """Describe a subscription; ``disputed`` are the charges that the payer's bank wants back, or took back."""
    latest = next((one for one in invoices if one.id == found.latest_invoice_id), None)
    item = _sold(found)
    unsettled = latest if latest and latest.status == "open" else None
    return Snapshot(
        gateway_id=found.id,
        checkout_id=checkout_id,
        reference=found.metadata.get(REFERENCE, ""),
        customer_id=id_of(found.customer),
        status=STATUSES.get(found.status, SubscriptionStatus.UNKNOWN),
        raw_status=found.status,
        auto_renew=renews(found),
        access_until=_access_until(found, invoices, latest),
        payments=tuple(sorted(_payments(invoices, charges, disputed), key=lambda one: one.at)),
        price=_price(item),
        plan_reference=item.price.id if item else "",
        action_url=(unsettled.hosted_invoice_url or "") if unsettled and not found.is_over else "",
    )


def renews(found: Subscription) -> bool:
    """Whether it goes on after its period: a cancellation in the portal sets only ``cancel_at``, ours only the flag."""
    return not (found.is_over or found.cancel_at_period_end or found.cancel_at is not None)


def _sold(found: Subscription) -> Item | None:
    return found.items.data[0] if found.items.data else None


def _price(item: Item | None) -> Money | None:
    if item is None or item.price.unit_amount is None:
        return None
    return money(item.price.unit_amount * (item.quantity or 1), item.price.currency)


def _access_until(found: Subscription, invoices: Sequence[Invoice], latest: Invoice | None) -> datetime | None:
    """Return the latest end of a period that is paid for or free.

    A renewal moves the period on before it is paid, so the period counts only once its invoice is paid.
    """
    paid = [one for one in invoices if one.status == "paid"]
    ends = [line.period.end for one in paid if one.total > 0 for line in one.lines.data if line.is_period]
    free = [line.period.end for one in paid if one.total <= 0 for line in one.lines.data if line.is_period]
    if found.trial_end:
        free.append(found.trial_end)
    # What costs nothing ends with the subscription; what is paid for stays.
    ends += [min(end, found.ended_at or end) for end in free]
    if found.status == "active" and latest and latest.status == "paid":
        ends += [item.current_period_end for item in found.items.data]
    return _moment(max(ends)) if ends else None


def _payments(invoices: Sequence[Invoice], charges: Sequence[Charge], disputed: Collection[str]) -> list[PaymentFact]:
    facts: list[PaymentFact] = []
    # Stripe lists the newest first, and two may have the same second.
    for invoice in reversed(invoices):
        intents = {id_of(one.payment.payment_intent) for one in invoice.payments.data} - {""}
        own = [one for one in reversed(charges) if id_of(one.payment_intent) in intents]
        own.sort(key=lambda one: one.created)
        facts += [
            _of_charge(charge, invoice, number, is_last=number == len(own), disputed=charge.id in disputed)
            for number, charge in enumerate(own, 1)
            if charge.amount > 0
        ]
        if invoice.status == "paid" and invoice.amount_paid > 0 and all(one.status == "failed" for one in own):
            facts.append(_out_of_band(invoice, len(own) + 1))
    return facts


def _of_charge(charge: Charge, invoice: Invoice, attempt: int, *, is_last: bool, disputed: bool) -> PaymentFact:
    status = _CHARGES.get(charge.status, "pending")
    waits = is_last and status == "failed" and invoice.status == "open"
    next_attempt = invoice.next_payment_attempt if waits else None
    return PaymentFact(
        transaction_id=charge.id,
        status=status,
        price=money(charge.amount, charge.currency),
        at=_moment(charge.created),
        failure_code=charge.failure_code or "",
        failure=FAILURES.get(charge.failure_code or "", "other"),
        refunded=money(charge.amount_refunded, charge.currency).amount,
        disputed=disputed,
        attempt=attempt,
        next_attempt_at=_moment(next_attempt) if next_attempt else None,
        action_url=(invoice.hosted_invoice_url or "") if waits else "",
        receipt_url=charge.receipt_url or "",
        period_until=_period_until(invoice),
        details={"invoice": invoice.id, "payment_intent": id_of(charge.payment_intent)},
    )


def _out_of_band(invoice: Invoice, attempt: int) -> PaymentFact:
    """Describe an invoice that was settled outside of Stripe, by transfer for example: it has no charge."""
    return PaymentFact(
        transaction_id=invoice.id,
        status="completed",
        price=money(invoice.amount_paid, invoice.currency),
        at=_moment(invoice.status_transitions.paid_at or invoice.created),
        attempt=attempt,
        receipt_url=invoice.hosted_invoice_url or "",
        period_until=_period_until(invoice),
        details={"invoice": invoice.id},
    )


def _period_until(invoice: Invoice) -> datetime | None:
    periods = [one.period.end for one in invoice.lines.data if one.is_period]
    ends = periods or [one.period.end for one in invoice.lines.data]
    return _moment(max(ends)) if ends else None


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
