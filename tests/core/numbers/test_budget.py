"""How many phone numbers a number may look up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from core import database
from core.numbers.budget import BURST_MINUTES, PER_DAY, PER_MINUTE, take
from tests.core.numbers.messaging import Waha, add_number, add_server, connect

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
FULL = PER_MINUTE * BURST_MINUTES


@pytest.fixture
async def number(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> Any:
    return await add_number(tenant, (await add_server(admin, waha))["id"])


async def _limit(number: Any, **settings: int) -> None:
    await database.execute(
        "UPDATE numbers SET settings = $2 WHERE id = $1", number["id"], database.encode_json(settings)
    )


async def test_a_rested_number_may_make_up_for_a_pause(number: Any) -> None:
    assert await take(number["id"], FULL, NOW) is None
    assert await take(number["id"], 10, NOW) == timedelta(seconds=10)


async def test_the_budget_fills_evenly(number: Any) -> None:
    await take(number["id"], FULL, NOW)
    assert await take(number["id"], 10, NOW + timedelta(seconds=9)) == timedelta(seconds=5)
    assert await take(number["id"], 10, NOW + timedelta(seconds=10)) is None
    assert await take(number["id"], 1, NOW + timedelta(seconds=10)) == timedelta(seconds=5)


async def test_it_holds_no_more_than_a_rest_brings(number: Any) -> None:
    await take(number["id"], 1, NOW)
    later = NOW + timedelta(hours=3)
    assert await take(number["id"], FULL, later) is None
    assert await take(number["id"], 1, later) is not None


async def test_a_day_has_its_own_limit(number: Any) -> None:
    await _limit(number, checks_per_minute=6_000, checks_per_day=100)
    assert await take(number["id"], 60, NOW) is None
    assert await take(number["id"], 41, NOW + timedelta(hours=1)) == timedelta(hours=23)
    assert await take(number["id"], 40, NOW + timedelta(hours=1)) is None
    assert await take(number["id"], 100, NOW + timedelta(hours=24)) is None


async def test_numbers_have_budgets_of_their_own(
    number: Any, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
) -> None:
    other = await add_number(tenant, (await add_server(admin, waha))["id"])
    await take(number["id"], FULL, NOW)
    assert await take(other["id"], FULL, NOW) is None


async def test_more_than_the_budget_ever_holds_is_not_given(number: Any) -> None:
    assert await take(number["id"], FULL + 1, NOW) is not None
    assert PER_DAY > FULL


async def test_a_spent_budget_is_told_with_the_time_to_wait(number: Any, tenant: httpx.AsyncClient, waha: Waha) -> None:
    await connect(tenant, waha, number)
    await _limit(number, checks_per_minute=1, checks_per_day=2)
    path = f"/api/numbers/{number['id']}/check"
    for last in (1, 2):
        assert (await tenant.post(path, json={"phone": f"+551191122330{last}"})).status_code == 200
    answer = await tenant.post(path, json={"phone": "+5511911223303"})
    assert (answer.status_code, answer.json()["code"]) == (429, "check_budget_spent")
    assert 86_000 < int(answer.headers["retry-after"]) <= 86_400
    known = await tenant.post(path, json={"phone": "+5511911223301"})
    assert known.json()["data"]["exists"] is True
