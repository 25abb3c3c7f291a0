"""From the choice of a plan to its features, through both gateways, over HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from core import database
from core.accounts.tables import Profile
from core.payments import sweeping
from core.plans.schemas import PlanUpdate
from core.plans.services import update_plan
from core.plugin import PaymentGateway
from core.runtime import runtime
from tests.core.campaigns.making import insert
from tests.core.payments.conftest import NewCustomer
from tests.core.payments.shop import (
    DECLINED,
    FAILS_LATER,
    GOOD,
    KEY,
    MERCADOPAGO_SECRET,
    STRIPE_SECRET,
    TOKEN,
    Customer,
    stripe_gateway,
)
from tests.factories import make_member

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


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


async def test_a_cancellation_is_taken_back_where_the_gateway_can(customer: Customer) -> None:
    await customer.subscribe()
    await customer.post("/api/subscription/cancel", at_period_end=True)
    await customer.shop.work()

    answer = await customer.http.post("/api/subscription/resume")

    if customer.service.name == "stripe":
        assert answer.json()["data"]["auto_renew"] is True
    else:
        assert answer.json()["code"] in {"cannot_resume", "no_subscription"}


async def test_the_portal_is_the_gateways_where_it_has_one(customer: Customer) -> None:
    await customer.subscribe()

    answer = await customer.http.post("/api/subscription/portal")

    if customer.service.name == "stripe":
        assert answer.json()["data"]["url"].startswith("http")
    else:
        assert (answer.status_code, answer.json()["code"]) == (409, "no_portal")


async def test_a_trial_is_free_once(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    await update_plan(administrator.id, customer.shop.starter, PlanUpdate(trial_days=14))

    access = await customer.subscribe()

    subscription = access["subscription"]
    assert (subscription["status"], await customer.payments()) == ("trial", [])
    assert access["has_access"]
    until = datetime.fromisoformat(subscription["access_until"])
    await sweeping.sweep(until - timedelta(days=2))
    await sweeping.sweep(until - timedelta(days=1))
    assert await customer.notifications() == ["trial_ends"]
    await customer.post("/api/subscription/cancel", at_period_end=False)
    await customer.shop.work()
    assert (await customer.begin())["trial_days"] == 0


async def test_a_coupon_lowers_the_price_and_a_wrong_one_is_named(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    http = customer.shop.stripe.http
    coupon = await http.post("/v1/coupons", data={"percent_off": "50", "duration": "once"})
    code = {"promotion[type]": "coupon", "promotion[coupon]": coupon.json()["id"], "code": "HALF"}
    assert (await http.post("/v1/promotion_codes", data=code)).status_code == 200

    wrong = await customer.begin(status=422, coupon="NOPE")
    await customer.subscribe(coupon="HALF")

    assert list(wrong["errors"]) == ["coupon"]
    assert await customer.payments() == [("completed", "24.95")]
    other = await new_customer("mercadopago")
    assert list((await other.begin(status=422, coupon="HALF"))["errors"]) == ["coupon"]


async def test_what_a_plan_is_not_sold_for_is_named(customer: Customer) -> None:
    for field, wish in (
        ("currency", {"currency": "EUR"}),
        ("plan_id", {"plan_id": 2**50}),
        ("gateway", {"gateway": "paypal"}),
    ):
        refused = await customer.post(
            "/api/payments/checkout",
            422,
            **{"plan_id": customer.shop.starter, "gateway": customer.service.name, **wish},
        )
        assert list(refused["errors"]) == [field]
    assert await database.fetch_value("SELECT count(*) FROM checkouts WHERE user_id = $1", customer.member.id) == 0


async def test_without_a_subscription_there_is_nothing_to_change(customer: Customer) -> None:
    for path, body in (
        ("change", {"plan_id": customer.shop.pro}),
        ("preview", {"plan_id": customer.shop.pro}),
        ("cancel", {}),
        ("resume", {}),
        ("portal", {}),
    ):
        assert (await customer.post(f"/api/subscription/{path}", 409, **body))["code"] == "no_subscription"


async def test_what_is_over_a_smaller_plan_is_told_stays_and_cannot_grow(customer: Customer) -> None:
    await customer.subscribe(customer.shop.pro)
    for number in range(3):
        await insert("contacts", user_id=customer.member.id, number=f"55119876500{number:02}", type=1, status=1)
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    await update_plan(administrator.id, customer.shop.starter, PlanUpdate(contacts_limit=2))
    preview = await customer.post("/api/subscription/preview", plan_id=customer.shop.starter)
    await customer.post("/api/subscription/change", plan_id=customer.shop.starter)
    await customer.shop.work()
    access = await customer.access()

    await sweeping.sweep(datetime.fromisoformat(access["subscription"]["access_until"]))

    over = [{"limit": "contacts", "present": 3, "allowed": 2}]
    assert preview["over"] == over
    assert (await customer.access())["over"] == over
    assert len(await customer.get("/api/contacts")) == 3
    assert (await customer.post("/api/contacts", 402, number="+5511987650099"))["code"] == "plan_limit"


async def test_no_secret_and_no_card_reaches_a_table_or_a_log(
    customer: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    await customer.subscribe()
    await customer.post("/api/subscription/cancel", at_period_end=True)
    await customer.service.order("faults", kind="500_before") if customer.service.name == "stripe" else None
    await customer.http.post("/api/subscription/portal")
    names = await database.fetch("SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'")

    written = caplog.text
    for row in names:
        found = await database.fetch(f"SELECT t::text AS row FROM {row['name']} t")
        written += "".join(one["row"] for one in found)

    planted = (KEY, TOKEN, STRIPE_SECRET, MERCADOPAGO_SECRET, GOOD, GOOD[-12:])
    assert [secret for secret in planted if secret in written] == []


async def test_what_becomes_of_an_old_subscription_leaves_the_new_one_alone(customer: Customer) -> None:
    await customer.subscribe()
    payment_id = (await customer.get("/api/payments"))[0]["id"]
    await customer.post("/api/subscription/cancel", at_period_end=customer.service.name == "mercadopago")
    await customer.shop.work()
    old = await database.fetch_value("SELECT id FROM subscriptions WHERE user_id = $1", customer.member.id)
    new = await customer.subscribe()
    administrator = await make_member(profile=Profile.ADMINISTRATOR)

    async with customer.shop.client(administrator) as http:
        assert (await http.post(f"/api/admin/payments/{payment_id}/refund", json={})).status_code == 200
    await customer.shop.work()
    await database.execute("UPDATE subscriptions SET access_until = now() WHERE id = $1", old)
    await sweeping.sweep(datetime.now(UTC) + MINUTE)

    after = await customer.access()
    assert await database.fetch_value("SELECT closed_at IS NOT NULL FROM subscriptions WHERE id = $1", old)
    assert (after["plan_id"], after["has_access"]) == (customer.shop.starter, True)
    assert after["access_until"] == new["access_until"]
    assert after["subscription"]["id"] != old


async def test_a_plan_bought_in_a_page_of_ones_own(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    own_page = stripe_gateway(str(shop.stripe.http.base_url), publishable_key="pk_test_1")
    offered: dict[str, PaymentGateway] = {**shop.gateways, "stripe": own_page}
    providers = runtime().providers
    runtime().providers = msgspec.structs.replace(providers, gateways_by_name=offered)
    try:
        step = (await customer.begin())["step"]
        before = (await customer.access())["subscription"]
        await shop.stripe.order("pay", client_secret=step["client_secret"], card=GOOD)
        await shop.work()
    finally:
        runtime().providers = providers
        await own_page.aclose()

    assert (step["kind"], step["publishable_key"], before) == ("client_secret", "pk_test_1", None)
    access = await customer.access()
    assert (access["subscription"]["status"], access["plan_id"]) == ("active", shop.starter)
    assert await customer.payments() == [("completed", "49.90")]


async def test_a_subscription_that_is_paused_gives_no_more_time_until_it_goes_on(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    stripe = customer.shop.stripe
    await customer.begin()
    reference = await database.fetch_value("SELECT reference FROM checkouts WHERE user_id = $1", customer.member.id)
    payer = (await stripe.make("/v1/customers", email="ana@example.com"))["id"]
    product = (await stripe.make("/v1/products", name="Starter"))["id"]
    month = {"recurring[interval]": "month"}
    price = await stripe.make("/v1/prices", product=product, currency="brl", unit_amount="4990", **month)
    await stripe.make(
        "/v1/subscriptions",
        **{
            "customer": payer,
            "items[0][price]": price["id"],
            "trial_period_days": "7",
            "trial_settings[end_behavior][missing_payment_method]": "pause",
            "metadata[recado_reference]": str(reference),
        },
    )
    await customer.shop.work()
    await stripe.forward(8)
    await customer.shop.work()
    paused = await customer.access()
    await stripe.order(f"card/{payer}")
    await customer.post("/api/subscription/resume")
    await customer.shop.work()

    going_on = await customer.access()
    assert (paused["subscription"]["status"], going_on["subscription"]["status"]) == ("paused", "active")
    before, after = (datetime.fromisoformat(one["subscription"]["access_until"]) for one in (paused, going_on))
    assert paused["access_until"] == paused["subscription"]["access_until"]
    # A month from the day it went on, and a day had passed since the trial.
    assert timedelta(days=28) < after - before < timedelta(days=33)
