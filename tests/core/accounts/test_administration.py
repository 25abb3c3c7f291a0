"""Administration of accounts over HTTP."""

import asyncio

import httpx
import msgspec
import pytest

from core import database
from core.accounts import administration
from core.accounts.schemas import UserUpdate
from core.accounts.tables import Profile, UserStatus
from tests.conftest import ClientOf
from tests.core.campaigns.making import insert
from tests.core.downloads import rows_of
from tests.factories import PASSWORD, Member, make_member, random_email


def new_user(**changes: object) -> dict[str, object]:
    return {"email": random_email(), "name": "Ana", "password": PASSWORD, **changes}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/admin/users"),
        ("GET", "/api/admin/users.csv"),
        ("POST", "/api/admin/users"),
        ("GET", "/api/admin/users/1"),
        ("PATCH", "/api/admin/users/1"),
        ("POST", "/api/admin/users/1/logout"),
    ],
)
async def test_only_for_administrators(api: ClientOf, user: Member, method: str, path: str) -> None:
    answer = await api(user).request(method, path, json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "administrator_required")


async def test_list_searches_and_counts(api: ClientOf, administrator: Member, user: Member) -> None:
    found = (await api(administrator).get("/api/admin/users", params={"search": user.email.upper()})).json()
    assert [entry["id"] for entry in found["data"]] == [user.id]
    assert found["meta"] == {"current_page": 1, "per_page": 20, "last_page": 1, "total": 1}


@pytest.mark.parametrize(
    ("query", "fitting"),
    [
        ({"status": "active"}, True),
        ({"status": "canceled"}, False),
        ({"profile": "user"}, True),
        ({"profile": "administrator"}, False),
        ({"plan_id": "own"}, True),
        ({"plan_id": "999999999"}, False),
        ({"from": "2026-01-01T00:00:00Z"}, True),
        ({"to": "2026-01-01T00:00:00Z"}, False),
    ],
)
async def test_list_and_file_hold_who_fits(
    api: ClientOf, administrator: Member, query: dict[str, str], *, fitting: bool
) -> None:
    plan_id = await insert("plans", name=random_email(), value=0)
    member = await make_member(plan_id=plan_id)
    asked = {"search": member.email, **query}
    if query.get("plan_id") == "own":
        asked["plan_id"] = str(plan_id)
    client = api(administrator)
    wanted = [member.id] if fitting else []
    answer = await client.get("/api/admin/users", params=asked)
    assert [entry["id"] for entry in answer.json()["data"]] == wanted
    rows = rows_of(await client.get("/api/admin/users.csv", params=asked), "users.csv")
    assert [(row["id"], row["email"]) for row in rows] == [(str(user_id), member.email) for user_id in wanted]


@pytest.mark.parametrize(
    ("name", "value"),
    [("status", "gone"), ("profile", "king"), ("plan_id", "0"), ("plan_id", "null"), ("from", ""), ("to", "today")],
)
async def test_what_users_cannot_be_filtered_by_is_named(
    api: ClientOf, administrator: Member, name: str, value: str
) -> None:
    for path in ("/api/admin/users", "/api/admin/users.csv"):
        answer = await api(administrator).get(path, params={name: value})
        assert (answer.status_code, list(answer.json()["errors"])) == (422, [name])


async def test_search_is_no_pattern(api: ClientOf, administrator: Member) -> None:
    assert (await api(administrator).get("/api/admin/users", params={"search": "%"})).json()["data"] == []


async def test_list_sorts(api: ClientOf, administrator: Member) -> None:
    prefix = random_email()
    for name in ("b", "a", "c"):
        await api(administrator).post("/api/admin/users", json=new_user(name=f"{name} {prefix}"))
    found = await api(administrator).get("/api/admin/users", params={"search": prefix, "sort": "-name"})
    assert [entry["name"][0] for entry in found.json()["data"]] == ["c", "b", "a"]


async def test_deleted_users_are_hidden(api: ClientOf, administrator: Member, user: Member) -> None:
    await database.execute("UPDATE users SET deleted_at = now() WHERE id = $1", user.id)
    client = api(administrator)
    assert (await client.get(f"/api/admin/users/{user.id}")).status_code == 404
    assert (await client.get("/api/admin/users", params={"search": user.email})).json()["data"] == []


async def test_create(api: ClientOf, client: httpx.AsyncClient, administrator: Member) -> None:
    answer = await api(administrator).post("/api/admin/users", json=new_user(profile="administrator"))
    created = answer.json()["data"]
    assert (answer.status_code, created["profile"], created["plan_id"]) == (201, "administrator", None)
    signed_in = await client.post("/api/auth/login", json={"email": created["email"], "password": PASSWORD})
    assert signed_in.status_code == 200


async def test_create_with_unknown_plan(api: ClientOf, administrator: Member) -> None:
    answer = await api(administrator).post("/api/admin/users", json=new_user(plan_id=2**40))
    assert (answer.status_code, answer.json()["errors"]) == (422, {"plan_id": ["There is no such plan."]})


