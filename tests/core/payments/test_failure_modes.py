"""Twelve ways in which billing goes wrong elsewhere, each against simulated services over HTTP."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import stripe as stripe_library

from core import database
from core.accounts.tables import Profile
from core.config import PlatformConfig, server_variables
from core.notifications.alarms import raise_alarm
from core.payments import checkouts, fetches, fetching, sweeping
from core.payments.subscriptions import apply_snapshot
from core.plans.schemas import PlanPrice, PlanUpdate
from core.plans.services import update_plan
from core.plugin import References, SubscriptionStatus, WebhookDelivery
from core.runtime import runtime
from core.webhooks import applying
from core.webhooks import services as webhooks
from tests.core.numbers.messaging import eventually
from tests.core.payments.conftest import NewCustomer
from tests.core.payments.shop import (
    DAY,
    FAILS_LATER,
    KEY,
    STRIPE_SECRET,
    Customer,
    Shop,
    stripe_gateway,
)
from tests.factories import make_member
from tests.outages import without_database

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)


def signed(
    event: dict[str, Any], secret: str = STRIPE_SECRET, *, at: int | None = None
) -> tuple[bytes, dict[str, str]]:
    """Return an event as Stripe delivers it, by the library's own signature."""
    body = json.dumps(event).encode()
    moment = int(datetime.now(UTC).timestamp()) if at is None else at
    header = stripe_library.WebhookSignature.generate_signature_header(body.decode(), secret, moment)
    return body, {"Stripe-Signature": header, "Content-Type": "application/json"}


async def deliver(shop: Shop, body: bytes, headers: dict[str, str]) -> int:
    async with httpx.AsyncClient(base_url=shop.url, trust_env=False) as http:
        return (await http.post("/api/webhooks/stripe", content=body, headers=headers)).status_code


async def stripe_events(shop: Shop) -> list[dict[str, Any]]:
    """Every event of the simulated account that concerns a subscription, the oldest first."""
    found = (await shop.stripe.look("/v1/events?limit=100"))["data"]
    return [event for event in reversed(found) if shop.gateways["stripe"].receive(_delivery(event), ()).hints]


def _delivery(event: dict[str, Any]) -> Any:
    body, headers = signed(event)
    lower = {name.lower(): value for name, value in headers.items()}
    return WebhookDelivery(method="POST", query={}, headers=lower, body=body, public_url="https://recado.example/")


async def picture(customer: Customer) -> tuple[Any, ...]:
    """All that billing has made of a customer, without ids and times of our own."""
    rows = await database.fetch(
        "SELECT s.status, auto_renew, access_until, refunded_amount, s.plan_id, amount, ended_reason, duplicate,"
        " u.plan_id AS plan_of_user, u.due_access_at FROM subscriptions s JOIN users u ON u.id = s.user_id"
        " WHERE s.user_id = $1 ORDER BY s.id",
        customer.member.id,
    )
    return (
        tuple(tuple(row) for row in rows),
        tuple(await customer.payments()),
        tuple(sorted(await customer.notifications())),
    )


async def forget(customer: Customer) -> None:
    """Let nothing of what gateways reported be known, so that it can be reported in another order."""
    user_id = customer.member.id
    for table in ("subscriptions", "payments", "notifications", "gateway_customers"):
        await database.execute(f"DELETE FROM {table} WHERE user_id = $1", user_id)
    await database.execute("DELETE FROM webhook_events WHERE number_id = 0")
    await database.execute("UPDATE checkouts SET status = 'open' WHERE user_id = $1", user_id)
    await database.execute("UPDATE users SET plan_id = NULL, due_access_at = NULL WHERE id = $1", user_id)


