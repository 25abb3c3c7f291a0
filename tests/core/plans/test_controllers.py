"""Plans over HTTP."""

import asyncio

import httpx
import pytest

from core import database
from core.accounts.tables import Profile
from tests.conftest import ClientOf
from tests.factories import Member, make_member, make_user, random_email


async def make_plan(client: httpx.AsyncClient, **fields: object) -> dict[str, object]:
    answer = await client.post("/api/admin/plans", json={"name": random_email(), **fields})
    assert answer.status_code == 201
    created: dict[str, object] = answer.json()["data"]
    return created


async def test_everybody_may_list(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/plans", params={"search": "free"})
    [free] = [plan for plan in answer.json()["data"] if plan["name"] == "Free"]
    assert (free["value"], free["currency"], free["contacts_limit"]) == ("0.00", "BRL", 1000)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/admin/plans"),
        ("POST", "/api/admin/plans"),
        ("GET", "/api/admin/plans/1"),
        ("PATCH", "/api/admin/plans/1"),
        ("DELETE", "/api/admin/plans/1"),
    ],
)
async def test_administration_is_for_administrators(api: ClientOf, user: Member, method: str, path: str) -> None:
    answer = await api(user).request(method, path, json={})
    assert answer.status_code == 403


async def test_create_show_update_delete(api: ClientOf, administrator: Member) -> None:
    client = api(administrator)
    created = await make_plan(client, value="49.90", numbers_limit=3, monthly_messages=None)
    path = f"/api/admin/plans/{created['id']}"
    changed = await client.patch(path, json={"value": "59.90", "monthly_messages": 500})
    assert changed.status_code == 200
    shown = (await client.get(path)).json()["data"]
    assert (shown["value"], shown["monthly_messages"], shown["numbers_limit"]) == ("59.90", 500, 3)
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404


async def test_every_invalid_field(api: ClientOf, administrator: Member) -> None:
    answer = await api(administrator).post(
        "/api/admin/plans",
        json={"name": "", "value": "1.999", "currency": "rea", "numbers_limit": -1, "contacts_limit": 2**31},
    )
    assert answer.json()["errors"] == {
        "name": ["This field is required."],
        "value": ['Must be an amount as a decimal string, such as "49.90".'],
        "currency": ["Must be a currency code, such as BRL."],
        "numbers_limit": ["Must be at least 0."],
        "contacts_limit": ["Must be at most 2000000000."],
    }


async def test_plan_in_use_stays(api: ClientOf, administrator: Member) -> None:
    client = api(administrator)
    plan = await make_plan(client)
    user = await make_user(plan_id=int(str(plan["id"])))
    answer = await client.delete(f"/api/admin/plans/{plan['id']}")
    assert (answer.status_code, answer.json()["detail"]) == (409, "The plan is still used by 1 user.")
    assert await database.fetch_row("SELECT 1 FROM users WHERE id = $1", user.id) is not None


@pytest.mark.usefixtures("empty_installation")
async def test_plan_of_new_users_stays(api: ClientOf) -> None:
    only = await make_member(profile=Profile.ADMINISTRATOR)
    [free] = (await api(only).get("/api/plans")).json()["data"]
    answer = await api(only).delete(f"/api/admin/plans/{free['id']}")
    assert (answer.status_code, answer.json()["code"]) == (409, "default_plan")


async def test_deletion_beside_a_new_user(api: ClientOf, administrator: Member) -> None:
    """Whoever comes first wins; a user never loses the plan, and never vanishes with it."""
    client = api(administrator)
    plan = await make_plan(client)
    body = {"email": random_email(), "name": "Ana", "password": "correct horse battery", "plan_id": plan["id"]}
    deleted, created = await asyncio.gather(
        client.delete(f"/api/admin/plans/{plan['id']}"), client.post("/api/admin/users", json=body)
    )
    assert (deleted.status_code, created.status_code) in {(204, 422), (409, 201)}


async def test_unknown_plan(api: ClientOf, administrator: Member) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = await api(administrator).request(method, f"/api/admin/plans/{2**40}", json={})
        assert answer.status_code == 404


async def test_search_is_no_pattern(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/plans", params={"search": "%"})).json()["meta"]["total"] == 0
