"""The simulator refuses what the service refuses, and has its words for everything."""

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from mercadopago.resources.status import PaymentStatus, PreapprovalStatus, RefundStatus

from plugins.mercadopago.simulator import OPTIONS, create
from plugins.mercadopago.simulator.billing import HOLDERS
from plugins.mercadopago.simulator.options import Options
from plugins.mercadopago.simulator.state import State
from tests.plugins.mercadopago.conftest import Service

Start = Callable[..., Awaitable[Service]]
TERMS = {"frequency": 1, "frequency_type": "months", "transaction_amount": 49.9, "currency_id": "BRL"}
WISH: dict[str, Any] = {
    "reason": "Pro",
    "external_reference": "recado-1",
    "payer_email": "payer@example.com",
    "back_url": "https://recado.example/yes",
    "auto_recurring": TERMS,
    "status": "pending",
}

PLAN: dict[str, Any] = {"reason": "Pro", "back_url": "https://recado.example", "auto_recurring": TERMS}


def words(kind: type) -> set[str]:
    return {value for name, value in vars(kind).items() if not name.startswith("_")}


async def refused(service: Service, path: str, body: Any, method: str = "POST") -> str:
    response = await service.http.request(method, path, json=body)
    assert response.status_code == 400, response.text
    told = response.json()
    assert set(told) == {"message", "error", "status", "cause"}
    return str(told["message"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"auto_recurring": TERMS | {"currency_id": "USD"}}, "Invalid field -> auto_recurring.currency_id"),
        ({"auto_recurring": TERMS | {"transaction_amount": "49.90"}}, "Invalid type for field: transaction_amount"),
        ({"auto_recurring": TERMS | {"transaction_amount": 0}}, "Invalid field -> auto_recurring.transaction_amount"),
        ({"auto_recurring": TERMS | {"transaction_amount": 1.999}}, "Invalid field -> auto_recurring.transaction"),
        ({"auto_recurring": TERMS | {"frequency_type": "years"}}, "frequency_type"),
        ({"auto_recurring": TERMS | {"interval": 1}}, "unknown field `interval`"),
        ({"auto_recurring": None}, "auto_recurring"),
        ({"back_url": "http://recado.example"}, "Invalid value for back_url, must be a valid URL"),
        ({"back_url": ""}, "Invalid value for back_url, must be a valid URL"),
        ({"payer_email": ""}, "payer_email"),
        ({"reason": ""}, "reason"),
        ({"coupon": "x"}, "unknown field `coupon`"),
        ({"status": "authorized"}, "card_token_id is required"),
        ({"preapproval_plan_id": "2c93"}, "card_token_id is required"),
        ({"status": "paused"}, "status"),
    ],
)
async def test_a_subscription_that_cannot_be(service: Service, change: dict[str, Any], message: str) -> None:
    assert message in await refused(service, "/preapproval", WISH | change)


async def test_a_platform_of_this_machine_only_where_it_is_allowed(start: Start) -> None:
    local = WISH | {"back_url": "http://127.0.0.1:8000/yes"}
    strict, lenient = await start(loopback_back_urls=False), await start()
    assert "back_url" in await refused(strict, "/preapproval", local)
    assert (await lenient.http.post("/preapproval", json=local)).status_code == 201


async def test_card_tokens_are_good_once_and_have_a_security_code(service: Service) -> None:
    card = WISH | {"status": "authorized"}
    good = (await service.post("/simulator/card_tokens"))["id"]
    bare = (await service.post("/simulator/card_tokens", cvv=False))["id"]
    made = await service.post("/preapproval", **(card | {"card_token_id": good}))

    assert made["status"] == "authorized"
    assert "Card token was used" in await refused(service, "/preapproval", card | {"card_token_id": good})
    assert "without cvv" in await refused(service, "/preapproval", card | {"card_token_id": bare})


async def test_a_plan_with_a_card(service: Service) -> None:
    plan = await service.post("/preapproval_plan", **PLAN)
    token = (await service.post("/simulator/card_tokens"))["id"]
    made = await service.post(
        "/preapproval", preapproval_plan_id=plan["id"], payer_email="payer@example.com", card_token_id=token
    )
    found = await service.get(f"/preapproval/search?preapproval_plan_id={plan['id']}")

    assert plan["init_point"].endswith(f"preapproval_plan_id={plan['id']}")
    assert (made["status"], made["preapproval_plan_id"]) == ("authorized", plan["id"])
    assert [one["id"] for one in found["results"]] == [made["id"]]