async def test_1_duplicate_deliveries_count_once(customer: Customer) -> None:
    shop = customer.shop
    await shop.stripe.order("webhooks", copies=3)
    await shop.mercadopago.order("options", webhooks="duplicate")

    await customer.subscribe()

    assert await customer.payments() == [("completed", "49.90")]
    assert await customer.notifications() == ["payment_succeeded"]
    async with asyncio.TaskGroup() as group:
        events = await stripe_events(shop)
        answers = [group.create_task(deliver(shop, *signed(event))) for event in events for _ in range(3)]
    assert {answer.result() for answer in answers} <= {200}
    await shop.work()
    assert await customer.payments() == [("completed", "49.90")]
    assert await customer.notifications() == ["payment_succeeded"]


async def test_2_every_order_of_the_first_months_events_ends_in_the_same_state(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    await shop.stripe.order("webhooks", drop=True)
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id(), FAILS_LATER)
    await shop.stripe.pass_period_end()
    kinds = {event["type"]: event for event in await stripe_events(shop)}
    wanted = (
        "checkout.session.completed",
        "customer.subscription.created",
        "invoice.paid",
        "customer.subscription.updated",
        "invoice.payment_failed",
    )
    events = [kinds[kind] for kind in wanted]

    ends = set()
    for order in permutations(events):
        await forget(customer)
        for event in order:
            assert await deliver(shop, *signed(event)) == 200
            await applying.apply("events")
            await fetching.work()
        ends.add(await picture(customer))

    assert len(ends) == 1
    (((state,), payments, told),) = ends
    assert state[0] == "past_due"
    assert payments == (("completed", "49.90"), ("failed", "49.90"))
    assert told == ("payment_failed", "payment_succeeded")


async def test_2_every_order_of_mercado_pagos_notifications_ends_in_the_same_state(new_customer: NewCustomer) -> None:
    customer = await new_customer("mercadopago")
    service = customer.shop.mercadopago
    await service.hold()
    await customer.begin()
    await service.pay(await customer.checkout_id())
    ids = [one["id"] for one in await service.look("/simulator/webhooks")][-4:]

    ends = set()
    for order in permutations(ids):
        await forget(customer)
        for one in order:
            await service.order("webhooks/release", ids=[one])
            await applying.apply("events")
            await fetching.work()
        ends.add(await picture(customer))

    assert len(ids) == 4
    assert len(ends) == 1
    assert next(iter(ends))[1] == (("completed", "49.90"),)


