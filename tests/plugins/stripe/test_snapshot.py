"""From Stripe's objects to a snapshot."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from core.plugin import SubscriptionStatus
from plugins.stripe.checkout import REFERENCE
from plugins.stripe.conformance import INVOICE, SUBSCRIPTION
from plugins.stripe.objects import Charge, Invoice, Session, Subscription
from plugins.stripe.snapshot import of_session, of_subscription

BEGUN, ENDS = 1_900_000_000, 1_902_592_000


def subscription(**changes: Any) -> Subscription:
    return msgspec.convert(SUBSCRIPTION | changes, Subscription)


def invoice(**changes: Any) -> Invoice:
    return msgspec.convert(INVOICE | changes, Invoice)


def charge(**changes: Any) -> Charge:
    made = {"id": "ch_1", "amount": 4990, "currency": "brl", "created": BEGUN, "status": "succeeded"}
    return msgspec.convert(made | {"payment_intent": "pi_1"} | changes, Charge)


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("incomplete", SubscriptionStatus.PENDING),
        ("incomplete_expired", SubscriptionStatus.CANCELED),
        ("trialing", SubscriptionStatus.TRIAL),
        ("active", SubscriptionStatus.ACTIVE),
        ("past_due", SubscriptionStatus.PAST_DUE),
        ("unpaid", SubscriptionStatus.SUSPENDED),
        ("paused", SubscriptionStatus.PAUSED),
        ("canceled", SubscriptionStatus.CANCELED),
        ("something_new", SubscriptionStatus.UNKNOWN),
    ],
)
def test_states(raw: str, status: SubscriptionStatus) -> None:
    found = of_subscription(subscription(status=raw), [], [], set(), "")

    assert (found.status, found.raw_status, found.access_until) == (status, raw, None)


@pytest.mark.parametrize(
    ("changes", "renews"),
    [
        ({}, True),
        ({"cancel_at_period_end": True}, False),
        ({"cancel_at": ENDS}, False),
        ({"status": "canceled"}, False),
        ({"status": "past_due"}, True),
    ],
)
def test_whether_it_renews(changes: dict[str, Any], *, renews: bool) -> None:
    assert of_subscription(subscription(**changes), [], [], set(), "").auto_renew is renews


@pytest.mark.parametrize("status", ["open", "draft", "void", "uncollectible", "something_new"])
def test_a_period_that_is_not_paid_does_not_count(status: str) -> None:
    found = of_subscription(subscription(), [invoice(status=status)], [], set(), "")

    assert found.access_until is None


def test_a_paid_period_counts() -> None:
    assert of_subscription(subscription(), [invoice()], [], set(), "").access_until == moment(ENDS)


def test_an_unpaid_renewal_leaves_the_period_before() -> None:
    renewal = invoice(id="in_2", status="open", amount_paid=0, created=ENDS)
    found = of_subscription(subscription(status="past_due", latest_invoice="in_2"), [renewal, invoice()], [], set(), "")

    assert found.access_until == moment(ENDS)


def test_a_trial_counts_until_the_subscription_ends() -> None:
    trial = subscription(status="trialing", trial_end=ENDS)
    over = subscription(status="canceled", trial_end=ENDS, ended_at=BEGUN + 60)

    assert of_subscription(trial, [], [], set(), "").access_until == moment(ENDS)
    assert of_subscription(over, [], [], set(), "").access_until == moment(BEGUN + 60)


def test_attempts_are_counted_and_the_last_one_waits_for_the_next() -> None:
    open_one = invoice(
        status="open", amount_paid=0, next_payment_attempt=ENDS, hosted_invoice_url="https://invoice.stripe.com/i/1"
    )
    failed = charge(status="failed", failure_code="card_declined")
    again = charge(id="ch_2", status="failed", created=BEGUN + 60, failure_code="expired_card")

    first, last = of_subscription(subscription(), [open_one], [again, failed], set(), "").payments

    assert (first.transaction_id, first.attempt, first.next_attempt_at, first.action_url) == ("ch_1", 1, None, "")
    assert (last.transaction_id, last.attempt, last.failure_code) == ("ch_2", 2, "expired_card")
    assert (first.failure, last.failure) == ("card_declined", "expired_card")
    assert (last.next_attempt_at, last.action_url) == (moment(ENDS), "https://invoice.stripe.com/i/1")


def test_a_charge_of_something_else_is_no_payment() -> None:
    assert (
        of_subscription(subscription(), [invoice(amount_paid=0)], [charge(payment_intent="pi_9")], set(), "").payments
        == ()
    )


def test_an_unknown_state_of_a_charge_is_pending() -> None:
    (payment,) = of_subscription(subscription(), [invoice()], [charge(status="something_new")], set(), "").payments

    assert payment.status == "pending"


def test_an_expanded_reference_is_read_like_an_id() -> None:
    expanded = invoice(
        payments={"data": [{"payment": {"type": "payment_intent", "payment_intent": {"id": "pi_1", "amount": 1}}}]}
    )

    assert len(of_subscription(subscription(), [expanded], [charge()], set(), "").payments) == 1


def test_krona_and_yen() -> None:
    for currency, number, shown in (
        ("isk", 50_000, "500"),
        ("jpy", 500, "500"),
        ("clp", 500, "500"),
        ("brl", 500, "5"),
    ):
        money = charge(currency=currency, amount=number, amount_refunded=number)
        (payment,) = of_subscription(subscription(), [invoice()], [money], set(), "").payments
        assert f"{payment.price.amount.normalize():f}" == shown
        assert payment.refunded == payment.price.amount


def test_a_checkout_of_somebody_else_is_none() -> None:
    session = Session(id="cs_1", expires_at=ENDS, status="open", client_reference_id="theirs")

    assert of_session(session) is None


def test_an_unknown_state_of_a_checkout() -> None:
    session = Session(id="cs_1", expires_at=ENDS, status="new", client_reference_id="r", metadata={REFERENCE: "r"})
    found = of_session(session)

    assert found is not None
    assert found.status is SubscriptionStatus.UNKNOWN