async def test_a_cancellation_is_terminal(service: Service) -> None:
    made = await service.post("/preapproval", **WISH)
    path = f"/preapproval/{made['id']}"
    for status in ("authorized", "paused"):
        assert "only the payer can" in await refused(service, path, {"status": status}, "PUT")
    ended = await service.http.put(path, json={"status": "cancelled"})
    assert ended.json()["status"] == "cancelled"
    assert "cancelled preapproval" in await refused(service, path, {"status": "authorized"}, "PUT")
    # The word of old pages is none.
    assert "status" in await refused(
        service, f"/preapproval/{(await service.post('/preapproval', **WISH))['id']}", {"status": "canceled"}, "PUT"
    )


async def test_no_key_makes_a_subscription_once(service: Service) -> None:
    for _ in range(2):
        await service.http.post("/preapproval", json=WISH, headers={"x-idempotency-key": "same"})
    assert (await service.get("/preapproval/search?external_reference=recado-1"))["paging"]["total"] == 2


async def test_refunds_honour_their_key(service: Service) -> None:
    number = await service.paid()
    payment = (await service.fetch(number)).payments[0].transaction_id
    path = f"/v1/payments/{payment}/refunds"
    assert "X-Idempotency-Key" in await refused(service, path, {"amount": 1})
    key = {"x-idempotency-key": "one"}
    first, again = [await service.http.post(path, json={"amount": 1}, headers=key) for _ in range(2)]
    other = await service.http.post(path, json={"amount": 2}, headers=key)

    assert (first.status_code, first.json()) == (201, again.json())
    assert other.status_code == 409
    assert len(await service.get(path)) == 1


async def test_refunds_end_after_180_days(service: Service) -> None:
    number = await service.paid()
    payment = (await service.fetch(number)).payments[0].transaction_id
    await service.after(days=181)
    response = await service.http.post(
        f"/v1/payments/{payment}/refunds", json={}, headers={"x-idempotency-key": "late"}
    )
    assert response.json()["cause"][0]["code"] == 2024


async def test_another_token_is_refused(service: Service) -> None:
    for headers in ({"Authorization": "Bearer other"}, {"Authorization": ""}):
        for path in ("/users/me", "/simulator/clock"):
            response = await service.http.get(path, headers=headers)
            assert (response.status_code, response.json()["message"]) == (401, "invalid access token")


async def test_ten_test_users(service: Service) -> None:
    for _ in range(10):
        made = await service.post("/users/test", site_id="MLB", description="payer")
        assert made["email"].endswith("@testuser.com")
    assert "more test users" in await refused(service, "/users/test", {"site_id": "MLB"})


async def test_every_word_is_one_of_the_service_s_library(service: Service) -> None:
    for holder in HOLDERS:
        number = (await service.post("/preapproval", **WISH))["id"]
        if HOLDERS[holder][1].startswith("cc_rejected_bad_filled"):
            assert HOLDERS[holder][1] in await refused(
                service, f"/simulator/preapprovals/{number}/authorize", {"holder": holder}
            )
        else:
            await service.authorize(number, holder)
    await service.after(days=40)
    subscriptions = (await service.get("/preapproval/search?limit=100"))["results"]
    payments = (await service.get("/v1/payments/search?limit=100"))["results"]

    assert {one["status"] for one in subscriptions} <= words(PreapprovalStatus)
    assert {one["status"] for one in payments} <= words(PaymentStatus)
    refunds = [refund["status"] for one in payments for refund in one["refunds"]]
    assert set(refunds) <= words(RefundStatus)


async def test_an_end_date_finishes_it(service: Service) -> None:
    end = datetime.now(UTC) + timedelta(days=100)
    ends = WISH | {"auto_recurring": TERMS | {"end_date": end.isoformat()}}
    number = (await service.post("/preapproval", **ends))["id"]
    await service.authorize(number)
    await service.post("/simulator/clock", to=end.isoformat())
    running = (await service.get(f"/preapproval/{number}"))["status"]
    await service.after(days=40)

    assert running == "authorized"
    assert (await service.get(f"/preapproval/{number}"))["status"] == "finished"
    assert (await service.fetch(number)).auto_renew is False


