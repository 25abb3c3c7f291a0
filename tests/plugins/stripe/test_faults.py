"""What goes wrong between Stripe and us: nothing is done twice, and nothing is taken for done that is not."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from core.plugin import (
    ConfigurationError,
    Redirect,
    References,
    RefusedError,
    RetryableError,
    Secret,
)
from core.plugin.testing import Answer, Routes, ScriptedServer
from plugins.stripe.conformance import StripeContract
from plugins.stripe.connection import Connection
from plugins.stripe.gateway import StripeGateway
from tests.plugins.stripe.conftest import KEY, Stripe, checkout, key, simulate


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(stripe: Stripe) -> None:
    wish = checkout()
    await stripe.order("faults", kind="500_after", path="/v1/checkout/sessions")

    step = await stripe.gateway.start(wish)

    asked = [one for one in await stripe.requests("/v1/checkout/sessions") if one["method"] == "POST"]
    assert [one["key"] for one in asked] == [wish.idempotency_key] * 2
    assert [one["id"] for one in (await stripe.look("/v1/checkout/sessions"))["data"]] == [step.gateway_id]


@pytest.mark.parametrize("kind", ["500_after", "cut_after", "500_before", "cut_before"])
async def test_a_start_that_failed_for_good_is_repeated_and_begins_one(
    begin: Callable[..., Awaitable[Stripe]], kind: str
) -> None:
    stripe = await begin()
    wish = checkout()
    await stripe.order("faults", kind=kind, count=3, method="POST", path="/v1/checkout/sessions")

    with pytest.raises(RetryableError):
        await stripe.gateway.start(wish)
    step = await stripe.gateway.start(wish)
    again = await stripe.gateway.start(wish)

    assert isinstance(step, Redirect)
    assert step == again
    assert len((await stripe.look("/v1/checkout/sessions"))["data"]) == 1
    assert len((await stripe.look("/v1/customers"))["data"]) == 1
    await stripe.order(f"pay/{step.gateway_id}")
    assert len((await stripe.look("/v1/subscriptions"))["data"]) == 1


async def test_a_subscription_with_a_client_secret_begins_once(begin: Callable[..., Awaitable[Stripe]]) -> None:
    stripe = await begin(publishable_key="pk_test_1")
    wish = checkout()
    await stripe.order("faults", kind="500_after", count=3, method="POST", path="/v1/subscriptions")

    with pytest.raises(RetryableError):
        await stripe.gateway.start(wish)
    step = await stripe.gateway.start(wish)

    assert [one["id"] for one in (await stripe.look("/v1/subscriptions"))["data"]] == [step.gateway_id]


async def test_starts_at_the_same_time_under_one_key_begin_one(stripe: Stripe) -> None:
    wish = checkout()

    steps = await asyncio.gather(*(stripe.gateway.start(wish) for _ in range(4)))

    assert len({one.gateway_id for one in steps}) == 1
    assert len((await stripe.look("/v1/customers"))["data"]) == 1


async def test_a_key_for_something_else_is_refused(stripe: Stripe) -> None:
    wish = checkout()
    await stripe.gateway.start(wish)

    with pytest.raises(RefusedError) as caught:
        await stripe.gateway.start(checkout(idempotency_key=wish.idempotency_key, payer_name="Eva"))
    assert caught.value.http_status == 400


async def test_a_rate_limit_is_left_to_the_caller(stripe: Stripe) -> None:
    await stripe.order("faults", kind="429", method="POST", path="/v1/customers")

    with pytest.raises(RetryableError) as caught:
        await stripe.gateway.start(checkout())

    assert caught.value.http_status == 429
    assert len(await stripe.requests("/v1/customers")) == 1


@pytest.mark.parametrize("kind", ["401", "403"])
async def test_a_key_that_may_not_is_for_the_administrator(stripe: Stripe, kind: str) -> None:
    await stripe.order("faults", kind=kind, path="/v1/account")

    with pytest.raises(ConfigurationError) as caught:
        await stripe.gateway.check()
    assert KEY not in str(caught.value)


async def test_a_wrong_key_is_refused_by_the_service(stripe: Stripe) -> None:
    gateway = StripeGateway(Connection(Secret("sk_test_wrong"), url=stripe.url))
    try:
        with pytest.raises(ConfigurationError) as caught:
            await gateway.check()
    finally:
        await gateway.aclose()
    assert "sk_test_wrong" not in f"{caught.value!r}"


@pytest.mark.parametrize("kind", ["html", "409", "500_before", "cut_before"])
async def test_a_fetch_that_failed_has_lost_nothing(stripe: Stripe, kind: str) -> None:
    first = await stripe.subscribe()
    await stripe.order("faults", kind=kind, count=3, path="/v1/subscriptions")

    with pytest.raises(RetryableError):
        await stripe.gateway.fetch(References(gateway_id=first.gateway_id))
    assert (await stripe.fetch(first)).status is first.status


async def test_a_service_that_hangs_is_given_up() -> None:
    async with simulate(seconds=0.2) as stripe:
        await stripe.order("faults", kind="hang", count=3, method="POST", path="/v1/customers")

        with pytest.raises(RetryableError):
            await stripe.gateway.start(checkout())


@pytest.mark.parametrize(
    "refs",
    [
        References(gateway_id="sub_none"),
        References(checkout_id="cs_none"),
        References(checkout_id="sub_none"),
        References(reference="recado-none"),
        References(customer_id="cus_none"),
        References(object_kind="invoice", object_id="in_none"),
        References(object_kind="charge", object_id="ch_none"),
        References(object_kind="payment_intent", object_id="pi_none"),
        References(object_kind="dispute", object_id="du_none"),
        References(object_kind="refund", object_id="re_none"),
        References(object_kind="payout", object_id="po_none"),
        References(),
    ],
)
async def test_what_stripe_does_not_know_is_none(stripe: Stripe, refs: References) -> None:
    assert await stripe.gateway.fetch(refs) is None


async def test_what_another_system_sells_is_none(stripe: Stripe) -> None:
    customer = (await stripe.post("/v1/customers", email="b@example.com")).json()["id"]
    price = await stripe.publish("10.00")
    made = await stripe.post("/v1/subscriptions", **{"customer": customer, "items[0][price]": price})
    foreign = made.json()["id"]

    assert await stripe.gateway.fetch(References(gateway_id=foreign)) is None
    assert await stripe.gateway.fetch(References(customer_id=customer)) is None


async def test_every_reference_leads_to_the_subscription(stripe: Stripe) -> None:
    first = await stripe.subscribe(reference="recado-find-me")
    payment = first.payments[0]
    await stripe.gateway.refund(payment.transaction_id, payment.price, idempotency_key=key())
    refund = (await stripe.look("/v1/refunds"))["data"][0]["id"]

    for refs in (
        References(reference="recado-find-me"),
        References(reference="recado-find-me", customer_id=first.customer_id),
        References(customer_id=first.customer_id),
        References(object_kind="customer", object_id=first.customer_id),
        References(object_kind="subscription", object_id=first.gateway_id),
        References(object_kind="invoice", object_id=payment.details["invoice"]),
        References(object_kind="payment_intent", object_id=payment.details["payment_intent"]),
        References(object_kind="charge", object_id=payment.transaction_id),
        References(object_kind="refund", object_id=refund),
    ):
        assert (await stripe.fetch(refs)).gateway_id == first.gateway_id, refs


async def test_an_open_checkout_is_found_by_its_reference_and_customer(stripe: Stripe) -> None:
    step = await stripe.start(reference="recado-open")

    found = await stripe.fetch(References(reference="recado-open", customer_id=step.customer_id))

    assert found.checkout_id == step.gateway_id


async def test_a_gateway_works_on_one_loop_after_another(stripe: Stripe) -> None:
    gateway = StripeGateway(Connection(Secret(KEY), url=stripe.url))

    async def ask() -> str:
        try:
            return await gateway.check()
        finally:
            await gateway.aclose()

    said = [await asyncio.to_thread(asyncio.run, ask()) for _ in range(2)]

    assert said[0] == said[1]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'"x"', b"null", b'{"object": "list"}'])
async def test_an_odd_answer_is_no_state(body: bytes) -> None:
    async with ScriptedServer(Answer(200, body)) as server:
        gateway = StripeGateway(Connection(Secret(KEY), url=server.url, retries=0))
        try:
            for refs in (References(gateway_id="sub_1"), References(customer_id="cus_1"), References(reference="r")):
                with pytest.raises(RetryableError):
                    await gateway.fetch(refs)
            with pytest.raises(RetryableError):
                await gateway.check()
        finally:
            await gateway.aclose()


async def test_a_page_that_fails_has_lost_nothing() -> None:
    charge = {"id": "ch_1", "object": "charge", "amount": 1, "currency": "brl", "created": 1, "status": "succeeded"}
    page = msgspec.json.encode({"object": "list", "data": [charge], "has_more": True, "url": "/v1/charges"})
    routes: Routes = {**StripeContract.subscription, "GET /v1/charges": (Answer(200, page), Answer(500, b"{}"))}
    async with ScriptedServer(Answer(404, b"{}"), routes) as server:
        gateway = StripeGateway(Connection(Secret(KEY), url=server.url, retries=0))
        try:
            with pytest.raises(RetryableError):
                await gateway.fetch(References(gateway_id="sub_1"))
        finally:
            await gateway.aclose()
