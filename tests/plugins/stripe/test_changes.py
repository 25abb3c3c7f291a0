"""Changes of plan, cancellations and going on, on a simulated Stripe over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest

from core.plugin import ConfigurationError, Money, Redirect, References, RefusedError, SubscriptionStatus
from tests.plugins.stripe.conftest import DECLINED, FAILS_LATER, GOOD, Stripe, in_days, key, plan_change


async def half_way(stripe: Stripe, card: str = GOOD) -> References:
    """Subscribe for 49.90, and let exactly half of the month pass."""
    found = await stripe.subscribe(card)
    item = (await stripe.look(f"/v1/subscriptions/{found.gateway_id}"))["items"]["data"][0]
    await stripe.order("clock", to=(item["current_period_start"] + item["current_period_end"]) // 2)
    return References(gateway_id=found.gateway_id)


async def test_an_upgrade_is_paid_in_proportion(stripe: Stripe) -> None:
    refs = await half_way(stripe)
    better = await stripe.publish("99.90")
    now = (await stripe.look("/simulator/clock"))["now"]
    change = plan_change("99.90", better)

    preview = await stripe.gateway.preview_change(refs, change)
    step = await stripe.gateway.change_plan(refs, change)
    found = await stripe.fetch(refs)

    assert step is None
    assert preview.due_now == Money(Decimal("25.00"), "BRL")
    assert preview.next_charge == Money(Decimal("99.90"), "BRL")
    assert preview.next_charge_at == found.access_until
    assert 0 <= preview.as_of.timestamp() - now < 60
    assert (found.plan_reference, found.price) == (better, Money(Decimal("99.90"), "BRL"))
    assert [one.price.amount for one in found.payments] == [Decimal("49.90"), Decimal("25.00")]


async def test_what_was_previewed_is_what_is_charged(stripe: Stripe) -> None:
    found = await stripe.subscribe()
    refs = References(gateway_id=found.gateway_id)
    better = await stripe.publish("99.90")
    preview = await stripe.gateway.preview_change(refs, plan_change("99.90", better))
    await stripe.forward(5)

    await stripe.gateway.change_plan(refs, plan_change("99.90", better, as_of=preview.as_of))

    assert (await stripe.fetch(refs)).payments[-1].price == preview.due_now


async def test_an_upgrade_that_is_declined_waits_for_its_payment(stripe: Stripe) -> None:
    refs = await half_way(stripe, FAILS_LATER)
    better = await stripe.publish("99.90")

    step = await stripe.gateway.change_plan(refs, plan_change("99.90", better))
    waiting = await stripe.fetch(refs)

    assert isinstance(step, Redirect)
    assert step.url == waiting.action_url
    assert step.expires_at is not None
    assert (waiting.status, waiting.price) == (SubscriptionStatus.ACTIVE, Money(Decimal("49.90"), "BRL"))
    assert waiting.access_until == waiting.payments[0].period_until
    assert [one.status for one in waiting.payments] == ["completed", "failed"]

    assert await stripe.order(f"pay/{step.url.rpartition('/')[2]}") == {"outcome": "succeeded"}
    assert (await stripe.fetch(refs)).plan_reference == better


async def test_an_upgrade_that_is_never_paid_is_dropped(stripe: Stripe) -> None:
    refs = await half_way(stripe, FAILS_LATER)
    better = await stripe.publish("99.90")
    await stripe.gateway.change_plan(refs, plan_change("99.90", better))
    await stripe.forward(1)

    found = await stripe.fetch(refs)

    assert (found.status, found.action_url) == (SubscriptionStatus.ACTIVE, "")
    assert found.plan_reference != better


async def test_a_downgrade_counts_from_the_next_charge(stripe: Stripe) -> None:
    refs = await half_way(stripe)
    smaller = await stripe.publish("19.90")
    change = plan_change("19.90", smaller, at_once=False)

    preview = await stripe.gateway.preview_change(refs, change)
    assert await stripe.gateway.change_plan(refs, change) is None
    found = await stripe.fetch(refs)
    await stripe.forward(20)
    renewed = await stripe.fetch(refs)

    assert (preview.due_now.amount, preview.next_charge.amount) == (Decimal(0), Decimal("19.90"))
    assert preview.next_charge_at == found.access_until
    assert [one.price.amount for one in found.payments] == [Decimal("49.90")]
    assert [one.price.amount for one in renewed.payments] == [Decimal("49.90"), Decimal("19.90")]


async def test_a_downgrade_at_once_is_credited(stripe: Stripe) -> None:
    refs = await half_way(stripe)
    smaller = await stripe.publish("19.90")

    preview = await stripe.gateway.preview_change(refs, plan_change("19.90", smaller))
    await stripe.gateway.change_plan(refs, plan_change("19.90", smaller))
    await stripe.forward(20)

    assert preview.due_now.amount == Decimal(0)
    # 15.00 of credit go off the next charge.
    assert [one.price.amount for one in (await stripe.fetch(refs)).payments] == [Decimal("49.90"), Decimal("4.90")]


async def test_a_year_begins_at_once(stripe: Stripe) -> None:
    refs = await half_way(stripe)
    yearly = await stripe.publish("499.00", interval="year")
    change = plan_change("499.00", yearly, interval="year")

    with pytest.raises(RefusedError):
        await stripe.gateway.change_plan(refs, plan_change("499.00", yearly, at_once=False, interval="year"))
    preview = await stripe.gateway.preview_change(refs, change)
    await stripe.gateway.change_plan(refs, change)
    found = await stripe.fetch(refs)

    assert preview.due_now.amount == Decimal("474.05")
    assert found.payments[-1].price.amount == Decimal("474.05")
    assert found.access_until is not None
    assert found.access_until == preview.next_charge_at or found.access_until > in_days(370)


async def test_a_change_under_the_same_key_is_made_once(stripe: Stripe) -> None:
    refs = await half_way(stripe)
    change = plan_change("99.90", await stripe.publish("99.90"))

    await stripe.gateway.change_plan(refs, change)
    await stripe.gateway.change_plan(refs, change)

    assert len((await stripe.fetch(refs)).payments) == 2


async def test_a_plan_is_published_once(stripe: Stripe) -> None:
    first = await stripe.publish("99.90")
    again = await stripe.publish("99.90", plan_name="Professional")
    other = await stripe.publish("89.90")

    assert first == again
    assert other != first
    products = (await stripe.look("/v1/products"))["data"]
    assert [(one["name"], one["metadata"]) for one in products] == [("Pro", {"recado_plan": "2"})]


async def test_a_price_that_was_archived_is_made_anew(stripe: Stripe) -> None:
    first = await stripe.publish("99.90")
    await stripe.post(f"/v1/prices/{first}", active="false")

    assert await stripe.publish("99.90") != first


async def test_cancel_at_the_end_and_take_it_back(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    refs = References(gateway_id=first.gateway_id)

    await stripe.gateway.cancel(refs, at_period_end=True, idempotency_key=key())
    ending = await stripe.fetch(refs)
    await stripe.gateway.resume(refs, idempotency_key=key())
    going_on = await stripe.fetch(refs)

    assert (ending.status, ending.auto_renew, ending.access_until) == (first.status, False, first.access_until)
    assert going_on.auto_renew is True


async def test_a_subscription_ends_with_its_period(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    await stripe.gateway.cancel(References(gateway_id=first.gateway_id), at_period_end=True, idempotency_key=key())
    await stripe.forward(32)

    ended = await stripe.fetch(first)

    assert (ended.status, ended.access_until) == (SubscriptionStatus.CANCELED, first.access_until)
    assert len(ended.payments) == 1


async def test_cancel_in_the_portal_sets_a_time_alone(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    refs = References(gateway_id=first.gateway_id)
    await stripe.order(f"portal_cancel/{first.gateway_id}")

    raw = await stripe.look(f"/v1/subscriptions/{first.gateway_id}")
    ending = await stripe.fetch(refs)
    await stripe.gateway.resume(refs, idempotency_key=key())

    assert (raw["cancel_at_period_end"], raw["cancel_at"] is None) == (False, False)
    assert (ending.auto_renew, ending.access_until) == (False, first.access_until)
    assert (await stripe.fetch(refs)).auto_renew is True


async def test_cancel_now_keeps_what_is_paid_and_refunds_nothing(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    refs = References(gateway_id=first.gateway_id)

    await stripe.gateway.cancel(refs, at_period_end=False, idempotency_key=key())
    ended = await stripe.fetch(refs)

    assert (ended.status, ended.auto_renew) == (SubscriptionStatus.CANCELED, False)
    assert (ended.access_until, ended.payments[0].refunded) == (first.access_until, Decimal(0))


async def test_cancel_now_ends_a_trial(stripe: Stripe) -> None:
    trial = await stripe.subscribe(trial_days=14)
    await stripe.gateway.cancel(References(gateway_id=trial.gateway_id), at_period_end=False, idempotency_key=key())

    ended = await stripe.fetch(trial)

    assert ended.access_until is not None
    assert ended.access_until < in_days(1)


@pytest.mark.parametrize("at_period_end", [True, False])
async def test_cancel_of_what_is_over_is_no_error(stripe: Stripe, *, at_period_end: bool) -> None:
    first = await stripe.subscribe()
    refs = References(gateway_id=first.gateway_id)
    await stripe.gateway.cancel(refs, at_period_end=False, idempotency_key=key())

    await stripe.gateway.cancel(refs, at_period_end=at_period_end, idempotency_key=key())

    with pytest.raises(RefusedError):
        await stripe.gateway.resume(refs, idempotency_key=key())


async def test_cancel_of_what_does_not_exist_is_refused(stripe: Stripe) -> None:
    with pytest.raises(RefusedError):
        await stripe.gateway.cancel(References(gateway_id="sub_none"), at_period_end=True, idempotency_key=key())


async def test_a_refund_beyond_the_payment_is_refused(stripe: Stripe) -> None:
    first = await stripe.subscribe()

    with pytest.raises(RefusedError):
        await stripe.gateway.refund(first.payments[0].transaction_id, Money(Decimal(50), "BRL"), idempotency_key=key())
    with pytest.raises(RefusedError):
        await stripe.gateway.refund("in_1", Money(Decimal(1), "BRL"), idempotency_key=key())


async def test_one_refund_under_one_key(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    name = key()
    number, part = first.payments[0].transaction_id, Money(Decimal(10), "BRL")

    await asyncio.gather(*(stripe.gateway.refund(number, part, idempotency_key=name) for _ in range(3)))

    assert (await stripe.fetch(first)).payments[0].refunded == Decimal(10)


async def test_the_portal(stripe: Stripe) -> None:
    first = await stripe.subscribe()

    url = await stripe.gateway.portal(References(gateway_id=first.gateway_id), "https://recado.example/billing")

    assert url.startswith(f"{stripe.url}/p/session/bps_")


async def test_a_portal_that_was_never_set_up(begin: Callable[..., Awaitable[Stripe]]) -> None:
    stripe = await begin(portal=False)
    first = await stripe.subscribe()

    with pytest.raises(ConfigurationError, match="Customer portal"):
        await stripe.gateway.portal(References(customer_id=first.customer_id), "https://recado.example/billing")


async def test_a_declined_card_fails_again(stripe: Stripe) -> None:
    first = await stripe.subscribe(FAILS_LATER)
    await stripe.forward(31.2)
    number = (await stripe.fetch(first)).payments[-1].details["invoice"]

    assert await stripe.order(f"pay/{number}", card=DECLINED) == {"outcome": "declined"}
    assert (await stripe.fetch(first)).status is SubscriptionStatus.PAST_DUE


async def test_a_trial_without_a_card_is_paused_and_goes_on(stripe: Stripe) -> None:
    customer = (await stripe.post("/v1/customers", email="ana@example.com")).json()["id"]
    made = await stripe.post(
        "/v1/subscriptions",
        **{
            "customer": customer,
            "items[0][price]": await stripe.publish("49.90"),
            "trial_period_days": "7",
            "trial_settings[end_behavior][missing_payment_method]": "pause",
            "metadata[recado_reference]": "recado-paused",
        },
    )
    assert made.status_code == 200, made.text
    refs = References(gateway_id=made.json()["id"])
    await stripe.forward(8)

    paused = await stripe.fetch(refs)
    await stripe.order(f"card/{customer}")
    await stripe.gateway.resume(refs, idempotency_key=key())
    going_on = await stripe.fetch(refs)

    assert (paused.status, paused.payments) == (SubscriptionStatus.PAUSED, ())
    assert (going_on.status, [one.status for one in going_on.payments]) == (SubscriptionStatus.ACTIVE, ["completed"])
    assert going_on.access_until is not None
    assert going_on.access_until > in_days(35)


async def test_what_was_canceled_in_the_portal_can_go_on_there(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    await stripe.order(f"portal_cancel/{first.gateway_id}")
    await stripe.order(f"portal_resume/{first.gateway_id}")
    await stripe.forward(32)

    assert len((await stripe.fetch(first)).payments) == 2
