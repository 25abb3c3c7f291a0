"""What Mercado Pago's answers mean together: a subscription, what was due of it, and each attempt to collect that.

An authorized subscription is not a paid one: the first charge comes an hour and more after the payer agreed, and a
processed installment may be one that was given up (https://www.mercadopago.com.br/developers/en/docs/subscriptions/\
integration-configuration/subscription-no-associated-plan/authorized-payments, "Collection reattempt logic").
"""

import calendar
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from core.plugin import Money, PaymentFact, PaymentFailure, Snapshot, SubscriptionStatus
from plugins.mercadopago.answers import (
    Installment,
    InstallmentPayment,
    Payment,
    Preapproval,
    Recurring,
    moment,
    text_of,
)

PENDING, AUTHORIZED, PAUSED, CANCELLED, FINISHED = "pending", "authorized", "paused", "cancelled", "finished"
"""Statuses of a subscription; the last ends by ``end_date`` and is in no list of the SDK."""
RECYCLING = "recycling"
RECURRING_PAYMENT = "recurring_payment"
"""``operation_type`` of a subscription's charges; the one that proves a card and is given back has another."""

_PAID = frozenset({"approved", "refunded", "charged_back", "in_mediation"})
_FAILED = frozenset({"rejected", "cancelled"})
FAILURES: Mapping[str, PaymentFailure] = {
    "cc_rejected_insufficient_amount": "insufficient_funds",
    "cc_rejected_bad_filled_card_number": "incorrect_data",
    "cc_rejected_bad_filled_date": "incorrect_data",
    "cc_rejected_bad_filled_other": "incorrect_data",
    "cc_rejected_bad_filled_security_code": "incorrect_data",
    "cc_rejected_call_for_authorize": "authentication_required",
    "cc_rejected_card_disabled": "card_declined",
    "cc_rejected_high_risk": "card_declined",
    "cc_rejected_other_reason": "card_declined",
    "cc_rejected_card_error": "processing_error",
}
"""What ``status_detail`` of a refused payment means.

https://www.mercadopago.com.br/developers/en/reference/payments/_payments_id/get
"""
_DISPUTED = frozenset({"charged_back", "in_mediation"})
_WON = "reimbursed"
"""``status_detail`` of a chargeback that was decided for the seller."""
_RETRY_WINDOW = timedelta(days=15)
"""Attempts at one installment are spread over ten days."""
_SLACK = timedelta(days=2)
_ODD_DATE = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES = {
    PENDING: SubscriptionStatus.PENDING,
    PAUSED: SubscriptionStatus.PAUSED,
    CANCELLED: SubscriptionStatus.CANCELED,
    FINISHED: SubscriptionStatus.CANCELED,
}


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """All that the service says of one subscription; ``payments`` by id, those of earlier attempts too."""

    preapproval: Preapproval
    reference: str
    checkout_id: str
    installments: Sequence[Installment]
    payments: Mapping[str, Payment]


def read_snapshot(found: Collected) -> Snapshot:
    """Put the answers together."""
    preapproval = found.preapproval
    due = _due(found)
    ends = _ends(due, found)
    trial_until = _trial_until(found)
    paid_until = max(ends.values(), default=None)
    return Snapshot(
        gateway_id=preapproval.id,
        checkout_id=found.checkout_id,
        reference=found.reference,
        customer_id=text_of(preapproval.payer_id),
        status=_status(found, due, trial_until),
        raw_status=preapproval.status[:60],
        auto_renew=preapproval.status in {PENDING, AUTHORIZED},
        access_until=max((at for at in (paid_until, trial_until) if at is not None), default=None),
        payments=_facts(found, due, ends),
        price=_price(preapproval.auto_recurring.transaction_amount, preapproval.auto_recurring.currency_id),
        action_url=(preapproval.init_point or "") if preapproval.status == PENDING else "",
    )


def after(start: datetime, frequency: int, unit: str) -> datetime:
    """Return the moment ``frequency`` days or months later, at the month's last day where it is shorter."""
    if unit == "days":
        return start + timedelta(days=frequency)
    months = start.year * 12 + start.month - 1 + frequency
    year, month = divmod(months, 12)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)


