"""The simulator's webhooks through the gateway: signed, repeated, late, forged, rotated, and before the answer."""

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from core.plugin import Secret, Snapshot
from core.plugin.testing import Answer
from tests.plugins.mercadopago.conftest import REFERENCE, Service, checkout, delivery_of

Start = Callable[..., Awaitable[Service]]


async def states(service: Service) -> list[Snapshot | None]:
    """What each hint so far leads to."""
    return [await service.gateway.fetch(hint.refs) for hint in service.hints()]


async def test_every_hint_of_the_first_month_leads_to_the_same_state(service: Service) -> None:
    number = await service.paid()
    expected = await service.fetch(number)
    names = [hint.name for hint in service.hints()]
    found = await states(service)

    assert set(names) == {
        "subscription_preapproval.created",
        "subscription_preapproval.updated",
        "subscription_authorized_payment.created",
        "subscription_authorized_payment.updated",
        "payment.created",
        "payment.updated",
    }
    # The payment that proves the card has nothing to do with the subscription.
    proofs = [name for name, state in zip(names, found, strict=True) if state is None]
    assert proofs == ["payment.updated"]
    assert all(state == expected for state in found if state is not None)


async def test_any_order_says_the_same(start: Start) -> None:
    service = await start(webhooks="hold")
    number = await service.paid()
    held = [one["id"] for one in await service.get("/simulator/webhooks") if one["topic"] != "payment"][:3]
    expected = await service.fetch(number)
    assert service.receiver.requests == []
    for order in itertools.permutations(held):
        service.receiver.requests.clear()
        answers = await service.post("/simulator/webhooks/release", ids=list(order))
        assert answers == {"answers": [200, 200, 200]}
        assert await states(service) == [expected] * 3


async def test_a_duplicate_has_the_key_of_the_first(start: Start) -> None:
    service = await start(webhooks="duplicate")
    await service.start()
    await service.get("/simulator/webhooks")
    first, second = service.hints()

    assert first == second


async def test_a_delivery_that_was_not_taken_comes_again_with_the_same_key(service: Service) -> None:
    service.receiver.routes["POST /hook"] = (Answer(503), Answer(500), Answer(200))
    await service.start()
    await service.get("/simulator/webhooks")
    await service.after(hours=1)
    (delivery,) = await service.get("/simulator/webhooks")
    keys = {hint.dedupe_key for hint in service.hints()}

    assert [attempt["status"] for attempt in delivery["attempts"]] == [503, 500, 200]
    assert [request.headers["x-retry"] for request in service.receiver.requests] == ["0", "1", "2"]
    assert len(keys) == 1


async def test_a_forged_delivery_is_refused(service: Service) -> None:
    step = await service.start()
    await service.get("/simulator/webhooks")
    service.receiver.requests.clear()
    forged: list[dict[str, Any]] = [{"secret": "guessed"}, {"unsigned": True}]
    for order in forged:
        await service.post(
            "/simulator/webhooks/forge", topic="subscription_preapproval", object_id=step.gateway_id, **order
        )
    verdicts = [service.gateway.receive(delivery_of(one), ()) for one in service.receiver.requests]

    assert [(verdict.genuine, verdict.status) for verdict in verdicts] == [(False, 401)] * 2


async def test_a_late_delivery_is_refused_and_one_within_a_day_is_not(service: Service) -> None:
    await service.start()
    await service.get("/simulator/webhooks")
    (request,) = service.receiver.requests
    stamp = int(request.headers["x-signature"].split(",")[0].removeprefix("ts="))
    day, later = service.make_gateway(replay_window_seconds=86_400), service.make_gateway(replay_window_seconds=60)
    service.receiver.requests.clear()
    secret = "simulated-webhook-secret"
    await service.post("/simulator/webhooks/forge", object_id="1", stamp=stamp - 3_600_000, secret=secret)
    (old,) = service.receiver.requests

    assert day.receive(delivery_of(old), ()).genuine
    assert not later.receive(delivery_of(old), ()).genuine
    await day.aclose()
    await later.aclose()


async def test_seconds(start: Start) -> None:
    service = await start(ts_unit="s")
    gateway = service.make_gateway(replay_window_seconds=60)
    await service.start()
    await service.get("/simulator/webhooks")

    assert len(service.hints(gateway)) == 1
    await gateway.aclose()


async def test_a_secret_that_is_reset_counts_at_once(service: Service) -> None:
    await service.start()
    await service.post("/simulator/options", webhook_secret="after-the-reset")
    await service.start(reference="recado-2")
    await service.get("/simulator/webhooks")
    old = service.gateway
    both = service.make_gateway(webhook_secrets=(Secret("after-the-reset"), Secret("simulated-webhook-secret")))
    first, second = (delivery_of(one) for one in service.receiver.requests)

    assert [both.receive(one, ()).genuine for one in (first, second)] == [True, True]
    assert [old.receive(one, ()).genuine for one in (first, second)] == [True, False]
    # What core keeps counts too.
    assert old.receive(second, (Secret("after-the-reset"),)).genuine
    await both.aclose()


async def test_a_webhook_before_the_answer_finds_the_subscription(start: Start) -> None:
    service = await start(webhooks_first=True)
    await service.fault("hang_after", "POST /preapproval")
    gateway = service.make_gateway(timeout_seconds=0.5)
    step: Any = await gateway.start(checkout())
    (hint,) = service.hints()
    found = await gateway.fetch(hint.refs)
    await gateway.aclose()

    assert found is not None
    assert (found.reference, found.gateway_id) == (REFERENCE, step.gateway_id)


async def test_what_is_dropped_is_found_by_asking(start: Start) -> None:
    service = await start(webhooks="drop")
    number = await service.paid()

    assert service.receiver.requests == []
    assert len((await service.fetch(number)).payments) == 1