async def test_2_an_older_answer_changes_nothing_after_a_newer(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.subscribe()
    row = await database.fetch_row("SELECT gateway_id FROM subscriptions WHERE user_id = $1", customer.member.id)
    assert row is not None
    refs = References(gateway_id=row["gateway_id"])
    old = await customer.shop.gateways["stripe"].fetch(refs)
    as_of = datetime.now(UTC)
    await customer.post("/api/subscription/cancel", at_period_end=True)
    await customer.shop.work()

    assert old is not None
    async with database.unit_of_work():
        await apply_snapshot("stripe", old, as_of)

    assert (await customer.access())["subscription"]["auto_renew"] is False


async def test_what_a_gateway_says_ends_the_alarms_that_it_said_otherwise(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.subscribe()
    row = await database.fetch_row("SELECT id, gateway_id FROM subscriptions WHERE user_id = $1", customer.member.id)
    assert row is not None
    said = await customer.shop.gateways["stripe"].fetch(References(gateway_id=row["gateway_id"]))
    assert said is not None
    await raise_alarm("subscription_missing", "subscription", row["id"], gateway="stripe")
    strange = msgspec.structs.replace(said, status=SubscriptionStatus.UNKNOWN, raw_status="odd")
    standing = []
    for snapshot in (strange, said):
        async with database.unit_of_work():
            await apply_snapshot("stripe", snapshot, datetime.now(UTC))
        found = await database.fetch(
            "SELECT kind FROM alarms WHERE subject_type = 'subscription' AND subject_id = $1 AND cleared_at IS NULL",
            row["id"],
        )
        standing.append([alarm["kind"] for alarm in found])
    assert standing == [["subscription_strange"], []]


async def test_3_a_webhook_before_the_answer_of_our_own_call(new_customer: NewCustomer) -> None:
    customer = await new_customer("mercadopago")
    service = customer.shop.mercadopago
    await service.order("options", webhooks_first=True)
    worked = asyncio.Event()

    async def keep_working() -> None:
        while not worked.is_set():
            await applying.apply("events")
            await fetching.work()
            await asyncio.sleep(0)

    working = asyncio.create_task(keep_working())
    begun = await customer.begin()
    worked.set()
    await working
    await customer.shop.work()

    assert (begun["status"], begun["step"]["kind"]) == ("open", "redirect")
    given_up = await database.fetch_value(
        "SELECT count(*) FROM gateway_fetches WHERE failed_at IS NOT NULL AND gateway = 'mercadopago'"
    )
    assert given_up == 0
    await service.pay(await customer.checkout_id())
    await customer.shop.work()
    assert (await customer.access())["subscription"]["status"] == "active"


async def test_4_what_cannot_be_stored_is_not_answered_200(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    await shop.stripe.order("webhooks", drop=True)
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id())
    (event, *_) = await stripe_events(shop)

    async with without_database():
        assert await deliver(shop, *signed(event)) == 503

    assert await deliver(shop, *signed(event)) == 200


async def test_4_a_hint_whose_message_is_lost_is_found_by_the_sweep(new_customer: NewCustomer) -> None:
    """Everything after the inbox is a row: a queue that forgets all of its messages costs a second."""
    customer = await new_customer("stripe")
    shop = customer.shop
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id())
    await shop.stripe.look("/simulator/deliveries")
    waiting = "SELECT count(*) FROM webhook_events WHERE applied_at IS NULL AND number_id = 0"
    assert await database.fetch_value(waiting)

    await webhooks.sweep()
    await applying.apply("events")
    await fetches.sweep()
    await fetching.work()

    assert await database.fetch_value(waiting) == 0
    assert (await customer.access())["subscription"]["status"] == "active"


async def test_4_a_gateway_that_is_away_is_asked_again_and_shown_in_the_end(customer: Customer, shop: Shop) -> None:
    await customer.subscribe()
    count = 200
    await shop.stripe.order("faults", kind="500_before", method="GET", count=count)
    await shop.mercadopago.order("faults", kind="500_before", match="GET /", count=count)
    row = await database.fetch_row(
        "SELECT gateway, gateway_id FROM subscriptions WHERE user_id = $1", customer.member.id
    )
    assert row is not None
    async with database.unit_of_work():
        await fetches.want(row["gateway"], References(gateway_id=row["gateway_id"]))

    for _ in range(fetching.MAXIMUM_ATTEMPTS):
        await fetching.work()
        await database.execute("UPDATE gateway_fetches SET due_at = now() WHERE gateway = $1", row["gateway"])

    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    async with shop.client(administrator) as http:
        (failed,) = (await http.get(f"/api/admin/gateway-fetches?failed=true&gateway={row['gateway']}")).json()["data"]
        alarms = (await http.get("/api/admin/alarms?standing=true")).json()["data"]
        assert failed["attempts"] == fetching.MAXIMUM_ATTEMPTS
        assert "gateway_fetch_failed" in {alarm["kind"] for alarm in alarms}
        await shop.stripe.http.request("DELETE", "/simulator/faults")
        await shop.mercadopago.http.request("DELETE", "/simulator/faults")
        assert (await http.post(f"/api/admin/gateway-fetches/{failed['id']}/replay")).status_code == 204
        await fetching.work()
        assert (await http.get(f"/api/admin/gateway-fetches?gateway={row['gateway']}")).json()["data"] == []
    assert await customer.payments() == [("completed", "49.90")]


@pytest.mark.parametrize("kind", ["another_secret", "altered", "serialized_again", "stale", "future", "none"])
async def test_5_what_is_forged_or_stale_changes_nothing(new_customer: NewCustomer, kind: str) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    await shop.stripe.order("webhooks", drop=True)
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id())
    (event, *_) = await stripe_events(shop)
    now = int(datetime.now(UTC).timestamp())
    body, headers = {
        "another_secret": lambda: signed(event, "whsec_another"),
        "stale": lambda: signed(event, at=now - 301),
        "future": lambda: signed(event, at=now + DAY),
    }.get(kind, lambda: signed(event))()
    if kind == "altered":
        body = body.replace(b"evt_", b"evx_", 1)
    if kind == "serialized_again":
        body = json.dumps(event, indent=1).encode()
    if kind == "none":
        headers = {}

    assert await deliver(shop, body, headers) == 401

    await shop.work()
    assert await picture(customer) == ((), (), ())