def _due(found: Collected) -> list[Installment]:
    """Return the installments that were tried, in their order; one that only waits for its day says nothing yet.

    For subscriptions that payers authorized on the service's page the list of installments may stay empty whatever
    was charged. So a payment that none of them names and that paid is one too, and so is the last of all that did not.
    """
    tried = [one for one in found.installments if one.payment is not None and one.payment.id is not None]
    named = {text_of(one.payment.id) for one in tried if one.payment is not None}
    others = [payment for number, payment in found.payments.items() if number not in named]
    latest = max(found.payments.values(), key=_made_at, default=None)
    tried += [_installment_of(one) for one in others if one.status in _PAID or one is latest]
    return sorted(tried, key=lambda one: moment(one.debit_date) or _ODD_DATE)


def _made_at(payment: Payment) -> datetime:
    return moment(payment.date_created) or _ODD_DATE


def _installment_of(payment: Payment) -> Installment:
    """Make the installment that a payment was for."""
    return Installment(
        id=f"payment-{payment.id}",
        status=RECYCLING if payment.status in _FAILED else "",
        debit_date=payment.date_created,
        payment=InstallmentPayment(id=payment.id, status=payment.status, status_detail=payment.status_detail),
    )


def _payment_status(installment: Installment, found: Collected) -> str:
    payment = installment.payment
    if payment is None:
        return ""
    known = found.payments.get(text_of(payment.id))
    return known.status if known is not None else payment.status or ""


def _ends(due: Sequence[Installment], found: Collected) -> dict[str, datetime]:
    """Return by id of the installment until when each paid one pays for.

    Of an installment that was tried again ``debit_date`` is the last attempt's, while the next one keeps its day.
    """
    recurring = found.preapproval.auto_recurring
    following = moment(found.preapproval.next_payment_date)
    ends: dict[str, datetime] = {}
    for place, one in enumerate(due):
        start = moment(one.debit_date)
        if start is None or _payment_status(one, found) not in _PAID:
            continue
        end = after(start, recurring.frequency, recurring.frequency_type)
        is_last = place == len(due) - 1
        known = following if is_last else moment(due[place + 1].debit_date)
        if known is not None and start < known <= end + _SLACK:
            end = known
        ends[text_of(one.id)] = end
    return ends


def _trial_until(found: Collected) -> datetime | None:
    """Return the end of the time free of charge: the day of the first charge, or of the first attempt at it."""
    trial = found.preapproval.auto_recurring.free_trial
    if trial is None or trial.frequency < 1 or found.preapproval.status == PENDING:
        return None
    # Attempts that fail move the day of a charge, not that of their own payment.
    days = [moment(one.debit_date) for one in found.installments]
    days += [moment(payment.date_created) for payment in found.payments.values()]
    first = min((at for at in days if at is not None), default=None)
    return first or moment(found.preapproval.next_payment_date)


def _status(found: Collected, due: Sequence[Installment], trial_until: datetime | None) -> SubscriptionStatus:
    raw = found.preapproval.status
    if raw != AUTHORIZED:
        return _STATUSES.get(raw, SubscriptionStatus.UNKNOWN)
    settled = [one for one in due if _payment_status(one, found) in _PAID | _FAILED]
    if not settled:
        return SubscriptionStatus.PENDING if trial_until is None else SubscriptionStatus.TRIAL
    if _payment_status(settled[-1], found) in _PAID:
        return SubscriptionStatus.ACTIVE
    had_access = trial_until is not None or any(_payment_status(one, found) in _PAID for one in settled)
    if not had_access:
        return SubscriptionStatus.PENDING
    # After the last attempt an installment is "processed" although nothing was paid, and no attempt follows.
    return SubscriptionStatus.PAST_DUE if settled[-1].status == RECYCLING else SubscriptionStatus.SUSPENDED


