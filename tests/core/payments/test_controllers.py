"""Payments over HTTP: whose they are, and which of them a list holds."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from core import database
from core.payments.schemas import PaymentRead
from tests.core.campaigns.making import insert
from tests.core.downloads import rows_of
from tests.factories import Member
from tests.outages import without_database

OWN_FIELDS = {field.name for field in msgspec.structs.fields(PaymentRead)}


async def pay(payer: Member, **columns: Any) -> int:
    """Write a payment down as a gateway's plugin does."""
    fields = {
        "gateway": "stripe",
        "transaction_id": f"pi_{secrets.token_hex(8)}",
        "amount": Decimal("49.90"),
        "currency": "BRL",
        "status": "completed",
    }
    return await insert("payments", user_id=payer.id, **{**fields, **columns})


async def ids(client: httpx.AsyncClient, path: str, **query: Any) -> list[int]:
    """Return the ids of the payments that a list holds."""
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [payment["id"] for payment in answer.json()["data"]]


async def test_one_sees_ones_own_payments_alone(tenant: httpx.AsyncClient, user: Member, other_user: Member) -> None:
    first, second = await pay(user, transaction_id=f"pi_own_{user.id}"), await pay(user)
    others = await pay(other_user)
    assert await ids(tenant, "/api/payments") == [second, first]
    shown = (await tenant.get(f"/api/payments/{first}")).json()["data"]
    assert set(shown) == OWN_FIELDS
    assert (shown["transaction_id"], shown["amount"], shown["currency"], shown["status"]) == (
        f"pi_own_{user.id}",
        "49.90",
        "BRL",
        "completed",
    )
    assert (await tenant.get(f"/api/payments/{others}")).status_code == 404


async def test_an_administrator_sees_everybodys_without_secrets(admin: httpx.AsyncClient, user: Member) -> None:
    said = '{"status": "succeeded", "client_secret": "pi_hidden"}'
    made = await pay(user, gateway_response=said)
    shown = (await admin.get(f"/api/admin/payments/{made}")).json()["data"]
    assert (shown["user_id"], shown["user_email"]) == (user.id, user.email)
    assert shown["gateway_response"] == {"status": "succeeded", "client_secret": "***"}
    assert (await admin.get("/api/admin/payments/999999999")).status_code == 404


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"gateway": "paypal"}, ["paypal"]),
        ({"status": "pending"}, ["pending"]),
        ({"currency": "usd"}, ["dollars"]),
        ({"search": "PI_LATE"}, ["late"]),
        ({"from": "2026-03-01T00:00:00Z"}, ["dollars", "pending", "paypal"]),
        ({"to": "2026-03-01T00:00:00Z"}, ["late"]),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00-03:00"}, ["late"]),
        ({"sort": "amount"}, ["late", "paypal", "pending", "dollars"]),
        ({"sort": "-gateway"}, ["dollars", "pending", "late", "paypal"]),
        ({"cursor": ""}, ["dollars", "pending", "paypal", "late"]),
    ],
)
async def test_lists_are_narrowed_and_sorted(
    tenant: httpx.AsyncClient, admin: httpx.AsyncClient, user: Member, query: Mapping[str, str], names: list[str]
) -> None:
    moment = datetime(2026, 2, 1, 1, tzinfo=UTC)
    made = {
        "late": await pay(user, transaction_id=f"pi_late_{user.id}", created_at=moment, amount=Decimal(1)),
        "paypal": await pay(user, gateway="paypal", amount=Decimal(2)),
        "pending": await pay(user, status="pending", amount=Decimal(3)),
        "dollars": await pay(user, currency="USD", amount=Decimal(4)),
    }
    wanted = [made[name] for name in names]
    assert await ids(tenant, "/api/payments", **query) == wanted
    assert await ids(admin, "/api/admin/payments", user_id=user.id, **query) == wanted


async def test_scrolling_sees_every_payment_once(tenant: httpx.AsyncClient, user: Member) -> None:
    made = [await pay(user) for _ in range(5)]
    found: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = (await tenant.get("/api/payments", params={"cursor": cursor, "per_page": 2})).json()
        found += [payment["id"] for payment in answer["data"]]
        cursor = answer["meta"]["next_cursor"]
    assert found == made[::-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "paid"), ("sort", "colour"), ("from", ""), ("to", "tomorrow"), ("user_id", "0"), ("currency", "EURO")],
)
async def test_what_cannot_be_filtered_by_is_named(admin: httpx.AsyncClient, name: str, value: str) -> None:
    answer = await admin.get("/api/admin/payments", params={name: value})
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [name]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_moment_that_the_database_cannot_take_is_named(admin: httpx.AsyncClient, moment: str) -> None:
    for path in ("/api/admin/payments", "/api/admin/payments.csv"):
        answer = await admin.get(path, params={"from": moment})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["from"])


async def test_a_download_that_cannot_begin_is_an_error(admin: httpx.AsyncClient, administrator: Member) -> None:
    assert (await admin.get("/api/auth/me")).json()["data"]["id"] == administrator.id
    async with without_database():
        answer = await admin.get("/api/admin/payments.csv")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_download_holds_what_the_filter_finds(admin: httpx.AsyncClient, user: Member) -> None:
    made = await pay(user, transaction_id="=1+1", amount=Decimal("-49.90"))
    await pay(user, gateway="paypal")
    answer = await admin.get("/api/admin/payments.csv", params={"user_id": user.id, "gateway": "stripe"})
    [row] = rows_of(answer, "payments.csv")
    assert (row["id"], row["user_email"], row["transaction_id"], row["amount"]) == (
        str(made),
        user.email,
        "'=1+1",
        "-49.90",
    )


async def test_a_download_longer_than_a_portion_is_whole(admin: httpx.AsyncClient, user: Member) -> None:
    await database.execute(
        "INSERT INTO payments (user_id, gateway, transaction_id, amount, currency)"
        " SELECT $1::bigint, 'stripe', 'pi_many_' || $1::bigint || '_' || n, n, 'BRL' FROM generate_series(1, 2500) n",
        user.id,
    )
    answer = await admin.get("/api/admin/payments.csv", params={"user_id": user.id})
    assert [row["amount"] for row in rows_of(answer)] == [f"{number}.00" for number in range(2500, 0, -1)]
