"""What the simulator refuses as Stripe would, and that its answers have the shapes of the library."""

from typing import Any

import httpx
import pytest
import stripe as library

from plugins.stripe.simulator.requests import Refused, read_form, read_params
from plugins.stripe.simulator.shapes import misfits, part
from tests.plugins.stripe.conftest import Stripe, checkout


def error(response: httpx.Response) -> tuple[int, str, str, str]:
    found = response.json()["error"]
    return response.status_code, found["type"], found.get("code", ""), found.get("param", "")


SESSION = {
    "mode": "subscription",
    "success_url": "https://recado.example/yes",
    "line_items[0][price_data][currency]": "brl",
    "line_items[0][price_data][unit_amount]": "4990",
    "line_items[0][price_data][recurring][interval]": "month",
    "line_items[0][price_data][product_data][name]": "Pro",
    "line_items[0][quantity]": "1",
}


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"payment_method_types[0]": "card"}, "parameter_unknown", "payment_method_types"),
        ({"line_items[0][amount]": "1"}, "parameter_unknown", "line_items[0][amount]"),
        ({"line_items[0][quantity]": "1.5"}, "parameter_invalid_integer", "line_items[0][quantity]"),
        ({"line_items[0][price_data][unit_amount]": "49.90"}, "parameter_invalid_integer", ""),
        ({"mode": "rent"}, "", "mode"),
        ({"customer": "cus_none"}, "resource_missing", "customer"),
        ({"customer": ""}, "parameter_invalid_empty", "customer"),
        ({"discounts[0][promotion_code]": "promo_none"}, "resource_missing", "discounts[0][promotion_code]"),
        ({"ui_mode": "hosted"}, "", "ui_mode"),
        ({"subscription_data": "x"}, "", "subscription_data"),
    ],
)
async def test_checkouts_that_are_refused(stripe: Stripe, changes: dict[str, str], code: str, param: str) -> None:
    status, kind, found, where = error(await stripe.post("/v1/checkout/sessions", **(SESSION | changes)))

    assert (status, kind, found) == (400, "invalid_request_error", code)
    assert param in where


async def test_a_checkout_that_is_taken(stripe: Stripe) -> None:
    response = await stripe.post("/v1/checkout/sessions", **SESSION)

    assert response.status_code == 200
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["stripe-version"] == library.api_version


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/customers/cus_none", "resource_missing"),
        ("/v1/nothing", ""),
        ("/v1/subscriptions/in_1", "resource_missing"),
    ],
)
async def test_what_does_not_exist(stripe: Stripe, path: str, code: str) -> None:
    status, kind, found, _ = error(await stripe.http.get(path))

    assert (status, kind, found) == (404, "invalid_request_error", code)


async def test_an_idempotency_key_replays_its_first_answer(stripe: Stripe) -> None:
    headers = {"Idempotency-Key": "one"}
    first, again, other = [
        await stripe.http.post("/v1/customers", data={"email": email}, headers=headers)
        for email in ("a@example.com", "a@example.com", "b@example.com")
    ]

    assert first.json() == again.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert error(other)[:2] == (400, "idempotency_error")


async def test_wrong_parameters_use_no_key_up(stripe: Stripe) -> None:
    headers = {"Idempotency-Key": "two"}
    refused = await stripe.http.post("/v1/customers", data={"mail": "a@example.com"}, headers=headers)
    taken = await stripe.http.post("/v1/customers", data={"email": "a@example.com"}, headers=headers)

    assert (refused.status_code, taken.status_code) == (400, 200)


async def test_keys_versions_and_bodies(stripe: Stripe) -> None:
    async with httpx.AsyncClient(base_url=stripe.url) as http:
        none = await http.get("/v1/account")
        wrong = await http.get("/v1/account", headers={"Authorization": "Bearer sk_test_other_key"})
        basic = await http.get("/v1/account", auth=("sk_test_simulator", ""))
        control = await http.get("/simulator/clock")
    version = await stripe.http.get("/v1/account", headers={"Stripe-Version": "2017-08-15"})
    json = await stripe.http.post("/v1/customers", json={"email": "a@example.com"})

    assert [one.status_code for one in (none, wrong, basic, version, json, control)] == [401, 401, 200, 400, 400, 401]
    assert "sk_test_other_key" not in wrong.text


