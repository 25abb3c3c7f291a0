"""How many requests a client may make, and what happens while Redis is away."""

import secrets
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from core.accounts import sessions
from core.accounts.authentication import authenticate
from core.accounts.tables import SessionKind
from core.app import create_app
from core.config import LimitsConfig
from core.live import tickets
from core.runtime import Runtime
from core.security import Credential
from tests.conftest import Serve
from tests.core.live.listening import listening, refused
from tests.factories import PASSWORD, Member
from tests.outages import without_redis

LIMITS = LimitsConfig(per_minute=4, dashboard_per_minute=7, sign_in_per_minute=3)


class Limited:
    """The application with small limits, and clients of addresses that nobody else has."""

    def __init__(self, runtime: Runtime, limits: LimitsConfig = LIMITS, proxies: tuple[str, ...] = ()) -> None:
        server = msgspec.structs.replace(runtime.config.server, trusted_proxies=proxies)
        self.app = create_app(msgspec.structs.replace(runtime.config, limits=limits, server=server))

    def client(self, token: str = "", address: str | None = None) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.app, client=(address or _address(), 50000))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://recado.test", headers=headers)


def _address() -> str:
    return "2001:db8::" + ":".join(secrets.token_hex(2) for _ in range(4))


@pytest.fixture
def limited(runtime: Runtime) -> Limited:
    return Limited(runtime)


async def _statuses(client: httpx.AsyncClient, count: int, path: str = "/api/plans") -> list[int]:
    return [(await client.get(path)).status_code for _ in range(count)]


async def test_an_address_has_so_many_requests(limited: Limited) -> None:
    async with limited.client() as client:
        assert await _statuses(client, 5) == [200] * 4 + [429]
    async with limited.client() as other:
        assert await _statuses(other, 1) == [200]


async def test_what_is_left_is_told(limited: Limited) -> None:
    async with limited.client() as client:
        answers = [await client.get("/api/plans") for _ in range(5)]
    assert [answer.headers["ratelimit-limit"] for answer in answers[:4]] == ["4"] * 4
    assert [answer.headers["ratelimit-remaining"] for answer in answers[:4]] == ["3", "2", "1", "0"]
    assert all(1 <= int(answer.headers["ratelimit-reset"]) <= 60 for answer in answers[:4])
    refused = answers[4]
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (refused.headers["ratelimit-limit"], refused.headers["ratelimit-remaining"]) == ("4", "0")
    assert refused.headers["ratelimit-reset"] == refused.headers["retry-after"]


async def test_a_verified_token_counts_for_itself_wherever_it_comes_from(limited: Limited, user: Member) -> None:
    found = []
    for _ in range(7):
        async with limited.client(user.token) as client:
            found.append((await client.get("/api/auth/me")).status_code)
    # The first was not verified yet, so it counted on its address.
    assert found == [200] * 5 + [429] * 2


async def test_a_token_is_not_held_up_by_its_address(limited: Limited, user: Member) -> None:
    address = _address()
    async with limited.client(user.token, address) as client:
        assert await _statuses(client, 1, "/api/auth/me") == [200]
    async with limited.client(address=address) as stranger:
        assert 429 in await _statuses(stranger, 5)
    async with limited.client(user.token, address) as client:
        assert await _statuses(client, 1, "/api/auth/me") == [200]


async def test_guessed_tokens_count_on_the_address(limited: Limited) -> None:
    address = _address()
    found = []
    for _ in range(6):
        async with limited.client("rcd_" + secrets.token_urlsafe(32), address) as client:
            found.append((await client.get("/api/auth/me")).status_code)
    assert found == [401] * 4 + [429] * 2


async def _ticket(user: Member) -> str:
    return (await tickets.issue(await authenticate(Credential(user.token)))).ticket


async def test_a_ticket_is_not_held_up_by_its_address(runtime: Runtime, serve: Serve, user: Member) -> None:
    limits = msgspec.structs.replace(LIMITS, per_minute=1)
    url = await serve(create_app(msgspec.structs.replace(runtime.config, limits=limits)))
    async with httpx.AsyncClient(base_url=url) as client:
        assert 429 in await _statuses(client, 3)
    for _ in range(3):
        async with listening(url, params={"ticket": await _ticket(user)}) as one:
            await one.opened()
    used = await _ticket(user)
    async with listening(url, params={"ticket": used}):
        assert await refused(url, params={"ticket": used}) == (429, "rate_limited")


