"""What the gateway asks of the service, what it refuses, and what it does when an answer is lost."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.plugin import (
    CheckoutExpiry,
    ConfigurationError,
    Money,
    PaymentGateway,
    PlanChange,
    ProviderError,
    References,
    RefusedError,
    Resuming,
    RetryableError,
    SubscriptionStatus,
)
from core.plugin.testing import Answer, Routes, ScriptedServer
from plugins.mercadopago.conformance import MercadoPagoContract
from plugins.mercadopago.connection import API_URL
from tests.plugins.mercadopago.conftest import REFERENCE, Service, checkout

Start = Callable[..., Awaitable[Service]]


def change(price: str = "99.90", **more: Any) -> PlanChange:
    wish = PlanChange(
        idempotency_key="change-1",
        plan_id=2,
        plan_name="Business",
        price=Money(Decimal(price), "BRL"),
        interval="month",
        at_once=False,
    )
    return msgspec.structs.replace(wish, **more)


async def test_groups_of_the_protocol(service: Service) -> None:
    for group in (PaymentGateway, CheckoutExpiry, Resuming):
        assert isinstance(service.gateway, group)
    # What was cancelled is over: a pause alone can be ended.
    assert service.gateway.capabilities.resume is False
    assert service.gateway.capabilities.currencies == ("BRL",)


async def test_a_checkout_in_the_service_s_words() -> None:
    async with ScriptedServer(Answer(404), MercadoPagoContract.started) as server:
        subject = MercadoPagoContract().subject(server.url)
        await subject.gateway.start(checkout(price=Money(Decimal("19.99"), "BRL"), interval="year", trial_days=7))
        await subject.gateway.aclose()
    searched, made = server.requests

    assert searched.target == f"/preapproval/search?external_reference={REFERENCE}"
    assert (made.method, made.target, made.headers["x-idempotency-key"]) == ("POST", "/preapproval", "key-1")
    assert msgspec.json.decode(made.body) == {
        "reason": "Pro",
        "auto_recurring": {
            "frequency": 12,
            "frequency_type": "months",
            "transaction_amount": 19.99,
            "currency_id": "BRL",
            "free_trial": {"frequency": 7, "frequency_type": "days"},
        },
        "external_reference": REFERENCE,
        "payer_email": "payer@example.com",
        "back_url": "https://recado.example/yes?from=pay",
        "status": "pending",
    }


@pytest.mark.parametrize("kind", ["500_after", "cut_after", "hang_after", "html", "500_before", "cut_before"])
async def test_a_lost_answer_makes_no_second_subscription(start: Start, kind: str) -> None:
    service = await start()
    gateway = service.make_gateway(timeout_seconds=0.5)
    await service.fault(kind, "POST /preapproval")
    try:
        step: Any = await gateway.start(checkout())
    except RetryableError:
        step = await gateway.start(checkout())
    again = await gateway.start(checkout())
    await gateway.aclose()

    (made,) = await service.subscriptions()
    assert step == again
    assert step.gateway_id == made["id"]


async def test_another_process_finds_what_a_lost_answer_made(service: Service) -> None:
    await service.fault("500_after", "POST /preapproval")
    # The search that follows is lost too, and with it the process.
    await service.fault("429", "GET /preapproval/search", skip=1)
    with pytest.raises(RetryableError):
        await service.gateway.start(checkout())
    (made,) = await service.subscriptions()
    other = service.make_gateway()
    step: Any = await other.start(checkout())
    await other.aclose()

    assert step.gateway_id == made["id"]
    assert await service.subscriptions() == [made]


@pytest.mark.parametrize(
    ("wish", "error", "text"),
    [
        ({"price": Money(Decimal(10), "USD")}, ConfigurationError, "charges BRL and not USD"),
        ({"price": Money(Decimal("1.999"), "BRL")}, RefusedError, "has 2 decimals"),
        ({"price": Money(Decimal(0), "BRL")}, RefusedError, "nothing"),
        ({"coupon": "WELCOME"}, RefusedError, "no coupons"),
        ({"success_url": "ftp://recado.example"}, ConfigurationError, "public_url"),
        ({"payer_email": "nobody"}, RefusedError, "400"),
    ],
)
async def test_a_checkout_that_cannot_be(
    service: Service, wish: dict[str, Any], error: type[ProviderError], text: str
) -> None:
    with pytest.raises(error, match=text):
        await service.gateway.start(checkout(**wish))
    assert await service.subscriptions() == []


async def test_the_real_service_takes_https_alone(service: Service) -> None:
    gateway = service.make_gateway(api_url=API_URL)
    # Refused before anything is asked: the service is not reached from here.
    with pytest.raises(ConfigurationError, match="public_url"):
        await gateway.start(checkout(success_url="http://127.0.0.1:8000/paid"))
    await gateway.aclose()


async def test_mixed_accounts_are_a_configuration(start: Start) -> None:
    service = await start(account="test")
    with pytest.raises(ConfigurationError, match="real and test"):
        await service.gateway.start(checkout())
    step = await service.start(payer_email="test_user_1@testuser.com")
    assert step.gateway_id


async def test_a_link_to_a_page_that_does_not_exist_is_mended(start: Start) -> None:
    service = await start(activation=True)
    step = await service.start()

    assert "activation" not in step.url
    assert (await service.http.get(step.url)).status_code == 200
    assert (await service.http.get(f"{step.url}&activation=true")).status_code == 404


@pytest.mark.parametrize("amounts", ["number", "text"])
@pytest.mark.parametrize(
    ("site", "amount", "currency"),
    [
        ("MLB", "19.99", "BRL"),
        ("MLB", "49.9", "BRL"),
        ("MPE", "24.50", "PEN"),
        ("MLB", "1234567.89", "BRL"),
        ("MLC", "9990", "CLP"),
    ],
)
async def test_amounts_survive(start: Start, amounts: str, site: str, amount: str, currency: str) -> None:
    service = await start(site=site, amounts=amounts)
    price = Money(Decimal(amount), currency)
    number = await service.paid(price=price)
    snapshot = await service.fetch(number)
    (fact,) = snapshot.payments
    await service.gateway.refund(fact.transaction_id, Money(Decimal(amount), currency), idempotency_key="refund-1")
    (refunded,) = (await service.fetch(number)).payments

    assert (snapshot.price, fact.price, refunded.refunded) == (price, price, Decimal(amount))
    assert fact.refunded == 0


async def test_a_peso_without_cents(start: Start) -> None:
    service = await start(site="MLC")
    with pytest.raises(RefusedError, match="0 decimals"):
        await service.gateway.start(checkout(price=Money(Decimal("99.90"), "CLP")))


async def test_refunds_in_parts_and_whole(service: Service) -> None:
    number = await service.paid()
    payment = (await service.fetch(number)).payments[0].transaction_id
    for _ in range(2):
        await service.gateway.refund(payment, Money(Decimal("10.10"), "BRL"), idempotency_key="part")
    part = await service.fetch(number)
    with pytest.raises(RefusedError):
        await service.gateway.refund(payment, Money(Decimal("39.81"), "BRL"), idempotency_key="too-much")
    await service.gateway.refund(payment, Money(Decimal("39.80"), "BRL"), idempotency_key="rest")
    whole = await service.fetch(number)

    assert (part.payments[0].status, part.payments[0].refunded) == ("completed", Decimal("10.10"))
    assert (whole.payments[0].status, whole.payments[0].refunded) == ("completed", Decimal("49.90"))
    # The subscription goes on, and what becomes of the access is core's to say.
    assert (whole.status, whole.auto_renew) == (SubscriptionStatus.ACTIVE, True)


async def test_a_refund_whose_answer_is_lost_happens_once(service: Service) -> None:
    number = await service.paid()
    payment = (await service.fetch(number)).payments[0].transaction_id
    await service.fault("500_after", "POST /v1/payments")
    with pytest.raises(RetryableError):
        await service.gateway.refund(payment, Money(Decimal(5), "BRL"), idempotency_key="once")
    await service.gateway.refund(payment, Money(Decimal(5), "BRL"), idempotency_key="once")

    assert (await service.fetch(number)).payments[0].refunded == Decimal(5)


async def test_a_refund_of_what_there_is_not(service: Service) -> None:
    with pytest.raises(RefusedError):
        await service.gateway.refund("1", Money(Decimal(5), "BRL"), idempotency_key="none")


@pytest.mark.parametrize(
    ("order", "disputed"),
    [
        ({"status": "in_mediation", "detail": "pending"}, True),
        ({"status": "charged_back", "detail": "settled"}, True),
        ({"status": "charged_back", "detail": "reimbursed"}, False),
    ],
)
async def test_disputes(service: Service, order: dict[str, str], disputed: bool) -> None:  # noqa: FBT001 - a case
    number = await service.paid()
    payment = (await service.fetch(number)).payments[0].transaction_id
    await service.post(f"/simulator/payments/{payment}/dispute", **order)
    (fact,) = (await service.fetch(number)).payments

    assert (fact.status, fact.disputed) == ("completed", disputed)


async def test_a_new_price_counts_from_the_next_charge(service: Service) -> None:
    number = await service.paid()
    step = await service.gateway.change_plan(References(gateway_id=number), change())
    changed = await service.fetch(number)
    await service.after(days=31)
    renewed = await service.fetch(number)

    assert step is None
    assert (changed.price, len(changed.payments)) == (Money(Decimal("99.9"), "BRL"), 1)
    assert [fact.price.amount for fact in renewed.payments] == [Decimal("49.9"), Decimal("99.9")]
    assert (await service.get(f"/preapproval/{number}"))["reason"] == "Business"


@pytest.mark.parametrize("wish", [{"at_once": True}, {"interval": "year"}])
async def test_a_change_that_cannot_be(service: Service, wish: dict[str, Any]) -> None:
    number = await service.paid()
    with pytest.raises(RefusedError):
        await service.gateway.change_plan(References(gateway_id=number), change(**wish))
    assert (await service.fetch(number)).price == Money(Decimal("49.9"), "BRL")


async def test_a_cancellation_is_for_good_and_keeps_what_is_paid(service: Service) -> None:
    number = await service.paid()
    before = await service.fetch(number)
    for at_period_end in (True, False):
        refs = References(gateway_id=number)
        await service.gateway.cancel(refs, at_period_end=at_period_end, idempotency_key="cancel")
    await service.after(days=40)
    ended = await service.fetch(number)

    assert (ended.status, ended.auto_renew) == (SubscriptionStatus.CANCELED, False)
    assert (ended.access_until, len(ended.payments)) == (before.access_until, 1)
    with pytest.raises(RefusedError, match="take back"):
        await service.gateway.resume(References(gateway_id=number), idempotency_key="resume")


async def test_a_cancellation_that_the_payer_made_meanwhile(service: Service) -> None:
    number = await service.paid()
    page = await service.get(f"/preapproval/{number}")
    await service.post(f"/simulator/preapprovals/{number}/cancel")
    ended = msgspec.json.encode(await service.get(f"/preapproval/{number}"))
    refusal = Answer(400, b'{"message": "You can not modify a cancelled preapproval.", "status": 400}')
    first = Answer(200, msgspec.json.encode(page))
    routes: Routes = {f"GET /preapproval/{number}": (first, Answer(200, ended)), f"PUT /preapproval/{number}": refusal}
    async with ScriptedServer(Answer(404), routes) as server:
        gateway = service.make_gateway(api_url=server.url)
        await gateway.cancel(References(gateway_id=number), at_period_end=False, idempotency_key="cancel")
        await gateway.aclose()

    assert [request.method for request in server.requests] == ["GET", "PUT", "GET"]


async def test_only_what_nobody_authorized_expires(service: Service) -> None:
    waiting = await service.start()
    paid = await service.paid(reference="recado-other", idempotency_key="key-2")
    for number in (waiting.gateway_id, waiting.gateway_id, paid):
        await service.gateway.expire(References(checkout_id=number), idempotency_key="expire")

    assert (await service.fetch(waiting.gateway_id)).status is SubscriptionStatus.CANCELED
    assert (await service.fetch(paid)).status is SubscriptionStatus.ACTIVE


async def test_only_the_payer_authorizes(service: Service) -> None:
    step = await service.start()
    with pytest.raises(RefusedError):
        await service.gateway.resume(References(gateway_id=step.gateway_id), idempotency_key="resume")


async def test_whatever_leads_to_a_subscription(service: Service) -> None:
    number = await service.paid()
    expected = await service.fetch(number)
    installment = (await service.get(f"/authorized_payments/search?preapproval_id={number}"))["results"][0]["id"]
    payment = expected.payments[0].transaction_id
    for refs in (
        References(checkout_id=number),
        References(reference=REFERENCE),
        References(gateway_id="gone", reference=REFERENCE),
        References(object_kind="preapproval", object_id=number),
        References(object_kind="authorized_payment", object_id=str(installment)),
        References(object_kind="payment", object_id=payment),
    ):
        assert await service.gateway.fetch(refs) == expected


async def test_what_leads_to_none(service: Service) -> None:
    number = await service.subscribe()
    proof = (await service.get(f"/v1/payments/search?external_reference={REFERENCE}"))["results"][0]
    assert proof["operation_type"] == "card_validation"
    for refs in (
        References(gateway_id="0" * 32),
        References(gateway_id="../users/me"),
        References(reference="recado-nobody"),
        References(checkout_id=f"plan:{number}"),
        References(customer_id="766790067"),
        References(object_kind="payment", object_id=str(proof["id"])),
        References(object_kind="authorized_payment", object_id="1"),
        References(),
    ):
        assert await service.gateway.fetch(refs) is None


async def test_what_the_seller_sells_elsewhere_is_not_ours(service: Service) -> None:
    made = await service.post(
        "/preapproval",
        reason="Yoga classes",
        external_reference="YG-1234",
        payer_email="payer@example.com",
        back_url="https://yoga.example",
        auto_recurring={"frequency": 1, "frequency_type": "months", "transaction_amount": 10, "currency_id": "BRL"},
    )
    assert await service.gateway.fetch(References(object_kind="preapproval", object_id=made["id"])) is None


async def test_a_plan_s_link_makes_a_subscription_of_this_checkout(service: Service) -> None:
    gateway = service.make_gateway(checkout="plan")
    step: Any = await gateway.start(checkout())
    plan = step.gateway_id.removeprefix("plan:")
    nobody = await gateway.fetch(References(checkout_id=step.gateway_id, reference=REFERENCE))
    with pytest.raises(RefusedError, match="link of a plan"):
        await gateway.expire(References(checkout_id=step.gateway_id), idempotency_key="expire")
    made = await service.post(f"/simulator/plans/{plan}/subscribe", holder="APRO")
    await service.after(hours=2)
    by_checkout = await gateway.fetch(References(checkout_id=step.gateway_id))
    by_webhook = await gateway.fetch(References(object_kind="preapproval", object_id=made["id"]))
    await gateway.aclose()

    assert nobody is None
    assert step.url == f"{service.url}/subscriptions/checkout?preapproval_plan_id={plan}"
    assert by_checkout == by_webhook
    assert by_checkout is not None
    assert (by_checkout.gateway_id, by_checkout.checkout_id) == (made["id"], step.gateway_id)
    assert (by_checkout.reference, by_checkout.status) == (REFERENCE, SubscriptionStatus.ACTIVE)
    assert len(by_checkout.payments) == 1


async def test_there_is_no_portal(service: Service) -> None:
    with pytest.raises(RefusedError):
        await service.gateway.portal(References(gateway_id="1"), "https://recado.example")


async def test_check_names_the_account(service: Service) -> None:
    bare = service.make_gateway(webhook_secrets=())
    other = service.make_gateway(site="MLA")

    assert await service.gateway.check() == "Mercado Pago, account 823549964, site MLB, BRL"
    assert (await bare.check()).endswith("; no webhook_secrets are set")
    with pytest.raises(ConfigurationError, match="site MLB"):
        await other.check()
    await bare.aclose()
    await other.aclose()


async def test_many_installments_come_in_pages(service: Service) -> None:
    number = await service.paid()
    await service.after(days=31 * 14)
    every = await service.get(f"/authorized_payments/search?preapproval_id={number}&limit=90")
    snapshot = await service.fetch(number)

    assert every["paging"]["total"] == 16
    assert len(snapshot.payments) == 15
    assert snapshot.access_until is not None
    assert snapshot.access_until == snapshot.payments[-1].period_until


async def test_calls_wait_for_no_other(service: Service) -> None:
    await service.fault("hang_before", "GET /users/me", count=2)
    gateway = service.make_gateway(timeout_seconds=1.0)
    hanging = [asyncio.create_task(gateway.check()) for _ in range(2)]
    step = await gateway.start(checkout())
    results = await asyncio.gather(*hanging, return_exceptions=True)
    await gateway.aclose()

    assert step is not None
    assert [type(result) for result in results] == [RetryableError, RetryableError]
