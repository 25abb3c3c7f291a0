"""Origins, security headers, request ids and the request log."""

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from litestar import Litestar
from structlog.testing import capture_logs

from core.app import create_app
from core.config import ServerConfig
from core.edge import Origins
from core.runtime import Runtime
from tests.conftest import ClientOf, client_for
from tests.factories import Member

FRONTEND = "https://app.example.com"


@pytest.fixture
def configured(runtime: Runtime) -> Litestar:
    """An application with a public address and a frontend elsewhere."""
    server = ServerConfig(public_url="https://recado.example.com", allowed_origins=(f"{FRONTEND}/",))
    return create_app(msgspec.structs.replace(runtime.config, server=server))


@pytest.fixture
async def public(configured: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(configured) as client:
        yield client


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://recado.test", "recado.test", True),
        ("https://recado.test", "recado.test", True),
        ("https://recado.test", "recado.test:443", True),
        ("http://192.168.1.5:8000", "192.168.1.5:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("https://RECADO.example.com", "10.0.0.1:8000", True),
        (FRONTEND, "recado.test", True),
        ("https://app.example.com:8443", "recado.test", False),
        ("https://evil.example", "recado.test", False),
        ("http://recado.test.evil.example", "recado.test", False),
        ("http://recado.test:8001", "recado.test:8000", False),
        ("null", "recado.test", False),
        ("null", "", False),
        ("file://", "", False),
        ("http://[::", "[::", False),
        ("ftp://recado.test", "recado.test", False),
    ],
)
def test_origins(origin: str, host: str, allowed: bool) -> None:  # noqa: FBT001 - a table of cases
    origins = Origins(ServerConfig(public_url="https://recado.example.com", allowed_origins=(FRONTEND,)))
    assert origins.allows(origin, host) is allowed


async def test_foreign_origin(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/plans", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "detail": "Pages of https://evil.example may not call this API.",
        "message": "Pages of https://evil.example may not call this API.",
        "errors": {},
        "code": "foreign_origin",
    }
    assert "access-control-allow-origin" not in answer.headers


async def test_foreign_origin_comes_before_routing_and_sign_in(client: httpx.AsyncClient) -> None:
    for path in ("/api/nowhere", "/api/auth/me"):
        answer = await client.post(path, headers={"Origin": "https://evil.example"})
        assert answer.json()["code"] == "foreign_origin"


async def test_foreign_preflight(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert (await client.options("/api/auth/login", headers=headers)).status_code == 403


async def test_page_of_the_same_host(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/plans", headers={"Origin": "http://recado.test"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


async def test_configured_frontend(public: httpx.AsyncClient) -> None:
    answer = await public.get("/api/plans", headers={"Origin": FRONTEND})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == FRONTEND
    assert answer.headers["access-control-expose-headers"].startswith("X-Request-Id, Retry-After")
    assert answer.headers["vary"] == "origin"


async def test_errors_reach_a_configured_frontend(public: httpx.AsyncClient) -> None:
    answer = await public.get("/api/auth/me", headers={"Origin": FRONTEND})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, FRONTEND)


async def test_preflight_of_a_configured_frontend(public: httpx.AsyncClient) -> None:
    headers = {"Origin": FRONTEND, "Access-Control-Request-Method": "PATCH"}
    answer = await public.options("/api/auth/me", headers=headers)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == FRONTEND
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert "Authorization" in answer.headers["access-control-allow-headers"]


async def test_security_headers(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/api/plans")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers


async def test_security_headers_of_errors(client: httpx.AsyncClient) -> None:
    for path in ("/api/nowhere", "/api/auth/me"):
        assert (await client.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_pages_may_load_their_own_files_only(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/api/schema")).headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "unsafe" not in policy


async def test_transport_security_where_the_public_address_has_it(public: httpx.AsyncClient) -> None:
    answer = await public.get("/api/plans")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_every_answer_has_its_own_request_id(client: httpx.AsyncClient) -> None:
    answers = [await client.get("/api/nowhere", headers={"X-Request-Id": "mine"}) for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert "mine" not in ids


async def test_request_log(api: ClientOf, user: Member) -> None:
    with capture_logs() as lines:
        await api(user).delete("/api/auth/sessions/999999999?secret=hunter2")
    [line] = [line for line in lines if line["event"] == "request"]
    assert line.pop("milliseconds") > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "DELETE",
        "path": "/api/auth/sessions/{session_id}",
        "status": 404,
        "user_id": user.id,
    }


async def test_unknown_path_is_not_logged(client: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        await client.get("/api/webhookz/waha/hunter2")
    assert [line["path"] for line in lines if line["event"] == "request"] == ["(unknown)"]


async def test_health_is_logged_quietly(client: httpx.AsyncClient) -> None:
    with capture_logs() as lines:
        await client.get("/health/live")
    assert [line["log_level"] for line in lines if line["event"] == "request"] == ["debug"]