async def test_the_page_of_the_payer(service: Service) -> None:
    made = await service.post("/preapproval", **(WISH | {"reason": "<Pro>"}))
    async with httpx.AsyncClient(base_url=service.url) as browser:
        page = await browser.get(made["init_point"])
        wrong = await browser.post(made["init_point"], data={"holder": "SECU"})
        paid = await browser.post(made["init_point"], data={"holder": "APRO"})
        after = await browser.get(made["init_point"])
        overview = await browser.get("/")

    assert "&lt;Pro&gt;" in page.text
    assert "<Pro>" not in page.text + overview.text
    assert "49.9 BRL every 1 months" in page.text
    assert (wrong.status_code, "cc_rejected_bad_filled_security_code" in wrong.text) == (422, True)
    assert (paid.status_code, paid.headers["location"]) == (
        303,
        f"https://recado.example/yes?preapproval_id={made['id']}",
    )
    assert "It is authorized." in after.text
    assert made["id"] in overview.text


async def test_the_page_of_a_plan(service: Service) -> None:
    plan = await service.post("/preapproval_plan", **PLAN)
    async with httpx.AsyncClient(base_url=service.url) as browser:
        wrong = await browser.post(plan["init_point"], data={"holder": "SECU"})
        none = (await service.get("/preapproval/search"))["paging"]["total"]
        paid = await browser.post(plan["init_point"], data={"holder": "APRO"})

    assert (wrong.status_code, none, paid.status_code) == (422, 0, 303)


async def test_what_is_not_there(service: Service) -> None:
    for path in ("/preapproval/1", "/preapproval_plan/1", "/authorized_payments/1", "/v1/payments/x"):
        response = await service.http.get(path)
        assert (response.status_code, response.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
async def test_nonsense_is_refused(service: Service, body: bytes) -> None:
    for path in ("/preapproval", "/preapproval_plan", "/simulator/clock", "/simulator/faults"):
        assert (await service.http.post(path, content=body)).status_code == 400


async def test_time_passes_step_by_step(service: Service) -> None:
    number = await service.paid()
    await service.after(days=100)
    rows = (await service.get(f"/authorized_payments/search?preapproval_id={number}&limit=90"))["results"]
    paid = [await service.get(f"/v1/payments/{row['payment']['id']}") for row in rows if row["payment"]]

    assert [one["date_approved"] for one in paid] == [row["debit_date"] for row in rows[:4]]
    assert rows[4]["status"] == "scheduled"


def test_the_clock_stands_still_while_one_moment_happens() -> None:
    began = datetime(2027, 1, 1, tzinfo=UTC)
    ticks = itertools.count()
    state = State(Options(), now=lambda: began + timedelta(milliseconds=next(ticks)))
    due = began + timedelta(days=1)
    with state.stopped_at(due):
        assert [state.now() for _ in range(3)] == [due] * 3
    assert due < state.now() < due + timedelta(seconds=1)


def test_options_of_the_command_line() -> None:
    assert "webhook_secret" in OPTIONS
    create({"site": "MLA", "first_charge_hours": "0.5"})
    for wrong in ({"site": "XXX"}, {"nothing": "1"}, {"cancel_after": "0"}):
        with pytest.raises(ValueError, match=r"site|nothing|cancel_after"):
            create(wrong)


async def test_options_while_it_runs(service: Service) -> None:
    changed = await service.post("/simulator/options", amounts="text")
    number = (await service.post("/preapproval", **WISH))["id"]

    assert (changed["amounts"], changed["site"]) == ("text", "MLB")
    assert (await service.get(f"/preapproval/{number}"))["auto_recurring"]["transaction_amount"] == "49.90"
    assert "site" in await refused(service, "/simulator/options", {"site": "XXX"})


async def test_answers_have_what_the_reference_shows(service: Service) -> None:
    number = await service.paid()
    subscription = await service.get(f"/preapproval/{number}")
    row = (await service.get(f"/authorized_payments/search?preapproval_id={number}"))["results"][0]

    assert {"id", "version", "payer_id", "status", "init_point", "summarized", "next_payment_date"} <= set(subscription)
    assert row["type"] == "scheduled"
    assert row["payment"] == {"id": row["payment"]["id"], "status": "approved", "status_detail": "accredited"}
    assert msgspec.json.encode(row["debit_date"]).endswith(b'-04:00"')
