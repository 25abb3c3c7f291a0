"""What administrators see of subscriptions, and the reports."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from core import database
from core.accounts.tables import Profile
from tests.core.campaigns.making import insert
from tests.core.payments.shop import Customer, Shop
from tests.factories import Member, make_member

FAR_PAST = datetime(2019, 5, 10, tzinfo=UTC)
MAY, JUNE, JULY = "2019-05-01T00:00:00Z", "2019-06-01T00:00:00Z", "2019-07-01T00:00:00Z"


async def pay(payer: Member, gateway: str, at: datetime, **columns: Any) -> int:
    fields: dict[str, Any] = {"amount": Decimal("49.90"), "currency": "BRL", "status": "completed", "paid_at": at}
    number = f"ch_{payer.id}_{at.timestamp()}_{gateway}_{len(columns)}_{columns.get('status', '')}"
    return await insert(
        "payments", user_id=payer.id, gateway=gateway, transaction_id=number, created_at=at, **{**fields, **columns}
    )


async def subscribe(payer: Member, gateway: str, since: datetime, until: datetime | None) -> int:
    plan_id = await database.fetch_value("SELECT id FROM plans ORDER BY id LIMIT 1")
    return await insert(
        "subscriptions",
        user_id=payer.id,
        gateway=gateway,
        gateway_id=f"sub_{payer.id}_{since.timestamp()}",
        plan_id=plan_id,
        status="canceled" if until else "active",
        amount=Decimal("49.90"),
        currency="BRL",
        access_until=since + timedelta(days=30),
        fetched_at=since,
        created_at=since,
        closed_at=until,
    )


@pytest.fixture
async def books(user: Member, other_user: Member) -> AsyncIterator[None]:
    """Two months of sales of long ago, through gateways that only these tests know."""
    await pay(user, "alpha", FAR_PAST)
    await pay(user, "alpha", FAR_PAST + timedelta(days=1), refunded_amount=Decimal("9.90"))
    await pay(user, "alpha", FAR_PAST + timedelta(days=2), status="failed")
    await pay(user, "alpha", FAR_PAST + timedelta(days=3), currency="USD", amount=Decimal("19.99"), disputed=True)
    await pay(other_user, "beta", FAR_PAST + timedelta(days=31))
    await subscribe(user, "alpha", FAR_PAST, FAR_PAST + timedelta(days=40))
    await subscribe(other_user, "alpha", FAR_PAST + timedelta(days=31), None)
    yield
    await database.execute("DELETE FROM payments WHERE gateway IN ('alpha', 'beta')")
    await database.execute("DELETE FROM subscriptions WHERE gateway IN ('alpha', 'beta')")


@pytest.mark.usefixtures("books")
async def test_the_revenue_by_month_gateway_and_currency(admin: httpx.AsyncClient) -> None:
    rows = (await admin.get("/api/admin/reports/revenue", params={"from": MAY, "to": JULY})).json()["data"]

    assert [tuple(row.values()) for row in rows] == [
        ("2019-06", "beta", "BRL", 1, "49.90", "0.00", "49.90", 0, 0),
        ("2019-05", "alpha", "BRL", 2, "99.80", "9.90", "89.90", 1, 0),
        ("2019-05", "alpha", "USD", 1, "19.99", "0.00", "19.99", 0, 1),
    ]


@pytest.mark.usefixtures("books")
async def test_the_revenue_of_one_gateway_as_a_file(admin: httpx.AsyncClient) -> None:
    query = {"from": MAY, "to": JULY, "gateway": "beta"}
    text = (await admin.get("/api/admin/reports/revenue.csv", params=query)).text

    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (row["month"], row["gateway"], row["net"]) == ("2019-06", "beta", "49.90")


@pytest.mark.usefixtures("books")
async def test_new_lost_and_active_subscriptions_by_month(admin: httpx.AsyncClient) -> None:
    query = {"from": MAY, "to": JULY, "gateway": "alpha"}
    rows = (await admin.get("/api/admin/reports/subscriptions", params=query)).json()["data"]

    assert [tuple(row.values()) for row in rows] == [("2019-06", "alpha", 1, 1, 1), ("2019-05", "alpha", 1, 0, 1)]
    text = (await admin.get("/api/admin/reports/subscriptions.csv", params=query)).text
    assert len(text.splitlines()) == 3


@pytest.mark.usefixtures("books")
async def test_the_list_of_subscriptions_by_filter(admin: httpx.AsyncClient, user: Member, other_user: Member) -> None:
    async def found(**query: Any) -> list[int]:
        answer = await admin.get("/api/admin/subscriptions", params={"gateway": "alpha", **query})
        assert answer.status_code == 200, answer.text
        return [row["user_id"] for row in answer.json()["data"]]

    assert await found() == [other_user.id, user.id]
    assert await found(sort="created_at") == [user.id, other_user.id]
    assert await found(status="canceled") == [user.id]
    assert await found(user_id=other_user.id) == [other_user.id]
    assert await found(search=user.email) == [user.id]
    assert await found(**{"from": JUNE}) == [other_user.id]
    text = (await admin.get("/api/admin/subscriptions.csv", params={"gateway": "alpha"})).text
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize("path", ["subscriptions", "gateway-fetches", "reports/revenue", "reports/subscriptions"])
async def test_they_are_for_administrators(tenant: httpx.AsyncClient, path: str) -> None:
    assert (await tenant.get(f"/api/admin/{path}")).status_code == 403


@pytest.mark.parametrize("query", [{"from": "yesterday"}, {"to": "2019"}])
async def test_a_wrong_moment_is_named(admin: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await admin.get("/api/admin/reports/revenue", params=query)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, list(query))


@pytest.mark.slow
class TestWithGateways:
    async def test_a_refund_says_what_is_wrong_with_it(self, customer: Customer, shop: Shop) -> None:
        await customer.subscribe()
        payment_id = (await customer.get("/api/payments"))[0]["id"]
        administrator = await make_member(profile=Profile.ADMINISTRATOR)
        async with shop.client(administrator) as http:
            path = f"/api/admin/payments/{payment_id}/refund"
            too_much = await http.post(path, json={"amount": "50.00"})
            nothing = await http.post(path, json={"amount": "0"})
            await database.execute("UPDATE payments SET status = 'failed' WHERE id = $1", payment_id)
            failed = await http.post(path, json={})
            missing = await http.post(f"/api/admin/payments/{2**60}/refund", json={})

        assert (too_much.status_code, list(too_much.json()["errors"])) == (422, ["amount"])
        assert (nothing.status_code, list(nothing.json()["errors"])) == (422, ["amount"])
        assert (failed.status_code, failed.json()["code"]) == (409, "payment_not_completed")
        assert missing.status_code == 404

    async def test_an_administrator_asks_the_gateway_and_ends_a_subscription(self, customer: Customer) -> None:
        subscription = (await customer.subscribe())["subscription"]
        administrator = await make_member(profile=Profile.ADMINISTRATOR)
        path = f"/api/admin/subscriptions/{subscription['id']}"
        async with customer.shop.client(administrator) as http:
            fetched = (await http.post(f"{path}/fetch")).json()["data"]
            ended = (await http.post(f"{path}/cancel", json={"at_period_end": False})).json()["data"]

        assert (fetched["user_email"], fetched["status"]) == (customer.member.email, "active")
        assert (ended["status"], ended["auto_renew"], ended["ended_reason"]) == ("canceled", False, "canceled")
