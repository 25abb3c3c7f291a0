"""The simulator's webhooks, judged by the gateway as core would."""

from itertools import permutations
from typing import Any

import stripe as library

from core.plugin import GatewayHint, References, Secret, Snapshot
from core.plugin.testing import Answer, ScriptedServer
from tests.plugins.stripe.conftest import Stripe, delivered, key, until


async def register(stripe: Stripe, receiver: ScriptedServer) -> tuple[str, Secret]:
    made = await stripe.gateway.register_webhook(f"{receiver.url}/api/webhooks/stripe", idempotency_key=key())
    assert made.version == library.api_version
    return made.gateway_id, made.secret


def hints(stripe: Stripe, receiver: ScriptedServer, *secrets: Secret) -> list[GatewayHint]:
    verdicts = [stripe.gateway.receive(delivered(one), secrets) for one in receiver.requests]
    assert all(one.genuine and not one.warning for one in verdicts)
    return [hint for one in verdicts for hint in one.hints]


async def test_each_event_of_a_first_month_leads_to_the_subscription(stripe: Stripe, receiver: ScriptedServer) -> None:
    _, secret = await register(stripe, receiver)
    first = await stripe.subscribe()
    await stripe.forward(32)

    found = hints(stripe, receiver, secret)
    fetched = [await stripe.gateway.fetch(one.refs) for one in found]

    assert {one.name for one in found} == {
        "checkout.session.completed",
        "customer.subscription.created",
        "customer.subscription.updated",
        "invoice.paid",
        "payment_intent.succeeded",
    }
    assert {one.gateway_id for one in fetched if one} == {first.gateway_id}
    assert None not in fetched
    assert len({one.dedupe_key for one in found}) == len(found)


async def test_any_order_of_deliveries_ends_in_the_same_state(stripe: Stripe, receiver: ScriptedServer) -> None:
    _, secret = await register(stripe, receiver)
    await stripe.order("webhooks", hold=True)
    first = await stripe.subscribe()
    names = ("customer.subscription.created", "invoice.paid", "checkout.session.completed")
    ends: set[tuple[Any, ...]] = set()

    await stripe.order("release", order=[*names])
    assert [one.name for one in hints(stripe, receiver, secret)] == [*names]
    for order in permutations(hints(stripe, receiver, secret)):
        state: Snapshot | None = None
        for hint in order:
            state = await stripe.gateway.fetch(hint.refs)
        assert state is not None
        ends.add((state.gateway_id, state.status, state.access_until, state.payments[0].transaction_id))

    assert ends == {(first.gateway_id, first.status, first.access_until, first.payments[0].transaction_id)}


async def test_duplicates_have_one_key(stripe: Stripe, receiver: ScriptedServer) -> None:
    _, secret = await register(stripe, receiver)
    await stripe.order("webhooks", copies=3)
    await stripe.subscribe()

    found = [one for one in hints(stripe, receiver, secret) if one.name == "invoice.paid"]

    assert len(found) == 3
    assert len({one.dedupe_key for one in found}) == 1


async def test_forged_stale_future_altered_and_unsigned_deliveries_are_refused(
    stripe: Stripe, receiver: ScriptedServer
) -> None:
    _, secret = await register(stripe, receiver)
    await stripe.subscribe()
    (event,) = (await stripe.look("/v1/events?type=invoice.paid"))["data"]
    receiver.requests.clear()

    for kind in ("forged", "stale", "future", "altered", "unsigned"):
        await stripe.order(f"trick/{event['id']}", kind=kind)

    verdicts = [stripe.gateway.receive(delivered(one), (secret,)) for one in receiver.requests]
    assert [(one.genuine, one.status, one.hints) for one in verdicts] == [(False, 400, ())] * 5


async def test_a_secret_is_replaced_without_a_gap(stripe: Stripe, receiver: ScriptedServer) -> None:
    number, old = await register(stripe, receiver)
    new = Secret((await stripe.order(f"roll/{number}", seconds=3600))["secret"])
    await stripe.subscribe()
    both = receiver.requests[-1]
    await stripe.forward(1)
    receiver.requests.clear()
    await stripe.subscribe()

    assert stripe.gateway.receive(delivered(both), (old,)).genuine
    assert stripe.gateway.receive(delivered(both), (new,)).genuine
    assert not stripe.gateway.receive(delivered(receiver.requests[-1]), (old,)).genuine
    assert stripe.gateway.receive(delivered(receiver.requests[-1]), (new, old)).genuine


async def test_an_event_may_come_before_the_answer(stripe: Stripe, receiver: ScriptedServer) -> None:
    _, secret = await register(stripe, receiver)
    first = await stripe.subscribe()
    receiver.requests.clear()
    await stripe.order("webhooks", before_answer=True)

    await stripe.gateway.cancel(References(gateway_id=first.gateway_id), at_period_end=True, idempotency_key=key())

    assert [one.name for one in hints(stripe, receiver, secret)] == ["customer.subscription.updated"]


async def test_what_was_not_taken_comes_again(stripe: Stripe, receiver: ScriptedServer) -> None:
    _, secret = await register(stripe, receiver)
    receiver.reaction = Answer(500, b"")
    await stripe.subscribe()
    failed = len(receiver.requests)
    receiver.reaction = Answer(200, b"")
    receiver.requests.clear()

    await stripe.forward(0.1)

    assert len(receiver.requests) == failed
    assert hints(stripe, receiver, secret)
    assert {tuple(one["statuses"]) for one in await stripe.look("/simulator/deliveries")} == {(500, 200)}


async def test_a_removed_address_gets_nothing(stripe: Stripe, receiver: ScriptedServer) -> None:
    number, _ = await register(stripe, receiver)

    await stripe.gateway.remove_webhook(number)
    await stripe.gateway.remove_webhook(number)
    await stripe.subscribe()

    assert receiver.requests == []


async def test_an_event_of_another_version_is_used_with_a_warning(stripe: Stripe, receiver: ScriptedServer) -> None:
    _, secret = await register(stripe, receiver)
    await stripe.order("webhooks", api_version="2026-03-25.dahlia")
    await stripe.subscribe()

    verdicts = [stripe.gateway.receive(delivered(one), (secret,)) for one in receiver.requests]

    assert all("2026-03-25.dahlia" in one.warning for one in verdicts)
    assert all(one.hints for one in verdicts)


async def test_a_lost_event_is_made_good_by_a_fetch(stripe: Stripe, receiver: ScriptedServer) -> None:
    await register(stripe, receiver)
    await stripe.order("webhooks", drop=True)

    first = await stripe.subscribe(reference="recado-lost")

    assert receiver.requests == []
    found = await stripe.fetch(References(reference="recado-lost"))
    assert found.gateway_id == first.gateway_id


async def test_deliveries_follow_the_answer_of_a_call(stripe: Stripe, receiver: ScriptedServer) -> None:
    await register(stripe, receiver)
    first = await stripe.subscribe()
    receiver.requests.clear()

    await stripe.gateway.cancel(References(gateway_id=first.gateway_id), at_period_end=False, idempotency_key=key())

    await until(lambda: len(receiver.requests) == 1)
    assert b'"type": "customer.subscription.deleted"' in receiver.requests[0].body
