"""Refused deliveries are limited by address, on a real Redis; genuine ones always pass."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.plugin import Secret
from core.runtime import Runtime, set_runtime
from core.webhooks import probe, refusals, services
from tests.conftest import ClientOf, client_for
from tests.core.numbers.messaging import Waha, add_number, add_server
from tests.core.webhooks.deliveries import Hook, acknowledgement, deliver, hook_of, stored
from tests.factories import Member
from tests.outages import without_database, without_redis

LIMIT = 3
COUNTERS = "recado:rate:refused-webhook:*"


@pytest.fixture
def few(runtime: Runtime) -> Iterator[Runtime]:
    """The process with a small limit, which knows of no address."""
    limits = msgspec.structs.replace(runtime.config.limits, refused_webhooks_per_minute=LIMIT)
    limited = msgspec.structs.replace(runtime, config=msgspec.structs.replace(runtime.config, limits=limits))
    set_runtime(limited)
    with another_process():
        yield limited
    set_runtime(runtime)


@contextmanager
def another_process() -> Iterator[None]:
    """Have no memory of addresses and tokens, as a process that begins."""
    known, services._refusals = services._refusals, refusals.Refusals()
    try:
        yield
    finally:
        services._refusals = known


@pytest.fixture
async def hook(admin: httpx.AsyncClient, tenant: httpx.AsyncClient, waha: Waha, few: Runtime) -> Hook:
    """The webhook of a fresh number, within the limit."""
    del few
    return await hook_of(await add_number(tenant, (await add_server(admin, waha))["id"]))


@pytest.fixture
async def stranger(app: Litestar, few: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody at an address of their own."""
    del few
    async with client_for(app) as client:
        yield client


@asynccontextmanager
async def at_the_address_of(client: httpx.AsyncClient, app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Another client of the same address."""
    transport: Any = client._transport
    async with client_for(app, address=transport.client[0]) as opened:
        yield opened


async def guess(client: httpx.AsyncClient) -> httpx.Response:
    """Deliver to a token that could be one."""
    return await client.post(f"/api/webhooks/waha/{secrets.token_urlsafe(32)}", content=acknowledgement("3EB0B1"))


async def block(client: httpx.AsyncClient) -> None:
    """Have the client's address blocked."""
    assert [(await guess(client)).status_code for _ in range(LIMIT + 1)] == [404] * LIMIT + [429]


async def test_guessing_tokens_ends_at_the_limit(stranger: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    await block(stranger)
    refused = await guess(stranger)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "too_many_refused_deliveries"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    # Others are not held up.
    assert (await guess(client)).status_code == 404


async def test_wrong_signatures_end_at_the_limit_and_are_logged_up_to_it(
    stranger: httpx.AsyncClient, hook: Hook
) -> None:
    forged = msgspec.structs.replace(hook, secret="guessed")
    statuses = [(await deliver(stranger, forged, acknowledgement("3EB0B2"))).status_code for _ in range(LIMIT + 2)]
    assert statuses == [401] * LIMIT + [429] * 2
    logged = await database.fetch_value(
        "SELECT count(*) FROM webhooks_log WHERE (payload->>'number_id')::bigint = $1", hook.number_id
    )
    assert logged == LIMIT
    assert await stored(hook) == []


async def test_genuine_deliveries_never_count(stranger: httpx.AsyncClient, hook: Hook, runtime: Runtime) -> None:
    before = set(await runtime.redis.keys(COUNTERS))
    for number in range(LIMIT + 3):
        assert (await deliver(stranger, hook, acknowledgement(f"3EB0C{number}"))).status_code == 200
    assert set(await runtime.redis.keys(COUNTERS)) == before
    assert len(await stored(hook)) == LIMIT + 3


async def test_a_genuine_delivery_of_a_blocked_address_passes(
    stranger: httpx.AsyncClient, app: Litestar, hook: Hook
) -> None:
    await block(stranger)
    async with at_the_address_of(stranger, app) as server:
        assert (await deliver(server, hook, acknowledgement("3EB0D1"))).status_code == 200
    assert len(await stored(hook)) == 1
    forged = msgspec.structs.replace(hook, secret="guessed")
    assert (await deliver(stranger, forged, acknowledgement("3EB0D2"))).status_code == 429


async def test_a_number_that_is_newer_than_what_is_known_waits(
    stranger: httpx.AsyncClient,
    api: ClientOf,
    user: Member,
    hook: Hook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await block(stranger)
    assert (await deliver(stranger, hook, acknowledgement("3EB0E1"))).status_code == 200
    server_id = await database.fetch_value("SELECT server_id FROM numbers WHERE id = $1", hook.number_id)
    newer = await hook_of(await add_number(api(user), int(str(server_id))))
    assert (await deliver(stranger, newer, acknowledgement("3EB0E2"))).status_code == 429
    monkeypatch.setattr(refusals, "REFRESH_SECONDS", 0.0)
    assert (await deliver(stranger, newer, acknowledgement("3EB0E2"))).status_code == 200


async def test_a_trial_reaches_us_from_a_blocked_address(stranger: httpx.AsyncClient) -> None:
    await block(stranger)
    token = await probe.expect("waha", Secret("trial"))
    assert (await deliver(stranger, Hook(0, token, "trial", ""), acknowledgement("3EB0F1"))).status_code == 200
    assert await probe.wait_for_call(token, 1)


async def test_the_database_is_not_asked_about_a_blocked_addresss_guesses(
    stranger: httpx.AsyncClient, hook: Hook
) -> None:
    await block(stranger)
    # The tokens are read once ...
    assert (await deliver(stranger, hook, acknowledgement("3EB0F2"))).status_code == 200
    async with without_database():
        # ... and serve from then on.
        assert (await guess(stranger)).status_code == 429


async def test_a_blocked_address_is_blocked_in_every_process(stranger: httpx.AsyncClient) -> None:
    await block(stranger)
    with another_process():
        assert [(await guess(stranger)).status_code for _ in range(2)] == [429] * 2


def test_a_block_ends() -> None:
    known = refusals.Refusals()
    known._block("192.0.2.1", 60)
    assert known.is_blocked("192.0.2.1")
    known._block("192.0.2.1", 0)
    assert not known.is_blocked("192.0.2.1")


async def test_nobody_is_blocked_while_redis_is_away(stranger: httpx.AsyncClient, few: Runtime, hook: Hook) -> None:
    async with without_redis(few):
        assert [(await guess(stranger)).status_code for _ in range(LIMIT + 2)] == [404] * (LIMIT + 2)
        assert (await deliver(stranger, hook, acknowledgement("3EB0F3"))).status_code == 200


async def test_memory_of_addresses_has_an_end(few: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    del few
    monkeypatch.setattr(refusals, "MOST_ADDRESSES", 2)
    known = refusals.Refusals()
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        known._block(address, 60)
    assert [known.is_blocked(f"192.0.2.{number}") for number in (1, 2, 3)] == [False, False, True]
