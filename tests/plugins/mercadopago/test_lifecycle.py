"""A subscription's life, from the payer's yes to its end, over HTTP."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from core.plugin import Money, References, Snapshot, SubscriptionStatus
from plugins.mercadopago.reading import after
from tests.plugins.mercadopago.conftest import REFERENCE, Service, outcome

Start = Callable[..., Awaitable[Service]]
PRICE = Decimal("49.90")


async def first_debit(service: Service, number: str) -> datetime:
    rows = (await service.get(f"/authorized_payments/search?preapproval_id={number}&limit=90"))["results"]
    return min(datetime.fromisoformat(row["debit_date"]) for row in rows)


def status(snapshot: Snapshot) -> tuple[SubscriptionStatus, list[tuple[str, Decimal, int]]]:
    return snapshot.status, [outcome(fact) for fact in snapshot.payments]


async def test_what_waits_for_its_payer_gives_no_access(service: Service) -> None:
    step = await service.start()
    snapshot = await service.fetch(step.gateway_id)

    assert step.url == f"{service.url}/subscriptions/checkout?preapproval_id={step.gateway_id}"
    assert (snapshot.status, snapshot.access_until, snapshot.payments) == (SubscriptionStatus.PENDING, None, ())
    assert (snapshot.reference, snapshot.checkout_id) == (REFERENCE, step.gateway_id)
    assert snapshot.price == Money(Decimal("49.9"), "BRL")
    assert snapshot.action_url == step.url


async def test_authorized_is_not_paid(service: Service) -> None:
    number = await service.subscribe()
    agreed = await service.fetch(number)
    await service.after(hours=1.1)
    paid = await service.fetch(number)

    assert (agreed.status, agreed.raw_status, agreed.access_until) == (SubscriptionStatus.PENDING, "authorized", None)
    # The payment that proves the card is no payment of the subscription.
    assert agreed.payments == ()
    assert status(paid) == (SubscriptionStatus.ACTIVE, [("completed", PRICE, 1)])
    assert paid.access_until == after(await first_debit(service, number), 1, "months")
    assert paid.payments[0].period_until == paid.access_until
    assert (paid.auto_renew, paid.customer_id) == (True, "766790067")


async def test_the_first_rejection_ends_it_and_a_new_attempt_is_a_new_one(service: Service) -> None:
    number = await service.subscribe("FUND")
    await service.after(hours=2)
    refused = await service.fetch(number)
    second = await service.paid(reference="recado-1a2b3c4d-18", idempotency_key="key-2")

    assert status(refused) == (SubscriptionStatus.CANCELED, [("failed", PRICE, 1)])
    assert refused.payments[0].failure_code == "cc_rejected_insufficient_amount"
    assert refused.payments[0].failure == "insufficient_funds"
    assert (refused.access_until, refused.auto_renew) == (None, False)
    assert (await service.fetch(second)).status is SubscriptionStatus.ACTIVE


async def test_renewals_prolong_the_access(service: Service) -> None:
    number = await service.paid()
    first = await first_debit(service, number)
    await service.after(days=62)
    snapshot = await service.fetch(number)

    assert status(snapshot) == (SubscriptionStatus.ACTIVE, [("completed", PRICE, 1)] * 3)
    ends = [fact.period_until for fact in snapshot.payments]
    assert ends == [after(first, months, "months") for months in (1, 2, 3)]
    assert snapshot.access_until == ends[-1]


async def test_a_renewal_that_fails_is_tried_again_and_recovers(service: Service) -> None:
    number = await service.paid()
    paid_until = (await service.fetch(number)).access_until
    assert paid_until is not None
    await service.post(f"/simulator/preapprovals/{number}/card", holder="FUND")
    await service.post("/simulator/clock", to=(paid_until + timedelta(hours=1)).isoformat())
    failing = await service.fetch(number)
    await service.after(days=2.5)
    again = await service.fetch(number)
    await service.post(f"/simulator/preapprovals/{number}/card", holder="APRO")
    await service.after(days=2.5)
    recovered = await service.fetch(number)

    assert status(failing) == (SubscriptionStatus.PAST_DUE, [("completed", PRICE, 1), ("failed", PRICE, 1)])
    # A period that is not paid for does not count.
    assert failing.access_until == paid_until
    assert failing.payments[-1].next_attempt_at == paid_until + timedelta(days=2.5)
    # Each attempt is a payment of its own; the authorized payment names the last alone.
    assert [outcome(fact) for fact in again.payments[1:]] == [("failed", PRICE, 1), ("failed", PRICE, 2)]
    assert len({fact.transaction_id for fact in again.payments}) == 3
    assert again.payments[1].next_attempt_at is None
    assert recovered.status is SubscriptionStatus.ACTIVE
    assert [outcome(fact) for fact in recovered.payments[1:]] == [
        ("failed", PRICE, 1),
        ("failed", PRICE, 2),
        ("completed", PRICE, 3),
    ]
    # The next charge keeps its day, although this one came five days late.
    assert recovered.access_until == after(paid_until, 1, "months")


async def test_a_renewal_that_is_given_up_suspends_and_at_last_cancels(start: Start) -> None:
    service = await start(cancel_after=2)
    number = await service.paid()
    paid_until = (await service.fetch(number)).access_until
    await service.post(f"/simulator/preapprovals/{number}/card", holder="OTHE")
    await service.after(days=45)
    given_up = await service.fetch(number)
    await service.after(days=31)
    ended = await service.fetch(number)

    assert given_up.status is SubscriptionStatus.SUSPENDED
    assert [outcome(fact)[0::2] for fact in given_up.payments[1:]] == [("failed", count) for count in range(1, 6)]
    assert given_up.payments[-1].next_attempt_at is None
    assert given_up.access_until == paid_until
    assert (ended.status, ended.auto_renew, ended.access_until) == (SubscriptionStatus.CANCELED, False, paid_until)
    assert len(ended.payments) == 11


async def test_a_free_trial_gives_access_until_the_first_charge(service: Service) -> None:
    number = await service.subscribe(trial_days=14)
    trial = await service.fetch(number)
    first = await first_debit(service, number)
    await service.after(days=15)
    paid = await service.fetch(number)

    assert (trial.status, trial.access_until, trial.payments) == (SubscriptionStatus.TRIAL, first, ())
    assert status(paid) == (SubscriptionStatus.ACTIVE, [("completed", PRICE, 1)])
    assert paid.access_until == after(first, 1, "months")


async def test_charges_count_where_no_installment_is_listed(start: Start) -> None:
    service = await start()
    number = await service.paid()
    listed = await service.fetch(number)
    await service.post("/simulator/options", lists_installments=False)
    unlisted = await service.fetch(number)
    await service.post(f"/simulator/preapprovals/{number}/card", holder="FUND")
    await service.after(days=34)
    failing = await service.fetch(number)
    await service.post(f"/simulator/preapprovals/{number}/card", holder="APRO")
    await service.after(days=3)
    recovered = await service.fetch(number)

    assert (unlisted.status, unlisted.access_until) == (SubscriptionStatus.ACTIVE, listed.access_until)
    assert status(unlisted) == status(listed)
    assert status(failing) == (
        SubscriptionStatus.PAST_DUE,
        [("completed", PRICE, 1), ("failed", PRICE, 1), ("failed", PRICE, 2)],
    )
    assert listed.access_until is not None
    assert failing.access_until is not None
    # Where nothing is listed, the next charge's day is told by the first attempt at it, which comes a moment later.
    assert timedelta(0) <= failing.access_until - listed.access_until < timedelta(minutes=1)
    assert (recovered.status, outcome(recovered.payments[-1])) == (
        SubscriptionStatus.ACTIVE,
        ("completed", PRICE, 3),
    )
    assert recovered.access_until == after(listed.access_until, 1, "months")


@pytest.mark.parametrize("kind", ["payment", "authorized_payment"])
async def test_what_a_webhook_names_counts_where_nothing_is_found(start: Start, kind: str) -> None:
    service = await start()
    number = await service.paid()
    expected = await service.fetch(number)
    (fact,) = expected.payments
    named = {"payment": fact.transaction_id, "authorized_payment": fact.details["authorized_payment_id"]}
    await service.post("/simulator/options", lists_installments=False, finds_payments=False)
    found = await service.gateway.fetch(References(object_kind=kind, object_id=named[kind]))

    assert found is not None
    assert (status(found), found.access_until) == (status(expected), expected.access_until)


async def test_a_payment_in_process_waits(service: Service) -> None:
    number = await service.subscribe("CONT")
    await service.after(hours=2)
    waiting = await service.fetch(number)
    payment = waiting.payments[0].transaction_id
    await service.post(f"/simulator/payments/{payment}/resolve", status="approved")
    paid = await service.fetch(number)

    assert status(waiting) == (SubscriptionStatus.PENDING, [("pending", PRICE, 1)])
    assert waiting.access_until is None
    assert status(paid) == (SubscriptionStatus.ACTIVE, [("completed", PRICE, 1)])


async def test_a_pause_and_its_end(service: Service) -> None:
    number = await service.paid()
    paid_until = (await service.fetch(number)).access_until
    await service.post(f"/simulator/preapprovals/{number}/pause")
    await service.after(days=40)
    paused = await service.fetch(number)
    await service.gateway.resume(References(gateway_id=number), idempotency_key="resume")
    await service.after(days=31)
    resumed = await service.fetch(number)

    assert (paused.status, paused.auto_renew, paused.access_until) == (SubscriptionStatus.PAUSED, False, paid_until)
    assert len(paused.payments) == 1
    assert (resumed.status, len(resumed.payments)) == (SubscriptionStatus.ACTIVE, 2)


async def test_a_year(service: Service) -> None:
    number = await service.paid(interval="year")
    snapshot = await service.fetch(number)
    first = await first_debit(service, number)

    assert snapshot.access_until == first.replace(year=first.year + 1)


async def test_a_status_that_is_not_known_leaves_everything_to_core(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start()
    step = await service.start()
    monkeypatch.setattr("plugins.mercadopago.reading._STATUSES", {})
    snapshot = await service.fetch(step.gateway_id)

    assert (snapshot.status, snapshot.raw_status) == (SubscriptionStatus.UNKNOWN, "pending")