def _facts(found: Collected, due: Sequence[Installment], ends: Mapping[str, datetime]) -> tuple[PaymentFact, ...]:
    """Return each attempt with an id of its own, in the order of time."""
    by_payment = {text_of(one.payment.id): one for one in due if one.payment is not None}
    paid_later = {number: payment for number, payment in found.payments.items() if number not in by_payment}
    facts: list[PaymentFact] = []
    for number, one in by_payment.items():
        facts += _fact_of_installment(number, one, found, ends)
    for payment in paid_later.values():
        facts += _fact_of_payment(payment, found)
    facts.sort(key=lambda fact: (fact.at, fact.transaction_id))
    return tuple(_numbered(facts))


def _fact_of_installment(
    number: str, one: Installment, found: Collected, ends: Mapping[str, datetime]
) -> list[PaymentFact]:
    payment = found.payments.get(number)
    if payment is None:
        # The payments API has not got it yet; the installment says how it went.
        status = _payment_status(one, found)
        detail = one.payment.status_detail if one.payment is not None else None
        payment = Payment(id=number, status=status, status_detail=detail, date_created=one.debit_date)
    if payment.transaction_amount is None:
        payment.transaction_amount, payment.currency_id = one.transaction_amount, one.currency_id
    facts = _fact_of_payment(payment, found)
    details = {"authorized_payment_id": text_of(one.id)} if one.preapproval_id else {}
    retry = moment(one.next_retry_date or one.debit_date) if one.status == RECYCLING else None
    return [
        msgspec.structs.replace(
            fact,
            attempt=max(1, (one.retry_attempt or 0) + 1),
            next_attempt_at=retry if fact.status == "failed" and retry is not None and retry > fact.at else None,
            period_until=ends.get(text_of(one.id)),
            details={**fact.details, **details},
        )
        for fact in facts
    ]


def _fact_of_payment(payment: Payment, found: Collected) -> list[PaymentFact]:
    price = _price(payment.transaction_amount, payment.currency_id or found.preapproval.auto_recurring.currency_id)
    at = moment(payment.date_approved) or moment(payment.date_created)
    if price is None or at is None or not price.amount:
        return []
    status: Literal["pending", "completed", "failed"] = "pending"
    if payment.status in _PAID:
        status = "completed"
    elif payment.status in _FAILED:
        status = "failed"
    refunded = payment.transaction_amount_refunded or Decimal(0)
    if payment.status == "refunded" and not refunded:
        refunded = price.amount
    return [
        PaymentFact(
            transaction_id=text_of(payment.id),
            status=status,
            price=price,
            at=at,
            failure_code=(payment.status_detail or "")[:100] if status == "failed" else "",
            failure=FAILURES.get(payment.status_detail or "", "other") if status == "failed" else "other",
            refunded=refunded,
            disputed=payment.status in _DISPUTED and payment.status_detail != _WON,
            details={"preapproval_id": found.preapproval.id},
        )
    ]


def _numbered(facts: Sequence[PaymentFact]) -> list[PaymentFact]:
    """Count the attempts at one installment: those that follow a failed one within the time of its repetitions."""
    numbered: list[PaymentFact] = []
    for fact in facts:
        before = numbered[-1] if numbered else None
        follows = before is not None and before.status == "failed" and fact.at - before.at <= _RETRY_WINDOW
        count = before.attempt + 1 if follows and before is not None else 1
        numbered.append(msgspec.structs.replace(fact, attempt=max(count, fact.attempt)))
    return numbered


def _price(amount: Decimal | None, currency: str | None) -> Money | None:
    try:
        return Money(amount, currency) if amount is not None and currency else None
    except ValueError:
        return None


def recurring_of(interval: Literal["month", "year"]) -> dict[str, object]:
    """Return how often a plan is charged, as requests say it."""
    return {"frequency": 12 if interval == "year" else 1, "frequency_type": "months"}


def is_interval(recurring: Recurring, interval: Literal["month", "year"]) -> bool:
    """Whether a subscription is charged so often."""
    wanted = recurring_of(interval)
    return {"frequency": recurring.frequency, "frequency_type": recurring.frequency_type} == wanted
