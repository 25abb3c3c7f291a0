"""Where numbers go that name no server."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from core import database
from tests.core.numbers.messaging import Waha, add_server, give_plan
from tests.factories import Member


@pytest.fixture
async def alone(admin: httpx.AsyncClient) -> AsyncIterator[None]:
    """No server of another test is a candidate."""
    del admin  # its pool is needed
    hidden = await database.fetch("UPDATE servers SET deleted_at = now() WHERE deleted_at IS NULL RETURNING id")
    yield
    ids = [row["id"] for row in hidden]
    await database.execute("UPDATE servers SET deleted_at = NULL WHERE id = ANY($1::bigint[])", ids)


async def _place(tenant: httpx.AsyncClient, **body: object) -> int:
    answer = await tenant.post("/api/numbers", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["data"]["server_id"])


@pytest.mark.usefixtures("alone")
class TestEmptiest:
    async def test_goes_where_the_smallest_part_is_taken(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, user: Member, waha: Waha
    ) -> None:
        await give_plan(user.id, numbers_limit=10)
        small = (await add_server(admin, waha, capacity=2))["id"]
        large = (await add_server(admin, waha, capacity=4))["id"]
        assert [await _place(tenant) for _ in range(6)] == [small, large, large, small, large, large]
        answer = await tenant.post("/api/numbers", json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_server_free")

    async def test_passes_over_one_that_does_not_answer(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        down = (await add_server(admin, waha))["id"]
        well = (await add_server(admin, waha))["id"]
        await database.execute("UPDATE servers SET status = false WHERE id = $1", down)
        assert [await _place(tenant), await _place(tenant)] == [well, well]

    async def test_keeps_to_the_provider(self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha) -> None:
        server = (await add_server(admin, waha))["id"]
        assert await _place(tenant, provider="waha") == server
        answer = await tenant.post("/api/numbers", json={"provider": "another"})
        assert answer.json()["code"] == "no_server_free"

    async def test_a_named_server_of_another_provider_is_refused(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        server = (await add_server(admin, waha))["id"]
        answer = await tenant.post("/api/numbers", json={"provider": "another", "server_id": server})
        assert (answer.status_code, [*answer.json()["errors"]]) == (422, ["server_id"])

    async def test_two_at_once_do_not_take_the_last_place(
        self, admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha
    ) -> None:
        await add_server(admin, waha, capacity=2)
        answers = await asyncio.gather(*(tenant.post("/api/numbers", json={}) for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409, 409]
