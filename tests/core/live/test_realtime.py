"""What browsers get to listen at a realtime service, and the permission for their own channel alone."""

from collections.abc import AsyncIterator

import httpx
import pytest

from core.accounts import sessions
from core.accounts.tables import SessionKind
from core.accounts.tokens import csrf_token
from core.runtime import Runtime
from core.security import SESSION_COOKIE
from tests.conftest import ClientOf
from tests.core.contacts.making import add
from tests.core.live.services import Service, plugged_in
from tests.factories import Member


@pytest.fixture
async def client(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(user) as opened:
        yield opened


def _form(user_id: int, socket_id: str = "1234.5678") -> dict[str, str]:
    return {"socket_id": socket_id, "channel_name": f"private-user-{user_id}"}


async def test_every_service_tells_how_to_connect(runtime: Runtime, client: httpx.AsyncClient, user: Member) -> None:
    async with plugged_in(runtime, Service("first"), Service("second")):
        answer = await client.get("/api/realtime")
    channel = f"private-user-{user.id}"
    services = {name: {"key": f"{name}-key", "channel": channel} for name in ("first", "second")}
    assert answer.json() == {"data": {"services": services}}


async def test_without_a_service_there_is_none(runtime: Runtime, client: httpx.AsyncClient, user: Member) -> None:
    async with plugged_in(runtime):
        assert (await client.get("/api/realtime")).json() == {"data": {"services": {}}}
        answer = await client.post("/api/realtime/auth", data=_form(user.id))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_ones_own_channel_is_permitted_to_a_form_and_to_json(
    runtime: Runtime, client: httpx.AsyncClient, user: Member
) -> None:
    async with plugged_in(runtime, Service("only")):
        answers = [
            await client.post("/api/realtime/auth", data=_form(user.id)),
            await client.post("/api/realtime/auth", json=_form(user.id)),
            await client.post("/api/realtime/auth?notifier=only", json=_form(user.id)),
        ]
    expected = {"auth": f"only:1234.5678:private-user-{user.id}"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, expected)] * 3


async def test_anothers_channel_and_a_foreign_socket_are_refused(
    runtime: Runtime, client: httpx.AsyncClient, user: Member, other_user: Member
) -> None:
    async with plugged_in(runtime, Service("only")):
        for form in (_form(other_user.id), _form(user.id, "1:2"), _form(user.id) | {"channel_name": "public"}):
            answer = await client.post("/api/realtime/auth", data=form)
            assert (answer.status_code, answer.json()["code"]) == (403, "channel_refused")


async def test_of_several_services_one_is_named(runtime: Runtime, client: httpx.AsyncClient, user: Member) -> None:
    async with plugged_in(runtime, Service("first"), Service("second")):
        unnamed = await client.post("/api/realtime/auth", data=_form(user.id))
        named = await client.post("/api/realtime/auth?notifier=second", data=_form(user.id))
        unknown = await client.post("/api/realtime/auth?notifier=third", data=_form(user.id))
    assert (unnamed.status_code, list(unnamed.json()["errors"])) == (422, ["notifier"])
    assert named.json()["auth"].startswith("second:")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (b"socket_id=1.2", "application/x-www-form-urlencoded", (422, "invalid_input")),
        (b"", "application/x-www-form-urlencoded", (422, "invalid_input")),
        (b"socket_id=%00&channel_name=x", "application/x-www-form-urlencoded", (422, "invalid_input")),
        (b"\xff=\xfe", "application/x-www-form-urlencoded", (400, "malformed_request")),
        (b"[1]", "application/json", (422, "invalid_input")),
        (b"{", "application/json", (400, "malformed_json")),
        (b"x", "text/plain", (415, "unsupported_media_type")),
    ],
)
async def test_what_cannot_be_read_is_refused(
    runtime: Runtime, client: httpx.AsyncClient, content: bytes, media_type: str, expected: tuple[int, str]
) -> None:
    async with plugged_in(runtime, Service("only")):
        answer = await client.post("/api/realtime/auth", content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["code"]) == expected


async def test_a_cookie_needs_its_proof(runtime: Runtime, client: httpx.AsyncClient, user: Member) -> None:
    token = await sessions.open_session(user.id, address="", user_agent="", kind=SessionKind.COOKIE)
    del client.headers["Authorization"]
    client.cookies[SESSION_COOKIE] = token
    async with plugged_in(runtime, Service("only")):
        without = await client.post("/api/realtime/auth", data=_form(user.id))
        client.headers["X-CSRF-Token"] = csrf_token(token)
        proven = await client.post("/api/realtime/auth", data=_form(user.id))
    assert (without.status_code, without.json()["code"]) == (403, "csrf_token")
    assert proven.status_code == 200


async def test_an_api_key_needs_the_scope_read(runtime: Runtime, client: httpx.AsyncClient, user: Member) -> None:
    keys = {scope: (await add(client, "api-keys", name=scope, scopes=[scope]))["key"] for scope in ("read", "manage")}
    async with plugged_in(runtime, Service("only")):
        client.headers["Authorization"] = f"Bearer {keys['manage']}"
        assert (await client.post("/api/realtime/auth", data=_form(user.id))).json()["code"] == "scope_missing"
        client.headers["Authorization"] = f"Bearer {keys['read']}"
        assert (await client.post("/api/realtime/auth", data=_form(user.id))).status_code == 200
