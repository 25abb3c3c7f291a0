"""The memory of number checks."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from core import database
from core.numbers.checks import check_cached, forget_old
from core.numbers.senders import SenderRoute, load_route
from core.plugin import NumberCheck, UnavailableError
from tests.core.numbers.messaging import Waha, add_number, add_server, connect

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def route(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> SenderRoute:
    number: Any = await add_number(tenant, (await add_server(admin, waha))["id"])
    await connect(tenant, waha, number)
    return await load_route(number["id"])


async def _age(number: str, days: int) -> None:
    await database.execute(
        "UPDATE number_checks SET checked_at = now() - make_interval(days => $2) WHERE number = $1", number, days
    )


async def test_the_address_is_the_services_own(route: SenderRoute) -> None:
    found = await check_cached(route, ["5531911110001", "5531911110001", "5511911120000"], NOW)
    assert found == {
        "5531911110001": NumberCheck("5531911110001", exists=True, address="553111110001@c.us"),
        "5511911120000": NumberCheck("5511911120000", exists=False, address=""),
    }


async def test_a_found_number_is_believed_for_a_month(route: SenderRoute, waha: Waha) -> None:
    await check_cached(route, ["5511911110002"], NOW)
    await waha.fault("503", count=-1, match={"path": "/api/contacts"})
    await _age("5511911110002", 29)
    assert (await check_cached(route, ["5511911110002"], NOW))["5511911110002"].exists is True
    await _age("5511911110002", 31)
    with pytest.raises(UnavailableError):
        await check_cached(route, ["5511911110002"], NOW)


async def test_an_absent_number_is_asked_about_again_the_next_day(route: SenderRoute, waha: Waha) -> None:
    await check_cached(route, ["5511911130000"], NOW)
    await waha.fault("503", count=-1, match={"path": "/api/contacts"})
    assert (await check_cached(route, ["5511911130000"], NOW))["5511911130000"].exists is False
    await _age("5511911130000", 2)
    with pytest.raises(UnavailableError):
        await check_cached(route, ["5511911130000"], NOW)


async def test_old_answers_are_deleted(route: SenderRoute) -> None:
    await check_cached(route, ["5511911110003", "5511911110004"], NOW)
    await _age("5511911110003", 31)
    await forget_old()
    kept = await database.fetch("SELECT number FROM number_checks WHERE number IN ('5511911110003', '5511911110004')")
    assert [row["number"] for row in kept] == ["5511911110004"]
