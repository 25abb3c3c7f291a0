"""API keys over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar

from core import database
from core.accounts.tokens import digest
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.factories import Member


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


async def _make(tenant: httpx.AsyncClient, *scopes: str, **more: Any) -> Any:
    body = {"name": "Shop", "scopes": scopes or ("read",), **more}
    answer = await tenant.post("/api/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


async def _get(app: Litestar, key: str, path: str = "/api/campaigns") -> httpx.Response:
    async with client_for(app, key) as client:
        return await client.get(path)


async def test_a_key_is_shown_once_and_only_its_hash_is_stored(tenant: httpx.AsyncClient, user: Member) -> None:
    made = await _make(tenant, "send", "read", "read")
    assert made["key"].startswith("rck_")
    assert made["scopes"] == ["read", "send"]
    listed = await tenant.get("/api/api-keys")
    assert made["key"] not in listed.text
    assert listed.json()["data"][0]["prefix"] == made["key"][:12]
    row = await database.fetch_row("SELECT * FROM api_keys WHERE user_id = $1", user.id)
    assert row is not None
    assert row["key_hash"] == digest(made["key"])
    assert made["key"] not in str(dict(row))


async def test_it_stands_for_its_user_within_its_scopes(tenant: httpx.AsyncClient, app: Litestar, user: Member) -> None:
    key = (await _make(tenant, "read"))["key"]
    assert (await _get(app, key)).status_code == 200
    assert (await _get(app, key, "/api/auth/me")).json()["data"]["id"] == user.id
    async with client_for(app, key) as client:
        refused = await client.post("/api/labels", json={"name": "x"})
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("send", "/api/campaigns/1/start", 404),
        ("manage", "/api/campaigns/1/start", 403),
        ("send", "/api/campaigns", 403),
        ("manage", "/api/labels", 201),
    ],
)
async def test_sending_and_managing_are_scopes_of_their_own(
    tenant: httpx.AsyncClient, app: Litestar, scope: str, path: str, status: int
) -> None:
    async with client_for(app, (await _make(tenant, scope))["key"]) as client:
        answer = await client.post(path, json={"name": "x"})
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("path", ["/api/api-keys", "/api/auth/sessions", "/api/auth/two-factor"])
async def test_no_key_reads_or_makes_what_signs_in(tenant: httpx.AsyncClient, app: Litestar, path: str) -> None:
    key = (await _make(tenant, "read", "send", "manage"))["key"]
    answer = await _get(app, key, path)
    assert (answer.status_code, answer.json()["code"]) == (403, "api_key_not_allowed")


async def test_no_key_administers(api: ClientOf, administrator: Member, app: Litestar) -> None:
    async with api(administrator) as client:
        key = (await _make(client, "read"))["key"]
    answer = await _get(app, key, "/api/admin/users")
    assert (answer.status_code, answer.json()["code"]) == (403, "api_key_not_allowed")


async def test_a_deleted_key_ends_at_once(tenant: httpx.AsyncClient, app: Litestar) -> None:
    made = await _make(tenant)
    assert (await _get(app, made["key"])).status_code == 200
    assert (await tenant.delete(f"/api/api-keys/{made['id']}")).status_code == 204
    assert (await _get(app, made["key"])).status_code == 401
    assert (await tenant.delete(f"/api/api-keys/{made['id']}")).status_code == 404


async def test_an_expired_key_ends_by_itself(tenant: httpx.AsyncClient, app: Litestar, runtime: Runtime) -> None:
    made = await _make(tenant, expires_at="2100-01-01T00:00:00Z")
    assert (await _get(app, made["key"])).status_code == 200
    await database.execute("UPDATE api_keys SET expires_at = now() WHERE id = $1", made["id"])
    await runtime.redis.delete(f"recado:session:{digest(made['key']).hex()}")
    assert (await _get(app, made["key"])).status_code == 401


async def test_its_last_use_is_shown(tenant: httpx.AsyncClient, app: Litestar) -> None:
    made = await _make(tenant)
    assert made["last_used_at"] is None
    await _get(app, made["key"])
    assert (await tenant.get("/api/api-keys")).json()["data"][0]["last_used_at"] is not None


async def test_a_suspended_user_has_no_keys(
    tenant: httpx.AsyncClient, app: Litestar, api: ClientOf, administrator: Member, user: Member
) -> None:
    key = (await _make(tenant))["key"]
    assert (await _get(app, key)).status_code == 200
    async with api(administrator) as admin:
        await admin.patch(f"/api/admin/users/{user.id}", json={"status": "inactive"})
    assert (await _get(app, key)).status_code == 403


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": " ", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes.0"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
async def test_what_cannot_be_is_named(tenant: httpx.AsyncClient, wanted: Any, field: str) -> None:
    answer = await tenant.post("/api/api-keys", json=wanted)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


async def test_keys_of_another_are_not_there(tenant: httpx.AsyncClient, api: ClientOf, other_user: Member) -> None:
    made = await _make(tenant)
    async with api(other_user) as stranger:
        assert (await stranger.get("/api/api-keys")).json()["meta"]["total"] == 0
        assert (await stranger.delete(f"/api/api-keys/{made['id']}")).status_code == 404


async def test_nobody_has_more_than_fifty(tenant: httpx.AsyncClient, user: Member) -> None:
    await database.execute(
        "INSERT INTO api_keys (user_id, name, key_hash, prefix, scopes, created_at)"
        " SELECT $1::bigint, 'x', sha256(($1::bigint || ':' || n)::bytea), 'rck_', '[]', now()"
        " FROM generate_series(1, 50) AS n",
        user.id,
    )
    answer = await tenant.post("/api/api-keys", json={"name": "x", "scopes": ["read"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_keys")