@pytest.mark.parametrize("change", [{"secret": "another"}, {"unsigned": True}])
async def test_5_a_forged_notification_of_mercado_pago_is_refused(
    new_customer: NewCustomer, change: dict[str, object]
) -> None:
    customer = await new_customer("mercadopago")

    assert (await customer.service.order("webhooks/forge", **change))["answer"] == 401


async def test_6_secrets_rotate_without_a_gap(new_customer: NewCustomer, shop: Shop) -> None:
    customer = await new_customer("stripe")
    await shop.stripe.order("webhooks", drop=True)
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id())
    first, second, *_ = await stripe_events(shop)
    rolling = stripe_gateway(str(shop.stripe.http.base_url), "whsec_new", STRIPE_SECRET)
    held = runtime()
    held.providers = msgspec.structs.replace(held.providers, gateways_by_name={"stripe": rolling})

    assert await deliver(shop, *signed(first)) == 200
    assert await deliver(shop, *signed(second, "whsec_new")) == 200
    assert await deliver(shop, *signed(second, "whsec_older")) == 401
    await applying.apply("events")
    await fetching.work()
    assert (await customer.access())["subscription"]["status"] == "active"
    await rolling.aclose()


async def test_7_a_delivery_refused_for_a_wrong_clock_is_taken_when_it_comes_again(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    await shop.stripe.order("webhooks", drop=True)
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id())
    (event, *_) = await stripe_events(shop)
    now = int(datetime.now(UTC).timestamp())

    assert [await deliver(shop, *signed(event, at=now + skew)) for skew in (-600, 600, -200, 200)] == [
        401,
        401,
        200,
        200,
    ]

    await shop.work()
    assert await customer.payments() == [("completed", "49.90")]


