"""The order in which a request is checked: of two reasons to refuse it, the earlier one is told."""

import secrets
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.accounts.tables import Profile
from core.app import create_app
from core.config import LimitsConfig
from core.runtime import Runtime
from tests.factories import Member, make_member

FOREIGN = {"Origin": "https://evil.example"}
NO_BODY = {"nothing": "of the kind"}


@pytest.fixture
def narrow(runtime: Runtime) -> Litestar:
    """The application with one request a minute for each client."""
    return create_app(msgspec.structs.replace(runtime.config, limits=LimitsConfig(per_minute=1)))


def _client(app: Litestar, token: str = "", address: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address or f"2001:db8::{secrets.token_hex(2)}", 5))  # type: ignore[arg-type]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://recado.test", headers=headers)


@pytest.fixture
async def spent(narrow: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A stranger whose requests of this minute are used up."""
    async with _client(narrow) as client:
        assert (await client.get("/api/plans")).status_code == 200
        yield client


async def _told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def _suspend(member: Member) -> None:
    await database.execute("UPDATE users SET status = 'inactive' WHERE id = $1", member.id)


async def _without_room(member: Member) -> None:
    """Put a user on a plan that allows nothing."""
    plan_id = await database.fetch_value(
        "INSERT INTO plans (name, numbers_limit, contacts_limit, campaigns_limit, medias, created_at, updated_at)"
        " VALUES ('Nothing', 0, 0, 0, false, now(), now()) RETURNING id"
    )
    await database.execute("UPDATE users SET plan_id = $2 WHERE id = $1", member.id, plan_id)


async def test_the_origin_comes_before_the_rate_limit(spent: httpx.AsyncClient) -> None:
    assert await _told(await spent.get("/api/plans", headers=FOREIGN)) == (403, "foreign_origin")


async def test_the_rate_limit_comes_before_the_token(spent: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer rcd_" + "a" * 43}
    assert await _told(await spent.get("/api/auth/me", headers=headers)) == (429, "rate_limited")


async def test_the_rate_limit_comes_before_the_address_is_known(spent: httpx.AsyncClient) -> None:
    assert await _told(await spent.get("/api/nothing")) == (429, "rate_limited")


async def test_the_token_comes_before_the_administrator(app: Litestar) -> None:
    async with _client(app, "rcd_" + "a" * 43) as client:
        assert await _told(await client.get("/api/admin/users")) == (401, "unauthenticated")


async def test_the_token_comes_before_the_body(app: Litestar) -> None:
    async with _client(app) as client:
        assert await _told(await client.post("/api/contacts", json=NO_BODY)) == (401, "unauthenticated")


async def test_the_accounts_status_comes_before_the_administrator(app: Litestar, user: Member) -> None:
    await _suspend(user)
    async with _client(app, user.token) as client:
        assert await _told(await client.get("/api/admin/users")) == (403, "account_suspended")


async def test_the_accounts_status_comes_before_the_plan(app: Litestar, user: Member) -> None:
    await _without_room(user)
    await _suspend(user)
    async with _client(app, user.token) as client:
        assert await _told(await client.post("/api/contacts", json=NO_BODY)) == (403, "account_suspended")


async def test_the_administrator_comes_before_the_body(app: Litestar, user: Member) -> None:
    async with _client(app, user.token) as client:
        assert await _told(await client.post("/api/admin/users", json=NO_BODY)) == (403, "administrator_required")


@pytest.mark.parametrize("path", ["/api/contacts", "/api/campaigns", "/api/numbers"])
async def test_the_plan_comes_before_the_body(app: Litestar, user: Member, path: str) -> None:
    await _without_room(user)
    async with _client(app, user.token) as client:
        assert await _told(await client.post(path, json=NO_BODY)) == (402, "plan_limit")


async def test_the_plan_comes_before_a_file(app: Litestar, user: Member) -> None:
    await _without_room(user)
    async with _client(app, user.token) as client:
        assert await _told(await client.post("/api/media", content=b"")) == (402, "plan_feature")


async def test_with_room_the_body_is_told(app: Litestar, user: Member) -> None:
    async with _client(app, user.token) as client:
        assert await _told(await client.post("/api/contacts", json=NO_BODY)) == (422, "invalid_input")


async def test_access_that_has_ended_comes_before_the_body(app: Litestar) -> None:
    member = await make_member(profile=Profile.USER)
    await database.execute("UPDATE users SET due_access_at = now() - interval '1 day' WHERE id = $1", member.id)
    async with _client(app, member.token) as client:
        assert await _told(await client.post("/api/contacts", json=NO_BODY)) == (402, "access_ended")