async def test_expansion(stripe: Stripe) -> None:
    first = await stripe.subscribe()
    path = f"/v1/subscriptions/{first.gateway_id}"

    plain = await stripe.look(path)
    deep = await stripe.look(f"{path}?expand[0]=latest_invoice.payments&expand[1]=customer")
    unknown = await stripe.http.get(f"{path}?expand[0]=wallet")
    too_deep = await stripe.http.get("/v1/invoices?expand[0]=data.payments.data.payment.payment_intent")

    assert isinstance(plain["latest_invoice"], str)
    assert deep["customer"]["email"] == "ana@example.com"
    assert deep["latest_invoice"]["payments"]["data"][0]["status"] == "paid"
    assert "payments" not in await stripe.look(f"/v1/invoices/{plain['latest_invoice']}")
    assert [one.status_code for one in (unknown, too_deep)] == [400, 400]


async def test_pages(stripe: Stripe) -> None:
    for number in range(5):
        await stripe.post("/v1/customers", email=f"{number}@example.com")

    first = await stripe.look("/v1/customers?limit=2")
    second = await stripe.look(f"/v1/customers?limit=2&starting_after={first['data'][-1]['id']}")
    last = await stripe.look(f"/v1/customers?limit=2&starting_after={second['data'][-1]['id']}")

    assert [one["email"][0] for page in (first, second, last) for one in page["data"]] == ["4", "3", "2", "1", "0"]
    assert [page["has_more"] for page in (first, second, last)] == [True, True, False]


@pytest.mark.parametrize("body", ["items[0][prize]=price_1", "cancel_at_period_end=maybe", "coupon=x", "metadata=1"])
def test_updates_that_the_library_does_not_know(body: str) -> None:
    with pytest.raises(Refused):
        read_params(read_form(body), library.params.SubscriptionUpdateParams)


def test_the_walk_finds_what_does_not_fit() -> None:
    good = part(library.Invoice, id="in_1", status="open", currency="brl")
    odd: list[dict[str, Any]] = [
        {"subscription": "sub_1"},
        {"amount_due": "1"},
        {"status": "new"},
        {"lines": []},
        {"customer": 7},
    ]
    for changes in odd:
        assert len([*misfits(good | changes)]) == 1, changes
    del good["amount_due"]
    assert [*misfits(good)] == [".amount_due: missing"]


async def test_a_payer_pays_on_the_page(stripe: Stripe) -> None:
    step = await stripe.start(success_url="https://recado.example/done?sid={CHECKOUT_SESSION_ID}")

    page = await stripe.http.get(step.url)
    declined = await stripe.http.post(step.url, data={"card": "4000000000000002"})
    odd = await stripe.http.post(step.url, data={"card": "<script>"})
    asked = await stripe.http.post(step.url, data={"card": "4000002500003155"})
    paid = await stripe.http.post(step.url, data={"card": "4000002500003155", "confirm": "yes"})
    closed = await stripe.http.get(step.url)

    assert "49.90 BRL" in page.text
    assert "Your card was declined" in declined.text
    assert "<script>" not in odd.text
    assert "It is me" in asked.text
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://recado.example/done?sid={step.gateway_id}")
    assert "complete" in closed.text


async def test_a_payer_goes_back(stripe: Stripe) -> None:
    step = await stripe.start()

    left = await stripe.http.post(step.url, data={"action": "abandon"})

    assert left.headers["location"] == checkout().cancel_url


async def test_a_payer_uses_the_portal_and_pays_an_invoice(stripe: Stripe) -> None:
    first = await stripe.subscribe("4000000000000341")
    await stripe.forward(32)
    failed = await stripe.fetch(first)
    from_portal = (await stripe.post("/v1/billing_portal/sessions", customer=first.customer_id)).json()["url"]

    invoice = await stripe.http.post(failed.action_url, data={"card": "4242424242424242"})
    shown = await stripe.http.get(from_portal)
    cancelled = await stripe.http.post(from_portal, data={"cancel": first.gateway_id})

    assert "paid" in invoice.text
    assert first.gateway_id in shown.text
    assert "It ends with its period." in cancelled.text
    assert (await stripe.fetch(first)).auto_renew is False


async def test_forgetting_everything(stripe: Stripe) -> None:
    await stripe.subscribe()

    assert (await stripe.http.delete("/simulator/state")).status_code == 204
    assert (await stripe.look("/v1/customers"))["data"] == []
