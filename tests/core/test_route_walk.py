"""A walk over every route, made from the OpenAPI document: who comes in where, with what, and who does not."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.accounts import one_time
from core.accounts.tables import Profile, SessionKind, TokenPurpose, UserStatus
from core.accounts.tokens import digest
from core.runtime import Runtime
from core.security import CSRF_COOKIE, NO_KEY, SAFE_METHODS, SESSION_COOKIE
from tests.conftest import client_for
from tests.core.contacts.making import add
from tests.core.walking import Operation, Tenant, make_tenant, open_session, operations, picture, session_id
from tests.factories import Member, make_member

SENDING = {
    "StartCampaign",
    "PauseCampaign",
    "ResumeCampaign",
    "CancelCampaign",
    "RetryCampaign",
    "ResolveCampaign",
    "ResolveRecipient",
    "CheckPhone",
    "SendTestMessage",
}
"""What an API key needs the scope ``send`` for."""
ORDER = ("GET", "POST", "PATCH", "DELETE")
BROKEN = 500


@pytest.fixture(scope="module")
def every(app: Litestar) -> list[Operation]:
    return list(operations(app))


@pytest.fixture(scope="module")
def secured(every: list[Operation]) -> list[Operation]:
    return [operation for operation in every if operation.secured]


@pytest.fixture(scope="module")
async def owner(app: Litestar) -> Tenant:
    return await make_tenant(app, await make_member())


@pytest.fixture(scope="module")
async def stranger(app: Litestar) -> Tenant:
    """Another tenant, who has a row of each kind too."""
    return await make_tenant(app, await make_member())


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(app) as opened:
        yield opened


def told(answer: httpx.Response) -> tuple[int, str]:
    """The status, and the word of a refusal."""
    return answer.status_code, answer.json()["code"] if answer.is_error else ""


@asynccontextmanager
async def by_cookie(app: Litestar, token: str, csrf: str = "") -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(app) as client:
        client.cookies[SESSION_COOKIE] = token
        client.cookies[CSRF_COOKIE] = csrf
        if csrf:
            client.headers["X-CSRF-Token"] = csrf
        yield client


async def refusals(
    client: httpx.AsyncClient, walked: list[Operation], expected: tuple[int, str]
) -> dict[str, tuple[int, str]]:
    """Call every operation and return those that were not refused as expected."""
    assert walked
    found = {operation.id: told(await operation.call(client)) for operation in walked}
    return {name: answer for name, answer in found.items() if answer != expected}


def kept_out(found: dict[str, httpx.Response]) -> dict[str, tuple[int, str]]:
    """Return the answers which say that somebody was kept out, or that something broke."""
    return {name: told(answer) for name, answer in found.items() if answer.status_code in {401, 403, BROKEN}}


def test_the_document_names_what_the_routes_ask_of_keys(secured: list[Operation]) -> None:
    expected = {
        operation.id: None if operation.administrative or operation.scope == NO_KEY else operation.scope
        for operation in secured
    }
    assert {operation.id: operation.accepts_key for operation in secured} == expected
    assert {operation.id for operation in secured if operation.scope == "send"} == SENDING


class TestAnotherTenant:
    async def test_finds_no_row_and_changes_none(
        self, app: Litestar, secured: list[Operation], owner: Tenant, stranger: Tenant
    ) -> None:
        walked = [operation for operation in secured if operation.places and not operation.administrative]
        before = await picture(owner.member.id)
        wrong = {}
        async with client_for(app, stranger.member.token) as client:
            for operation in walked:
                for ids in mixed(operation, owner, stranger):
                    answer = await operation.call(client, ids)
                    if told(answer) != (404, "not_found"):
                        wrong[operation.id, tuple(ids.items())] = told(answer)
        assert wrong == {}
        assert await picture(owner.member.id) == before

    async def test_where_the_owner_finds_them(self, app: Litestar, secured: list[Operation]) -> None:
        owner = await make_tenant(app, await make_member())
        walked = [one for one in secured if one.places and not one.administrative]
        walked.sort(key=lambda one: (ORDER.index(one.method), -len(one.places)))
        found = {}
        async with client_for(app, owner.member.token) as client:
            for operation in walked:
                found[operation.id] = told(await operation.call(client, owner.ids))
        assert {name: answer for name, answer in found.items() if answer[0] in {401, 403, 404, 500}} == {}


def mixed(operation: Operation, owner: Tenant, stranger: Tenant) -> Iterator[dict[str, int]]:
    """Yield the owner's ids, and for paths of several rows one of the owner's among the caller's own."""
    yield {name: owner.ids[name] for name in operation.places}
    if len(operation.places) > 1:
        for foreign in operation.places:
            own = {name: stranger.ids[name] for name in operation.places}
            yield {**own, foreign: owner.ids[foreign]}


