"""From the choice of a plan to its features, through both gateways, over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core import database
from core.accounts.tables import Profile
from core.payments import sweeping
from tests.core.payments.conftest import NewCustomer
from tests.core.payments.shop import DECLINED, FAILS_LATER, Customer
from tests.factories import make_member

pytestmark = pytest.mark.slow


async def test_a_plan_is_chosen_paid_and_there(customer: Customer) -> None:
    begun = await customer.begin()
    assert (begun["status"], begun["amount"], begun["currency"]) == ("open", "49.90", "BRL")
    assert begun["step"]["kind"] == "redirect"
    assert begun["step"]["url"].startswith("http")

    await customer.service.pay(await customer.checkout_id())
    await customer.shop.work()

    access = await customer.access()
    subscription = access["subscription"]
    assert (access["plan_id"], access["has_access"]) == (customer.shop.starter, True)
    assert (subscription["status"], subscription["auto_renew"], subscription["amount"]) == ("active", True, "49.90")
    assert datetime.fromisoformat(subscription["access_until"]) > datetime.now(UTC) + timedelta(days=27)
    assert await customer.payments() == [("completed", "49.90")]
    assert await customer.notifications() == ["payment_succeeded"]
    assert (await customer.get(f"/api/payments/checkouts/{begun['id']}"))["status"] == "completed"


async def test_a_renewal_extends_access_and_is_a_payment_of_its_own(customer: Customer) -> None:
    first = await customer.subscribe()
    await customer.service.forward(32)
    await customer.shop.work()

    second = await customer.access()
    assert second["subscription"]["access_until"] > first["subscription"]["access_until"]
    assert await customer.payments() == [("completed", "49.90"), ("completed", "49.90")]
    assert await customer.notifications() == ["payment_succeeded", "payment_succeeded"]


async def test_the_same_wish_is_the_same_checkout(customer: Customer) -> None:
    first, second = await customer.begin(), await customer.begin()
    both = await asyncio.gather(customer.begin(), customer.begin())

    assert {first["id"], second["id"], *(one["id"] for one in both)} == {first["id"]}
    assert await customer.service.count() == 1


async def test_another_wish_closes_the_checkout_before(customer: Customer) -> None:
    first = await customer.begin()
    await customer.begin(customer.shop.pro)
    await customer.shop.work()

    assert (await customer.get(f"/api/payments/checkouts/{first['id']}"))["status"] == "expired"
    assert await customer.service.count() == 1


async def test_there_is_one_subscription(customer: Customer) -> None:
    await customer.subscribe()
    refused = await customer.begin(customer.shop.pro, 409)

    assert refused["code"] == "subscription_exists"


async def test_a_checkout_that_is_looked_at_needs_no_webhook(customer: Customer) -> None:
    """As on a machine that no gateway can reach."""
    await customer.service.hold()
    begun = await customer.begin()
    await customer.service.pay(await customer.checkout_id())
    await customer.get(f"/api/payments/checkouts/{begun['id']}")
    await customer.shop.work()

    assert (await customer.access())["subscription"]["status"] == "active"


async def test_cancelled_for_the_end_keeps_what_is_paid(customer: Customer) -> None:
    before = await customer.subscribe()

    canceled = await customer.post("/api/subscription/cancel", at_period_end=True)
    await customer.shop.work()

    after = await customer.access()
    assert (canceled["auto_renew"], canceled["pending"]) == (False, [])
    assert after["access_until"] == before["subscription"]["access_until"]
    assert (after["has_access"], after["plan_id"]) == (True, customer.shop.starter)
    assert await customer.notifications() == ["payment_succeeded", "access_ends"]
    await customer.service.forward(40)
    await customer.shop.work()
    assert len(await customer.payments()) == 1, "it is never charged again"


async def test_cancelled_at_once_ends_access(customer: Customer) -> None:
    await customer.subscribe()
    await customer.post("/api/subscription/cancel", at_period_end=False)
    await customer.shop.work()

    after = await customer.access()
    assert after["subscription"]["status"] == "canceled"
    assert not after["has_access"] or after["plan_id"] != customer.shop.starter


async def test_over_it_falls_back_to_a_free_plan_or_can_be_read(customer: Customer) -> None:
    await customer.subscribe()
    await customer.post("/api/subscription/cancel", at_period_end=True)
    await customer.service.forward(40)
    await customer.shop.work()

    await sweeping.sweep(datetime.now(UTC) + timedelta(days=400))

    after = await customer.access()
    row = await database.fetch_row("SELECT closed_at FROM subscriptions WHERE user_id = $1", customer.member.id)
    assert row is not None
    assert row["closed_at"] is not None
    assert after["plan_id"] != customer.shop.starter or not after["has_access"]


async def test_a_downgrade_waits_and_an_upgrade_does_what_the_gateway_can(customer: Customer) -> None:
    await customer.subscribe(customer.shop.pro)
    preview = await customer.post("/api/subscription/preview", plan_id=customer.shop.starter)
    changed = await customer.post("/api/subscription/change", plan_id=customer.shop.starter)
    await customer.shop.work()

    access = await customer.access()
    assert (preview["at_once"], preview["due_now"], preview["next_charge"]) == (False, "0", "49.90")
    assert changed["subscription"]["next_plan_id"] == customer.shop.starter
    assert (access["plan_id"], access["subscription"]["amount"]) == (customer.shop.pro, "49.90")

    await sweeping.sweep(datetime.fromisoformat(access["subscription"]["access_until"]))
    assert (await customer.access())["plan_id"] == customer.shop.starter


async def test_a_planned_downgrade_can_be_taken_back(customer: Customer) -> None:
    await customer.subscribe(customer.shop.pro)
    await customer.post("/api/subscription/change", plan_id=customer.shop.starter)
    await customer.shop.work()

    await customer.post("/api/subscription/change", plan_id=customer.shop.pro)
    await customer.shop.work()

    subscription = (await customer.access())["subscription"]
    assert (subscription["next_plan_id"], subscription["amount"]) == (None, "99.90")


async def test_an_upgrade_at_once_charges_the_difference(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.subscribe()
    preview = await customer.post("/api/subscription/preview", plan_id=customer.shop.pro)

    await customer.post("/api/subscription/change", plan_id=customer.shop.pro, as_of=preview["as_of"])
    await customer.shop.work()

    access = await customer.access()
    assert preview["at_once"] is True
    assert (access["plan_id"], access["subscription"]["amount"]) == (customer.shop.pro, "99.90")
    paid = await customer.payments()
    assert paid == [("completed", "49.90"), ("completed", preview["due_now"])]
    assert Decimal("49.00") < Decimal(preview["due_now"]) <= Decimal("50.00")


async def test_an_upgrade_waits_where_the_gateway_cannot_charge_in_proportion(new_customer: NewCustomer) -> None:
    customer = await new_customer("mercadopago")
    await customer.subscribe()
    changed = await customer.post("/api/subscription/change", plan_id=customer.shop.pro)

    assert changed["subscription"]["plan_id"] == customer.shop.starter
    assert changed["subscription"]["next_plan_id"] == customer.shop.pro


async def test_an_upgrade_that_is_declined_leaves_the_plan(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.subscribe()
    row = await database.fetch_value("SELECT customer_id FROM gateway_customers WHERE user_id = $1", customer.member.id)
    await customer.shop.stripe.order(f"card/{row}", card=FAILS_LATER)

    await customer.http.post("/api/subscription/change", json={"plan_id": customer.shop.pro})
    await customer.shop.work()

    assert (await customer.access())["plan_id"] == customer.shop.starter


async def test_a_refund_ends_access_and_does_not_cancel(customer: Customer) -> None:
    await customer.subscribe()
    payment_id = (await customer.get("/api/payments"))[0]["id"]
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    async with customer.shop.client(administrator) as http:
        part = await http.post(f"/api/admin/payments/{payment_id}/refund", json={"amount": "10.00"})
        assert (part.status_code, part.json()["data"]["refunded_amount"]) == (200, "10.00"), part.text
        assert (await customer.access())["has_access"]
        rest = await http.post(f"/api/admin/payments/{payment_id}/refund", json={})
        assert rest.json()["data"]["refunded_amount"] == "49.90"
        none_left = await http.post(f"/api/admin/payments/{payment_id}/refund", json={})
        assert (none_left.status_code, none_left.json()["code"]) == (409, "payment_refunded")
    await customer.shop.work()

    after = await customer.access()
    assert not after["has_access"]
    assert (after["subscription"]["ended_reason"], after["subscription"]["auto_renew"]) == ("refunded", True)
    assert after["subscription"]["refunded_amount"] == "49.90"
    assert await customer.notifications() == ["payment_succeeded", "payment_refunded", "payment_refunded"]


async def test_a_declined_card_can_be_tried_again(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.begin()
    checkout_id = await customer.checkout_id()
    await customer.shop.stripe.pay(checkout_id, DECLINED)
    await customer.shop.work()
    assert (await customer.access())["subscription"] is None

    await customer.shop.stripe.pay(checkout_id)
    await customer.shop.work()
    assert (await customer.access())["subscription"]["status"] == "active"


async def test_a_first_rejection_that_cancels_is_a_new_intent(new_customer: NewCustomer) -> None:
    customer = await new_customer("mercadopago")
    await customer.begin()
    await customer.shop.mercadopago.pay(await customer.checkout_id(), "FUND")
    await customer.shop.work()
    failed = (await customer.get("/api/payments"))[0]
    assert failed["status"] == "failed"
    assert await customer.notifications() == ["payment_failed"]

    again = await customer.post(f"/api/payments/{failed['id']}/retry")
    assert again["checkout"]["retry_of"] == failed["id"]
    await customer.service.pay(await customer.checkout_id())
    await customer.shop.work()
    assert (await customer.access())["subscription"]["status"] == "active"
    assert [status for status, _ in await customer.payments()] == ["failed", "completed"]
