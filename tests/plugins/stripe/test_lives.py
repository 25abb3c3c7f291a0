"""Whole lives of subscriptions, on a simulated Stripe over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.plugin import Money, References, SubscriptionStatus
from tests.plugins.stripe.conftest import (
    ASKS_ALWAYS,
    DECLINED,
    FAILS_LATER,
    GOOD,
    Stripe,
    in_days,
    key,
)


def near(moment: datetime | None, days: float) -> bool:
    """Whether a moment is so many days away, a day more or less: months differ."""
    return moment is not None and abs((moment - in_days(days)).total_seconds()) < 1.6 * 24 * 60 * 60


async def test_a_checkout_before_it_is_paid(stripe: Stripe) -> None:
    step = await stripe.start(reference="recado-7")

    found = await stripe.fetch(References(checkout_id=step.gateway_id))

    assert (found.gateway_id, found.reference, found.status) == ("", "recado-7", SubscriptionStatus.PENDING)
    assert (found.access_until, found.payments, found.action_url) == (None, (), step.url)
    assert step.expires_at is not None
    assert near(step.expires_at, 1)


async def test_the_first_month(stripe: Stripe) -> None:
    found = await stripe.subscribe(reference="recado-8")

    assert found.gateway_id.startswith("sub_")
    assert (found.reference, found.status, found.auto_renew) == ("recado-8", SubscriptionStatus.ACTIVE, True)
    assert near(found.access_until, 30.5)
    (payment,) = found.payments
    assert (payment.status, payment.price.amount, payment.attempt) == ("completed", Decimal("49.90"), 1)
    assert payment.transaction_id.startswith("ch_")
    assert payment.period_until == found.access_until
    assert payment.receipt_url.startswith("https://")
    assert found.price == payment.price


async def test_a_renewal_counts_once_it_is_paid(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    assert first.access_until is not None
    await stripe.order("clock", to=int(first.access_until.timestamp()) + 60)

    drafted = await stripe.fetch(first)
    await stripe.order("clock", seconds=2 * 60 * 60)
    renewed = await stripe.fetch(first)

    assert (drafted.status, drafted.access_until) == (SubscriptionStatus.ACTIVE, first.access_until)
    assert near(renewed.access_until, 61)
    assert [one.status for one in renewed.payments] == ["completed", "completed"]


async def test_a_failed_renewal_and_its_recovery(stripe: Stripe) -> None:
    first = await stripe.subscribe(FAILS_LATER)
    await stripe.forward(32)

    failed = await stripe.fetch(first)

    assert (failed.status, failed.access_until) == (SubscriptionStatus.PAST_DUE, first.access_until)
    attempts = [one for one in failed.payments if one.status == "failed"]
    assert [one.attempt for one in attempts] == [1, 2][: len(attempts)]
    assert attempts[-1].failure_code == "card_declined"
    assert attempts[-1].next_attempt_at is not None
    assert attempts[-1].action_url == failed.action_url
    assert failed.action_url.startswith(stripe.url)

    await stripe.order(f"card/{failed.customer_id}", card=GOOD)
    await stripe.forward(4)
    recovered = await stripe.fetch(first)

    assert (recovered.status, recovered.action_url) == (SubscriptionStatus.ACTIVE, "")
    assert near(recovered.access_until, 61)
    assert recovered.payments[-1].status == "completed"
    assert recovered.payments[-1].attempt == len(attempts) + 1


async def test_the_last_attempt_suspends_and_paying_brings_it_back(stripe: Stripe) -> None:
    first = await stripe.subscribe(FAILS_LATER)
    await stripe.forward(45)

    suspended = await stripe.fetch(first)

    assert (suspended.status, suspended.raw_status) == (SubscriptionStatus.SUSPENDED, "unpaid")
    assert [one.attempt for one in suspended.payments if one.status == "failed"] == [1, 2, 3, 4, 5]
    assert suspended.payments[-1].next_attempt_at is None
    number = suspended.payments[-1].details["invoice"]
    await stripe.order(f"pay/{number}", card=GOOD)
    assert (await stripe.fetch(first)).status is SubscriptionStatus.ACTIVE


async def test_the_last_attempt_may_end_it(begin: Callable[..., Awaitable[Stripe]]) -> None:
    stripe = await begin(after_retries="canceled", retry_days="1")
    first = await stripe.subscribe(FAILS_LATER)
    await stripe.forward(40)

    ended = await stripe.fetch(first)

    assert (ended.status, ended.auto_renew) == (SubscriptionStatus.CANCELED, False)
    assert ended.access_until == first.access_until


async def test_a_renewal_that_the_bank_asks_about(stripe: Stripe) -> None:
    first = await stripe.subscribe(ASKS_ALWAYS)
    await stripe.forward(32)

    asked = await stripe.fetch(first)

    assert asked.status is SubscriptionStatus.PAST_DUE
    assert [one.status for one in asked.payments] == ["completed"]
    invoice = asked.action_url.rpartition("/")[2]
    assert (await stripe.order(f"pay/{invoice}", card=ASKS_ALWAYS))["outcome"] == "action"
    assert (await stripe.order(f"pay/{invoice}", card=ASKS_ALWAYS, confirm=True))["outcome"] == "succeeded"
    assert (await stripe.fetch(first)).status is SubscriptionStatus.ACTIVE


async def test_a_declined_first_card_begins_nothing(stripe: Stripe) -> None:
    step = await stripe.start(reference="recado-9")
    outcome = await stripe.order(f"pay/{step.gateway_id}", card=DECLINED)

    found = await stripe.fetch(References(checkout_id=step.gateway_id))

    assert outcome == {"outcome": "declined"}
    assert (found.status, found.gateway_id, found.access_until) == (SubscriptionStatus.PENDING, "", None)
    assert await stripe.order(f"pay/{step.gateway_id}") == {"outcome": "succeeded"}
    assert (await stripe.fetch(References(checkout_id=step.gateway_id))).status is SubscriptionStatus.ACTIVE


async def test_an_abandoned_checkout_expires(stripe: Stripe) -> None:
    step = await stripe.start()
    await stripe.forward(1.1)

    found = await stripe.fetch(References(checkout_id=step.gateway_id))

    assert (found.status, found.raw_status) == (SubscriptionStatus.CANCELED, "expired")


async def test_a_checkout_is_closed_on_request(stripe: Stripe) -> None:
    step = await stripe.start()
    refs = References(checkout_id=step.gateway_id)

    await stripe.gateway.expire(refs, idempotency_key=key())
    await stripe.gateway.expire(refs, idempotency_key=key())

    assert (await stripe.fetch(refs)).status is SubscriptionStatus.CANCELED


async def test_closing_a_checkout_that_is_paid_is_no_error(stripe: Stripe) -> None:
    step = await stripe.start()
    await stripe.order(f"pay/{step.gateway_id}")

    await stripe.gateway.expire(References(checkout_id=step.gateway_id), idempotency_key=key())

    assert (await stripe.fetch(References(checkout_id=step.gateway_id))).status is SubscriptionStatus.ACTIVE


async def test_a_trial_costs_nothing_and_then_renews(stripe: Stripe) -> None:
    trial = await stripe.subscribe(trial_days=14)

    assert (trial.status, trial.payments) == (SubscriptionStatus.TRIAL, ())
    assert near(trial.access_until, 14)
    await stripe.forward(14.5)
    paying = await stripe.fetch(trial)
    assert paying.status is SubscriptionStatus.ACTIVE
    assert [one.price.amount for one in paying.payments] == [Decimal("49.90")]
    assert near(paying.access_until, 44.5)


async def test_what_was_settled_outside_is_a_payment(stripe: Stripe) -> None:
    first = await stripe.subscribe(FAILS_LATER)
    await stripe.forward(32)
    invoice = (await stripe.fetch(first)).payments[-1].details["invoice"]
    await stripe.order(f"settle/{invoice}")

    found = await stripe.fetch(first)

    assert found.status is SubscriptionStatus.ACTIVE
    assert (found.payments[-1].transaction_id, found.payments[-1].status) == (invoice, "completed")
    assert near(found.access_until, 61)


async def test_a_deleted_customer_ends_it_and_a_new_checkout_makes_another(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    await stripe.http.delete(f"/v1/customers/{first.customer_id}")

    ended = await stripe.fetch(first)
    again = await stripe.subscribe(customer_id=first.customer_id)

    assert ended.status is SubscriptionStatus.CANCELED
    assert again.customer_id != first.customer_id


async def test_a_customer_is_used_again(stripe: Stripe) -> None:
    first = await stripe.subscribe()

    again = await stripe.subscribe(customer_id=first.customer_id)

    assert again.customer_id == first.customer_id
    assert again.gateway_id != first.gateway_id


async def test_years_and_coupons(stripe: Stripe) -> None:
    await stripe.post("/v1/coupons", id="half", percent_off="50", duration="once")
    made = await stripe.post(
        "/v1/promotion_codes", **{"promotion[type]": "coupon", "promotion[coupon]": "half", "code": "HALF"}
    )
    assert made.status_code == 200, made.text

    found = await stripe.subscribe(interval="year", coupon="half")

    assert near(found.access_until, 365)
    assert [one.price.amount for one in found.payments] == [Decimal("24.95")]
    assert found.price is not None
    assert found.price.amount == Decimal("49.90")


async def test_refunds_are_cumulative_and_end_nothing(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    number, price = first.payments[0].transaction_id, first.payments[0].price

    await stripe.gateway.refund(number, type(price)(Decimal("9.90"), "BRL"), idempotency_key=key())
    part = await stripe.fetch(first)
    await stripe.gateway.refund(number, type(price)(Decimal(40), "BRL"), idempotency_key=key())
    whole = await stripe.fetch(first)

    assert [one.payments[0].refunded for one in (part, whole)] == [Decimal("9.90"), Decimal("49.90")]
    assert (whole.status, whole.access_until) == (first.status, first.access_until)
    assert datetime.now(UTC) < whole.access_until if whole.access_until else False


async def test_a_dispute_is_seen_until_it_is_won(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    dispute = await stripe.order(f"dispute/{first.payments[0].transaction_id}")

    open_one = await stripe.fetch(References(object_kind="dispute", object_id=dispute["id"]))
    await stripe.order(f"close_dispute/{dispute['id']}", status="won")
    won = await stripe.fetch(first)

    assert (open_one.gateway_id, open_one.payments[0].disputed) == (first.gateway_id, True)
    assert won.payments[0].disputed is False


@pytest.mark.parametrize(
    ("amount", "currency", "counted"),
    [
        ("49.90", "BRL", 4990),
        ("19.99", "USD", 1999),
        ("5000", "CLP", 5000),
        ("1200", "JPY", 1200),
        ("500", "ISK", 50_000),
    ],
)
async def test_amounts_of_each_currency(stripe: Stripe, amount: str, currency: str, counted: int) -> None:
    price = Money(Decimal(amount), currency)

    found = await stripe.subscribe(price=price)
    published = await stripe.publish(amount, currency)

    assert [one.price for one in found.payments] == [price]
    assert found.price == price
    assert (await stripe.look(f"/v1/prices/{published}"))["unit_amount"] == counted
    assert (await stripe.look("/v1/charges"))["data"][0]["amount"] == counted