async def test_without_a_token(client: httpx.AsyncClient, secured: list[Operation]) -> None:
    assert await refusals(client, secured, (401, "unauthenticated")) == {}


async def test_public_routes_let_everybody_in(
    client: httpx.AsyncClient, every: list[Operation], administrator: Member
) -> None:
    del administrator  # needed, since without one the set-up asks for its token
    found = {operation.id: await operation.call(client) for operation in every if not operation.secured}
    refused = {name: answer.json()["code"] for name, answer in found.items() if answer.status_code in {401, 403}}
    assert refused == {}
    assert [name for name, answer in found.items() if answer.status_code >= BROKEN] == []


class TestTokensThatAreNone:
    @pytest.fixture
    async def member(self, runtime: Runtime) -> Member:
        del runtime  # needed, since it opens the pool
        return await make_member()

    async def test_expired(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        await database.execute(
            "UPDATE user_sessions SET expires_at = now() - interval '1 s' WHERE token_hash = $1", digest(member.token)
        )
        async with client_for(app, member.token) as client:
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_revoked(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        other = await open_session(member)
        async with client_for(app, other) as client:
            assert (await client.get("/api/auth/me")).status_code == 200
            async with client_for(app, member.token) as remaining:
                gone = await remaining.delete(f"/api/auth/sessions/{await session_id(other)}")
            assert gone.status_code == 204
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_replaced(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        async with client_for(app, member.token) as client:
            new = (await client.post("/api/auth/refresh")).json()["token"]
            assert await refusals(client, secured, (401, "unauthenticated")) == {}
        async with client_for(app, new) as successor:
            assert await refusals(successor, secured, (401, "unauthenticated")) == {}

    @pytest.mark.parametrize(
        "shape", ["x", "rcd_", "rcd_{random}x", "rck_{random}", "rcd_{random}", "{random}", "{hash}"]
    )
    async def test_malformed(self, app: Litestar, secured: list[Operation], member: Member, shape: str) -> None:
        token = shape.format(random=secrets.token_urlsafe(32), hash=digest(member.token).hex())
        async with client_for(app, token) as client:
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_of_another_scheme(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        async with client_for(app) as client:
            client.headers["Authorization"] = f"Basic {member.token}"
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_an_api_key_with_the_prefix_of_a_session(
        self, app: Litestar, secured: list[Operation], member: Member
    ) -> None:
        async with client_for(app, member.token) as client:
            key = (await add(client, "api-keys", name="Shop", scopes=["read", "send", "manage"]))["key"]
        async with client_for(app, f"rcd_{key.removeprefix('rck_')}") as client:
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_a_session_with_the_prefix_of_an_api_key(
        self, app: Litestar, secured: list[Operation], member: Member
    ) -> None:
        async with client_for(app, f"rck_{member.token.removeprefix('rcd_')}") as client:
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    @pytest.mark.parametrize("purpose", list(TokenPurpose))
    async def test_a_token_that_works_once(
        self, app: Litestar, secured: list[Operation], member: Member, purpose: TokenPurpose
    ) -> None:
        token = await one_time.issue(member.id, purpose)
        for prefix in ("", "rcd_"):
            async with client_for(app, f"{prefix}{token}") as client:
                assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_a_cookies_token_as_bearer(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        token = await open_session(member, kind=SessionKind.COOKIE)
        async with client_for(app, token) as client:
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_a_bearer_token_as_cookie(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        async with by_cookie(app, member.token) as client:
            assert await refusals(client, secured, (401, "unauthenticated")) == {}

    async def test_a_key_that_was_deleted(self, app: Litestar, secured: list[Operation], member: Member) -> None:
        async with client_for(app, member.token) as client:
            key = await add(client, "api-keys", name="Shop", scopes=["read", "send", "manage"])
            async with client_for(app, key["key"]) as program:
                assert (await program.get("/api/campaigns")).status_code == 200
                assert (await client.delete(f"/api/api-keys/{key['id']}")).status_code == 204
                assert await refusals(program, secured, (401, "unauthenticated")) == {}


class TestApiKeys:
    @pytest.mark.parametrize("scope", ["read", "send", "manage"])
    async def test_come_in_where_their_scope_is_asked_for(
        self, app: Litestar, secured: list[Operation], user: Member, scope: str
    ) -> None:
        async with client_for(app, user.token) as client:
            key = (await add(client, "api-keys", name="Shop", scopes=[scope]))["key"]
        async with client_for(app, key) as client:
            found = {operation.id: await operation.call(client) for operation in secured}
        wrong = {}
        for operation in secured:
            answer = found[operation.id]
            if operation.administrative:
                expected = "administrator_required"
            elif operation.scope == NO_KEY:
                expected = "api_key_not_allowed"
            else:
                expected = "scope_missing" if operation.scope != scope else ""
            if expected and told(answer) != (403, expected):
                wrong[operation.id] = told(answer)
        allowed = [one.id for one in secured if one.scope == scope and not one.administrative]
        assert wrong == {}
        assert allowed
        assert kept_out({name: found[name] for name in allowed}) == {}

    async def test_of_administrators_are_not_for_the_administration(
        self, app: Litestar, secured: list[Operation], administrator: Member
    ) -> None:
        async with client_for(app, administrator.token) as client:
            key = (await add(client, "api-keys", name="Shop", scopes=["read", "send", "manage"]))["key"]
        walked = [operation for operation in secured if operation.administrative]
        async with client_for(app, key) as client:
            assert await refusals(client, walked, (403, "api_key_not_allowed")) == {}


class TestCookies:
    async def test_change_nothing_without_the_proof(
        self, app: Litestar, secured: list[Operation], user: Member
    ) -> None:
        token = await open_session(user, kind=SessionKind.COOKIE)
        changing = [operation for operation in secured if operation.method not in SAFE_METHODS]
        for csrf in ("", "0" * 64):
            async with by_cookie(app, token, csrf) as client:
                assert await refusals(client, changing, (403, "csrf_token")) == {}

    async def test_read_without_it(self, app: Litestar, secured: list[Operation], user: Member) -> None:
        token = await open_session(user, kind=SessionKind.COOKIE)
        reading = [one for one in secured if one.method in SAFE_METHODS and not one.administrative]
        async with by_cookie(app, token) as client:
            found = {operation.id: await operation.call(client) for operation in reading}
        assert kept_out(found) == {}


@pytest.mark.parametrize("status", [UserStatus.INACTIVE, UserStatus.CANCELED])
async def test_suspended_users_are_kept_out(
    app: Litestar, secured: list[Operation], user: Member, status: UserStatus
) -> None:
    async with client_for(app, user.token) as client:
        key = (await add(client, "api-keys", name="Shop", scopes=["read", "send", "manage"]))["key"]
    await database.execute("UPDATE users SET status = $2 WHERE id = $1", user.id, status)
    for token in (await open_session(user), key):
        async with client_for(app, token) as client:
            assert await refusals(client, secured, (403, "account_suspended")) == {}


async def test_users_are_kept_out_of_the_administration(app: Litestar, secured: list[Operation], user: Member) -> None:
    walked = [operation for operation in secured if operation.administrative]
    async with client_for(app, user.token) as client:
        assert await refusals(client, walked, (403, "administrator_required")) == {}


async def test_administrators_without_a_second_factor_are_kept_out_where_it_is_asked_for(
    app: Litestar, runtime: Runtime, secured: list[Operation], administrator: Member
) -> None:
    before = runtime.config
    accounts = msgspec.structs.replace(before.accounts, administrators_need_two_factor=True)
    walked = [operation for operation in secured if operation.administrative]
    runtime.config = msgspec.structs.replace(before, accounts=accounts)
    try:
        async with client_for(app, administrator.token) as client:
            assert await refusals(client, walked, (403, "two_factor_required")) == {}
    finally:
        runtime.config = before


@pytest.mark.parametrize("profile", list(Profile))
async def test_whoever_may_comes_in(
    app: Litestar, runtime: Runtime, secured: list[Operation], profile: Profile
) -> None:
    del runtime  # needed, since it opens the pool
    member = await make_member(profile=profile)
    walked = [one for one in secured if profile is Profile.ADMINISTRATOR or not one.administrative]
    found = {}
    for operation in walked:
        # Some end the session they come with.
        async with client_for(app, await open_session(member)) as client:
            found[operation.id] = await operation.call(client)
    assert kept_out(found) == {}
    # To a row that nobody has.
    missed = {one.id: found[one.id].text for one in walked if one.places and found[one.id].status_code != 404}
    assert missed == {}