async def test_8_events_of_another_api_version_still_lead_to_the_state(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.shop.stripe.order("webhooks", api_version="2017-08-15")

    assert (await customer.subscribe())["subscription"]["status"] == "active"


@pytest.mark.parametrize(("currency", "amount"), [("USD", "19.99"), ("CLP", "4990"), ("JPY", "500"), ("BRL", "49.90")])
async def test_9_money_arrives_as_it_was_sold(new_customer: NewCustomer, currency: str, amount: str) -> None:
    customer = await new_customer("stripe")
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    if currency in {"CLP", "JPY"}:
        prices = (PlanPrice(currency=currency, amount=amount),)
        await update_plan(administrator.id, customer.shop.starter, PlanUpdate(prices=prices))

    await customer.subscribe(currency=currency)

    row = await database.fetch_row("SELECT amount, currency FROM payments WHERE user_id = $1", customer.member.id)
    assert row is not None
    assert (row["amount"], row["currency"]) == (Decimal(amount), currency)


ENDS = {
    "cancel_now": (False, False),
    "cancel_at_end": (True, False),
    "portal": (True, False),
    "refund_full": (False, True),
    "refund_part": (True, True),
    "dispute": (False, True),
}
"""What happens: whether access lasts until the period's end, and whether it is charged again then."""


@pytest.mark.parametrize("what", ENDS)
async def test_10_cancel_refund_and_end_are_different_facts(new_customer: NewCustomer, what: str) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    before = await customer.subscribe()
    row = await database.fetch_row(
        "SELECT s.gateway_id, p.transaction_id, p.id FROM subscriptions s JOIN payments p ON p.subscription_id = s.id"
        " WHERE s.user_id = $1",
        customer.member.id,
    )
    assert row is not None
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    async with shop.client(administrator) as http:
        match what:
            case "cancel_now" | "cancel_at_end":
                await customer.post("/api/subscription/cancel", at_period_end=what == "cancel_at_end")
            case "portal":
                await shop.stripe.order(f"portal_cancel/{row['gateway_id']}")
            case "dispute":
                await shop.stripe.order(f"dispute/{row['transaction_id']}")
            case _:
                amount = None if what == "refund_full" else "10.00"
                await http.post(f"/api/admin/payments/{row['id']}/refund", json={"amount": amount})
    await shop.work()
    lasts, renews = ENDS[what]

    now = await customer.access()
    kept = now["has_access"] and now["plan_id"] == shop.starter
    assert kept is lasts
    if lasts:
        assert now["subscription"]["access_until"] == before["subscription"]["access_until"]
    assert now["subscription"]["auto_renew"] is renews
    await shop.stripe.forward(33)
    await shop.work()
    assert len([one for one in await customer.payments() if one[0] == "completed"]) == (2 if renews else 1)


@pytest.mark.parametrize("kind", ["500", "cut"])
async def test_11_an_answer_that_is_lost_after_the_work_was_done(customer: Customer, kind: str) -> None:
    await customer.service.fail_after_start(kind)
    if customer.service.name == "stripe":
        lost = await customer.begin(status=502)
        assert lost["code"] == "payment_retryable"
    else:
        await customer.begin()  # the plugin finds by our reference what it was not told

    begun = await customer.begin()

    assert await customer.service.count() == 1
    await customer.service.pay(await customer.checkout_id())
    await customer.shop.work()
    assert (await customer.access())["subscription"]["status"] == "active"
    assert begun["status"] == "open"
    assert await customer.payments() == [("completed", "49.90")]


async def test_11_a_lost_checkout_that_was_looked_after_can_still_be_paid(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.service.fail_after_start("cut")
    await customer.begin(status=502)
    await checkouts.sweep(datetime.now(UTC) + timedelta(minutes=11))
    await customer.shop.work()
    number = "SELECT id FROM checkouts WHERE user_id = $1"
    found = await customer.get(f"/api/payments/checkouts/{await database.fetch_value(number, customer.member.id)}")

    begun = await customer.begin()

    assert found["step"] is None
    assert (begun["id"], begun["step"]["kind"]) == (found["id"], "redirect")
    assert await customer.service.count() == 1


async def test_11_two_requests_at_once_begin_one_checkout(customer: Customer) -> None:
    """Mercado Pago promises nothing of keys for subscriptions, so only one request may call it."""
    answers = await asyncio.gather(*(customer.begin() for _ in range(4)))

    assert len({answer["step"]["url"] for answer in answers}) == 1
    assert await customer.service.count() == 1


async def test_a_closed_checkout_stays_closed_until_it_is_paid(customer: Customer) -> None:
    first = await customer.begin()
    number = await customer.checkout_id()
    await database.execute("UPDATE checkouts SET status = 'expired' WHERE id = $1", first["id"])
    async with database.unit_of_work():
        await fetches.want(customer.service.name, References(checkout_id=number))
    await customer.shop.work()
    closed = await customer.get(f"/api/payments/checkouts/{first['id']}")

    await customer.service.pay(number)
    await customer.shop.work()

    assert closed["status"] == "expired"
    assert (await customer.get(f"/api/payments/checkouts/{first['id']}"))["status"] == "completed"


async def test_a_checkout_paid_in_the_moment_after_an_erasure_is_charged_once(customer: Customer) -> None:
    await customer.begin()
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    async with customer.shop.client(administrator) as http:
        assert (await http.delete(f"/api/admin/users/{customer.member.id}")).is_success
    await customer.service.pay(await customer.checkout_id())
    await customer.shop.work()

    await customer.service.forward(40)
    await customer.shop.work()

    rows = await database.fetch("SELECT status FROM payments WHERE user_id = $1", customer.member.id)
    assert [row["status"] for row in rows] == ["completed"]
    state = "SELECT status FROM subscriptions WHERE user_id = $1"
    assert await database.fetch_value(state, customer.member.id) == "canceled"


async def test_an_erased_account_is_never_charged_again(customer: Customer) -> None:
    await customer.subscribe()
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    async with customer.shop.client(administrator) as http:
        erased = await http.delete(f"/api/admin/users/{customer.member.id}")
        assert erased.status_code in {202, 204}, erased.text
    await customer.shop.work()

    await customer.service.forward(40)
    await customer.shop.work()

    rows = await database.fetch("SELECT status FROM payments WHERE user_id = $1", customer.member.id)
    assert [row["status"] for row in rows] == ["completed"]
    state = "SELECT status FROM subscriptions WHERE user_id = $1"
    assert await database.fetch_value(state, customer.member.id) == "canceled"


async def test_11_a_process_killed_while_it_begins_a_checkout(
    customer: Customer, config: PlatformConfig, tmp_path: Path
) -> None:
    shop = customer.shop
    await shop.stripe.order("faults", kind="hang", method="POST", path="/v1/checkout/sessions")
    await shop.mercadopago.order("faults", kind="hang_after", match="POST /preapproval")
    async with api_process(shop, config, tmp_path) as (process, url):
        headers = {"Authorization": f"Bearer {customer.member.token}"}
        wish = {"plan_id": shop.starter, "gateway": customer.service.name}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30) as http:
            asked = asyncio.create_task(http.post("/api/payments/checkout", json=wish))

            async def is_called() -> bool:
                leased = "SELECT lease_until IS NOT NULL FROM checkouts WHERE user_id = $1"
                return bool(await database.fetch_value(leased, customer.member.id))

            await eventually(is_called, seconds=20)
            await asyncio.sleep(0)
            process.send_signal(signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                await asked
    # The dead process's lease ends by itself; nobody waits for it here.
    await database.execute("UPDATE checkouts SET lease_until = now() WHERE user_id = $1", customer.member.id)

    await customer.begin()

    assert await customer.service.count() == 1
    await customer.service.pay(await customer.checkout_id())
    await shop.work()
    assert await customer.payments() == [("completed", "49.90")]


@pytest.mark.usefixtures("installation")
async def test_11_a_worker_killed_while_it_asks_the_gateway(
    new_customer: NewCustomer, installation: PlatformConfig, tmp_path: Path
) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    await customer.begin()
    await shop.stripe.pay(await customer.checkout_id())
    await shop.stripe.look("/simulator/deliveries")
    await shop.stripe.order("faults", kind="hang", method="GET", count=1)
    async with worker_process(shop, installation, tmp_path) as process:
        await webhooks.sweep()

        async def is_asked() -> bool:
            return bool(await database.fetch_value("SELECT count(*) FROM gateway_fetches WHERE lease_until > now()"))

        await eventually(is_asked, seconds=30)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    await database.execute("UPDATE gateway_fetches SET lease_until = NULL")

    await shop.work()

    assert (await customer.access())["subscription"]["status"] == "active"
    assert await customer.payments() == [("completed", "49.90")]
    assert await customer.notifications() == ["payment_succeeded"]


async def test_11_an_action_without_an_answer_is_repeated_under_its_key(customer: Customer) -> None:
    await customer.subscribe()
    await customer.shop.stripe.order("faults", kind="500_after", method="POST", path="/v1/subscriptions", count=3)
    await customer.shop.mercadopago.order("faults", kind="500_after", match="PUT /preapproval")
    waiting = await customer.post("/api/subscription/cancel", at_period_end=True)
    key = "SELECT idempotency_key FROM gateway_actions WHERE user_id = $1"
    before = await database.fetch_value(key, customer.member.id)

    await database.execute("UPDATE gateway_actions SET due_at = now() WHERE status = 'pending'")
    await customer.shop.work()

    subscription = (await customer.access())["subscription"]
    assert waiting["pending"] == ["cancel"]
    assert (subscription["auto_renew"], subscription["pending"]) == (False, [])
    assert await database.fetch_value(key, customer.member.id) == before


async def test_11_an_action_that_our_key_may_not_do_names_itself_until_it_is_done(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    await customer.subscribe()
    await customer.shop.stripe.order("faults", kind="401", method="POST", path="/v1/subscriptions", count=1)
    refused = await customer.http.post("/api/subscription/cancel", json={"at_period_end": True})
    assert (refused.status_code, refused.json()["code"]) == (502, "payment_configuration")
    action = await database.fetch_row(
        "SELECT a.id, s.gateway_id FROM gateway_actions a JOIN subscriptions s ON s.id = a.subscription_id"
        " WHERE a.user_id = $1",
        customer.member.id,
    )
    assert action is not None
    alarms = "SELECT detail, cleared_at IS NULL AS stands FROM alarms WHERE subject_type = 'gateway_action'"
    (raised,) = await database.fetch(f"{alarms} AND subject_id = $1", action["id"])
    named = {"asked": "cancel", "concerns": action["gateway_id"], "gateway": "stripe", "user": str(customer.member.id)}
    assert (json.loads(raised["detail"]), raised["stands"]) == (named, True)
    await database.execute("UPDATE gateway_actions SET due_at = now() WHERE status = 'pending'")
    await customer.shop.work()
    (over,) = await database.fetch(f"{alarms} AND subject_id = $1", action["id"])
    assert over["stands"] is False


async def test_11_two_checkouts_paid_at_once_are_one_subscription_and_a_refund(new_customer: NewCustomer) -> None:
    customer = await new_customer("stripe")
    shop = customer.shop
    await customer.begin()
    first = await customer.checkout_id()
    mercadopago = Customer(shop, customer.member, customer.http, shop.mercadopago)
    await mercadopago.begin()
    second = await mercadopago.checkout_id()
    # The payer has both pages open, and pays on both before anybody can close one.
    await shop.stripe.pay(first)
    await shop.mercadopago.pay(second)
    await shop.work()
    await shop.work()

    rows = await database.fetch(
        "SELECT gateway, status, duplicate, auto_renew FROM subscriptions WHERE user_id = $1", customer.member.id
    )
    alive = [row["gateway"] for row in rows if not row["duplicate"]]
    extra = next(row for row in rows if row["duplicate"])
    assert len(alive) == 1
    assert (extra["status"], extra["auto_renew"]) == ("canceled", False)
    refunded = await database.fetch(
        "SELECT gateway, refunded_amount FROM payments WHERE user_id = $1 ORDER BY refunded_amount", customer.member.id
    )
    assert [(row["gateway"], str(row["refunded_amount"])) for row in refunded] == [
        (alive[0], "0.00"),
        (extra["gateway"], "49.90"),
    ]
    assert (await customer.access())["has_access"]


async def test_12_a_failed_renewal_has_a_grace_one_notification_for_each_attempt_and_a_way_back(
    new_customer: NewCustomer,
) -> None:
    customer = await new_customer("stripe")
    stripe = customer.shop.stripe
    await customer.begin()
    await stripe.pay(await customer.checkout_id(), FAILS_LATER)
    await customer.shop.work()
    paid = await customer.access()

    await stripe.pass_period_end()
    await customer.shop.work()
    first = await customer.access()
    await stripe.forward(1.5)
    await customer.shop.work()
    told = await customer.notifications()

    until = datetime.fromisoformat(paid["subscription"]["access_until"])
    assert (first["subscription"]["status"], first["has_access"]) == ("past_due", True)
    assert datetime.fromisoformat(first["subscription"]["grace_until"]) == until + timedelta(days=7)
    assert told.count("payment_failed") == len([one for one in await customer.payments() if one[0] == "failed"]) == 2
    failed = (await customer.get("/api/payments?status=failed"))[0]
    retry = await customer.post(f"/api/payments/{failed['id']}/retry")
    assert (retry["checkout"], retry["step"]["kind"]) == (None, "redirect")

    await sweeping.sweep(until + timedelta(days=7) + MINUTE)
    assert (await customer.access())["subscription"]["status"] == "suspended"

    customer_id = await database.fetch_value(
        "SELECT customer_id FROM gateway_customers WHERE user_id = $1", customer.member.id
    )
    await stripe.order(f"card/{customer_id}")
    await stripe.forward(8)
    await customer.shop.work()
    back = await customer.access()
    assert (back["subscription"]["status"], back["has_access"]) == ("active", True)
    assert [status for status, _ in await customer.payments()].count("completed") == 2


async def test_12_a_renewal_that_nobody_pays_ends_in_the_end(customer: Customer) -> None:
    service = customer.service
    await customer.subscribe()
    if service.name == "stripe":
        found = await database.fetch_value(
            "SELECT customer_id FROM gateway_customers WHERE user_id = $1", customer.member.id
        )
        await service.order(f"card/{found}", card=FAILS_LATER)
    else:
        await service.order(f"preapprovals/{await customer.checkout_id()}/card", holder="FUND")
    for _ in range(12):
        await service.forward(10)
        await customer.shop.work()

    last = await customer.access()
    assert last["subscription"]["status"] in {"suspended", "canceled"}
    assert len([one for one in await customer.payments() if one[0] == "completed"]) == 1
    told = await customer.notifications()
    assert told.count("payment_failed") == len([one for one in await customer.payments() if one[0] == "failed"])


async def test_webhooks_that_never_come_are_made_up_for_at_night(customer: Customer) -> None:
    await customer.subscribe()
    await customer.shop.stripe.order("webhooks", drop=True)
    await customer.shop.mercadopago.order("options", webhooks="drop")
    await customer.service.forward(32)
    await customer.shop.work()
    assert len(await customer.payments()) == 1

    assert await fetches.reconcile(datetime.now(UTC)) == 0
    await fetches.reconcile(datetime.now(UTC) + timedelta(hours=25))
    await customer.shop.work()

    assert await customer.payments() == [("completed", "49.90"), ("completed", "49.90")]


@asynccontextmanager
async def api_process(
    shop: Shop, config: PlatformConfig, folder: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Run an API process of its own, with the run's database and both gateways."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ("-m", "uvicorn", "--factory", "core.asgi:create", "--port", str(port), "--log-level", "warning")
    url = f"http://127.0.0.1:{port}"
    async with process_of(shop, config, folder, command) as process, httpx.AsyncClient(base_url=url) as http:

        async def answers() -> bool:
            try:
                return (await http.get("/health/live")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, seconds=30)
        yield process, url


@asynccontextmanager
async def worker_process(shop: Shop, config: PlatformConfig, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker of its own."""
    async with process_of(shop, config, folder, ("-c", "from core.cli import main; main()", "worker")) as process:
        yield process


@asynccontextmanager
async def process_of(
    shop: Shop, config: PlatformConfig, folder: Path, command: tuple[str, ...]
) -> AsyncIterator[asyncio.subprocess.Process]:
    text = (
        f'[plugins.stripe]\nsecret_key = {{ env = "SHOP_KEY" }}\napi_url = "{_root(shop.stripe.http)}"\n'
        f'[plugins.mercadopago]\naccess_token = {{ env = "SHOP_TOKEN" }}\napi_url = "{_root(shop.mercadopago.http)}"\n'
        f'[server]\npublic_url = "{shop.url}"\n'
    )
    (folder / "platform.toml").write_text(text, encoding="utf-8")
    environment = {
        **os.environ,
        **server_variables(config),
        "RECADO_DATA": config.paths.data,
        "PYTHONPATH": str(Path.cwd()),
        "SHOP_KEY": KEY,
        "SHOP_TOKEN": "TEST-shop",
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _root(http: httpx.AsyncClient) -> str:
    return str(http.base_url).rstrip("/")