async def test_taken_address(api: ClientOf, administrator: Member, user: Member, other_user: Member) -> None:
    client = api(administrator)
    created = await client.post("/api/admin/users", json=new_user(email=user.email))
    changed = await client.patch(f"/api/admin/users/{user.id}", json={"email": other_user.email.upper()})
    for answer in (created, changed):
        assert (answer.status_code, answer.json()["errors"]) == (422, {"email": ["Is already taken."]})


async def test_address_of_a_deleted_user_is_free(api: ClientOf, administrator: Member, user: Member) -> None:
    await database.execute("UPDATE users SET deleted_at = now() WHERE id = $1", user.id)
    answer = await api(administrator).post("/api/admin/users", json=new_user(email=user.email))
    assert answer.status_code == 201


async def test_suspend_and_reinstate(api: ClientOf, administrator: Member, user: Member) -> None:
    path = f"/api/admin/users/{user.id}"
    await api(user).get("/api/auth/me")
    canceled = await api(administrator).patch(path, json={"status": "canceled"})
    assert canceled.json()["data"]["canceled_at"] is not None
    refused = await api(user).get("/api/auth/me")
    assert (refused.status_code, refused.json()["code"]) == (403, "account_suspended")
    active = await api(administrator).patch(path, json={"status": "active"})
    assert active.json()["data"]["canceled_at"] is None
    assert (await api(user).get("/api/auth/me")).status_code == 200


async def test_change_of_profile_holds_at_once(api: ClientOf, administrator: Member, user: Member) -> None:
    assert (await api(user).get("/api/admin/users")).status_code == 403
    await api(administrator).patch(f"/api/admin/users/{user.id}", json={"profile": "administrator"})
    assert (await api(user).get("/api/admin/users")).status_code == 200


async def test_due_access(api: ClientOf, administrator: Member, user: Member) -> None:
    path = f"/api/admin/users/{user.id}"
    changed = await api(administrator).patch(path, json={"due_access_at": "2027-01-31T09:00:00-03:00"})
    assert changed.json()["data"]["due_access_at"] == "2027-01-31T12:00:00Z"
    cleared = await api(administrator).patch(path, json={"due_access_at": None})
    assert cleared.json()["data"]["due_access_at"] is None


async def test_bad_change_changes_nothing(api: ClientOf, administrator: Member, user: Member) -> None:
    client, path = api(administrator), f"/api/admin/users/{user.id}"
    before = (await client.get(path)).json()
    answer = await client.patch(path, json={"name": "New", "status": "gone", "plan_id": 0, "due_access_at": "soon"})
    assert answer.json()["errors"] == {
        "status": ["Must be one of: active, inactive, canceled."],
        "plan_id": ["Must be at least 1."],
        "due_access_at": ["Must be a date and time with its zone, such as 2026-01-31T09:00:00Z."],
    }
    assert (await client.get(path)).json() == before


async def test_unknown_user(api: ClientOf, administrator: Member) -> None:
    client = api(administrator)
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "/logout")):
        answer = await client.request(method, f"/api/admin/users/{2**40}{path}", json={})
        assert (answer.status_code, answer.json()["detail"]) == (404, f"No user {2**40} was found.")


async def test_sign_out(api: ClientOf, administrator: Member, user: Member) -> None:
    assert (await api(administrator).post(f"/api/admin/users/{user.id}/logout")).status_code == 204
    assert (await api(user).get("/api/auth/me")).status_code == 401


async def test_changes_are_recorded(api: ClientOf, administrator: Member, user: Member) -> None:
    await api(administrator).patch(f"/api/admin/users/{user.id}", json={"name": "New", "plan_id": user.row.plan_id})
    row = await database.fetch_row(
        "SELECT account_id, entity_id, changes FROM logs WHERE action = 'user.updated' AND user_id = $1",
        administrator.id,
    )
    assert row is not None
    assert (row["account_id"], row["entity_id"]) == (user.id, user.id)
    assert msgspec.json.decode(row["changes"]) == {"name": [user.row.name, "New"]}


@pytest.mark.parametrize("change", [{"status": "inactive"}, {"profile": "user"}])
@pytest.mark.usefixtures("empty_installation")
async def test_last_administrator_stays(api: ClientOf, change: dict[str, str]) -> None:
    only = await make_member(profile=Profile.ADMINISTRATOR)
    answer = await api(only).patch(f"/api/admin/users/{only.id}", json=change)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator")
    assert (await api(only).get("/api/admin/users")).status_code == 200


@pytest.mark.usefixtures("empty_installation")
async def test_two_administrators_cannot_suspend_each_other() -> None:
    first, second = [await make_member(profile=Profile.ADMINISTRATOR) for _ in range(2)]
    suspended = UserUpdate(status=UserStatus.INACTIVE)
    results = await asyncio.gather(
        administration.update_user(first.id, second.id, suspended),
        administration.update_user(second.id, first.id, suspended),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "UserRead"]