async def test_guessed_tickets_count_on_the_address(limited: Limited) -> None:
    address = _address()
    found = []
    for _ in range(6):
        async with limited.client(address=address) as client:
            guess = secrets.token_urlsafe(32)
            found.append((await client.get("/api/events", params={"ticket": guess})).status_code)
    assert found == [401] * 4 + [429] * 2


async def test_a_ticket_counts_for_the_stream_alone(limited: Limited, user: Member) -> None:
    ticket = await _ticket(user)
    async with limited.client() as client:
        assert await _statuses(client, 5, f"/api/plans?ticket={ticket}") == [200] * 4 + [429]


async def test_the_dashboard_has_more(limited: Limited, user: Member) -> None:
    token = await sessions.open_session(user.id, address="", user_agent="", kind=SessionKind.COOKIE)
    async with limited.client() as client:
        client.cookies["recado_session"] = token
        assert await _statuses(client, 9, "/api/auth/me") == [200] * 8 + [429]


async def test_signing_in_has_less(limited: Limited, user: Member) -> None:
    async with limited.client() as client:
        body = {"email": user.email, "password": PASSWORD}
        found = [(await client.post("/api/auth/login", json=body)).status_code for _ in range(4)]
        assert found == [200] * 3 + [429]
        assert await _statuses(client, 1) == [200]


async def test_unknown_addresses_of_ours_count_too(limited: Limited) -> None:
    async with limited.client() as client:
        assert await _statuses(client, 5, "/api/nothing") == [404] * 4 + [429]


@pytest.mark.parametrize("path", ["/health/live", "/api/webhooks/waha/nobody", "/api/schema/openapi.json"])
async def test_what_servers_and_readers_ask_for_does_not_count(limited: Limited, path: str) -> None:
    async with limited.client() as client:
        assert 429 not in await _statuses(client, 6, path)


async def test_behind_a_trusted_proxy_the_caller_counts(runtime: Runtime) -> None:
    limited = Limited(runtime, proxies=("203.0.113.9",))
    found = []
    for caller in ("198.51.100.1", "198.51.100.2"):
        async with limited.client(address="203.0.113.9") as client:
            client.headers["x-forwarded-for"] = f"{caller}{secrets.randbelow(9)}"
            found.append(await _statuses(client, 4))
    assert found == [[200] * 4, [200] * 4]


async def test_a_foreign_origin_is_refused_before_anything_counts(limited: Limited) -> None:
    async with limited.client() as client:
        headers = {"Origin": "https://evil.example"}
        assert [(await client.get("/api/plans", headers=headers)).status_code for _ in range(6)] == [403] * 6
        assert await _statuses(client, 4) == [200] * 4


@pytest.fixture
async def away(runtime: Runtime) -> AsyncIterator[None]:
    async with without_redis(runtime):
        yield


@pytest.mark.usefixtures("away")
class TestRedisAway:
    async def test_signed_in_users_go_on(self, limited: Limited, user: Member) -> None:
        async with limited.client(user.token) as client:
            answers = [await client.get("/api/auth/me") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert "ratelimit-limit" not in answers[0].headers

    async def test_signing_in_is_closed(self, limited: Limited, user: Member) -> None:
        async with limited.client() as client:
            body = {"email": user.email, "password": PASSWORD}
            answer = await client.post("/api/auth/login", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "sign_in_closed")
        assert answer.headers["retry-after"] == "5"

    async def test_readiness_says_so(self, limited: Limited) -> None:
        async with limited.client() as client:
            answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert "requests are not limited and nobody can sign in" in answer.json()["detail"]


async def test_a_lost_script_is_sent_again(limited: Limited, runtime: Runtime) -> None:
    await runtime.redis.script_flush()
    async with limited.client() as client:
        assert await _statuses(client, 2) == [200, 200]


async def test_two_applications_count_together(runtime: Runtime) -> None:
    first, second = Limited(runtime), Limited(runtime)
    address = _address()
    async with first.client(address=address) as one, second.client(address=address) as other:
        assert await _statuses(one, 2) + await _statuses(other, 3) == [200] * 4 + [429]
