"""The platform in numbers."""

from decimal import Decimal

import httpx
import pytest

from core import database
from core.statistics import gather_statistics
from tests.conftest import ClientOf
from tests.core.campaigns.making import insert, make_number
from tests.factories import Member


async def _claims(number_id: int, hours_ago: int, count: int, outcome: str = "accepted") -> None:
    await database.execute(
        "INSERT INTO message_attempts (recipient_id, attempt, number_id, client_id, outcome, claimed_at)"
        " SELECT -n - $1::bigint * 1000 - $2::int * 100, 1, $1, 'x', $4,"
        " date_trunc('hour', now()) - make_interval(hours => $2::int) FROM generate_series(1, $3::int) AS n",
        number_id,
        hours_ago,
        count,
        outcome,
    )


async def test_messages_are_counted_by_the_hour(user: Member) -> None:
    await database.execute("DELETE FROM message_attempts")
    numbers = [await make_number(user.id) for _ in range(2)]
    await _claims(numbers[0], 0, 2)
    await _claims(numbers[1], 0, 1)
    await _claims(numbers[1], 23, 4)
    await _claims(numbers[0], 1, 5, "rejected")
    await _claims(numbers[0], 24, 6)
    found = (await gather_statistics()).messages
    assert len(found) == 24
    assert (found[-1].messages, found[-2].messages, found[0].messages) == (3, 0, 4)


async def test_revenue_is_counted_by_month_and_currency(user: Member) -> None:
    await database.execute("DELETE FROM payments")
    for amount, currency, status, age in (
        ("49.90", "BRL", "completed", "0 days"),
        ("50.10", "BRL", "completed", "0 days"),
        ("10.00", "USD", "completed", "0 days"),
        ("99.00", "BRL", "pending", "0 days"),
        ("77.00", "BRL", "completed", "800 days"),
    ):
        payment = await insert(
            "payments",
            user_id=user.id,
            gateway="stripe",
            transaction_id=f"{amount}{currency}{status}{age}",
            amount=Decimal(amount),
            currency=currency,
            status=status,
        )
        await database.execute(
            "UPDATE payments SET created_at = now() - $2::text::interval WHERE id = $1", payment, age
        )
    found = (await gather_statistics()).revenue
    assert [(one.currency, one.amount, one.payments) for one in found] == [
        ("BRL", Decimal("100.00"), 2),
        ("USD", Decimal("10.00"), 1),
    ]


async def test_users_and_numbers(user: Member) -> None:
    before = await gather_statistics()
    await make_number(user.id)
    await make_number(user.id, status_connection=False)
    after = await gather_statistics()
    assert after.numbers.total - before.numbers.total == 2
    assert after.numbers.online - before.numbers.online == 1
    assert after.users.total >= after.users.active >= 1


@pytest.mark.parametrize(("profile", "status"), [("user", 403), ("administrator", 200)])
async def test_only_administrators_see_them(
    api: ClientOf, user: Member, administrator: Member, profile: str, status: int
) -> None:
    client: httpx.AsyncClient
    async with api(user if profile == "user" else administrator) as client:
        assert (await client.get("/api/admin/stats")).status_code == status
