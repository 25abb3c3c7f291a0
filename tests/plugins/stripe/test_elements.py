"""Paying with Stripe's script in a page of ours."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from core.plugin import ClientSecret, Redirect, References, SubscriptionStatus
from tests.plugins.stripe.conftest import DECLINED, Stripe, checkout, key

Begin = Callable[..., Awaitable[Stripe]]


@pytest.fixture
async def elements(begin: Begin) -> Stripe:
    return await begin(publishable_key="pk_test_1")


async def test_a_subscription_waits_for_its_first_payment(elements: Stripe) -> None:
    step = await elements.gateway.start(checkout(reference="recado-e1"))

    assert isinstance(step, ClientSecret)
    assert (step.publishable_key, step.gateway_id[:4], step.secret[:3]) == ("pk_test_1", "sub_", "pi_")
    refs = References(checkout_id=step.gateway_id)
    waiting = await elements.fetch(refs)
    assert (waiting.status, waiting.reference, waiting.access_until) == (SubscriptionStatus.PENDING, "recado-e1", None)

    declined = await elements.order("pay", client_secret=step.secret, card=DECLINED)
    still = await elements.fetch(refs)
    await elements.order("pay", client_secret=step.secret)
    paid = await elements.fetch(refs)

    assert declined == {"outcome": "declined"}
    assert (still.status, [one.status for one in still.payments]) == (SubscriptionStatus.PENDING, ["failed"])
    assert (paid.status, paid.gateway_id) == (SubscriptionStatus.ACTIVE, step.gateway_id)
    assert [one.status for one in paid.payments] == ["failed", "completed"]


async def test_a_first_payment_that_never_comes(elements: Stripe) -> None:
    step = await elements.gateway.start(checkout())
    await elements.forward(1)

    found = await elements.fetch(References(checkout_id=step.gateway_id))

    assert (found.status, found.raw_status) == (SubscriptionStatus.CANCELED, "incomplete_expired")


async def test_a_trial_asks_for_the_card_alone(elements: Stripe) -> None:
    step = await elements.gateway.start(checkout(trial_days=7))

    assert isinstance(step, ClientSecret)
    assert step.secret.startswith("seti_")
    assert step.expires_at is None
    await elements.order("pay", client_secret=step.secret)
    await elements.forward(7.5)
    found = await elements.fetch(References(checkout_id=step.gateway_id))
    assert [one.price.amount for one in found.payments] == [Decimal("49.90")]


async def test_a_coupon_that_leaves_nothing_to_pay(elements: Stripe) -> None:
    await elements.post("/v1/coupons", id="free", percent_off="100", duration="forever")
    await elements.post(
        "/v1/promotion_codes", **{"promotion[type]": "coupon", "promotion[coupon]": "free", "code": "FREE"}
    )

    step = await elements.gateway.start(checkout(coupon="FREE"))

    assert isinstance(step, Redirect)
    found = await elements.fetch(References(checkout_id=step.gateway_id))
    assert (found.status, found.payments) == (SubscriptionStatus.ACTIVE, ())
    assert found.access_until is not None


async def test_a_waiting_subscription_is_closed(elements: Stripe) -> None:
    step = await elements.gateway.start(checkout())
    refs = References(checkout_id=step.gateway_id)

    await elements.gateway.expire(refs, idempotency_key=key())
    await elements.gateway.expire(refs, idempotency_key=key())

    assert (await elements.fetch(refs)).status is SubscriptionStatus.CANCELED


async def test_closing_a_subscription_that_is_paid_leaves_it(elements: Stripe) -> None:
    step = await elements.gateway.start(checkout())
    assert isinstance(step, ClientSecret)
    await elements.order("pay", client_secret=step.secret)

    await elements.gateway.expire(References(checkout_id=step.gateway_id), idempotency_key=key())

    assert (await elements.fetch(References(checkout_id=step.gateway_id))).status is SubscriptionStatus.ACTIVE
