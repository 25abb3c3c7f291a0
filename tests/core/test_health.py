"""The health routes, with everything there and with parts missing."""

import httpx

from core.runtime import Runtime
from tests.outages import without_database, without_redis


async def test_live(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "database": "ok", "redis": "ok"})


async def test_redis_missing(client: httpx.AsyncClient, runtime: Runtime) -> None:
    async with without_redis(runtime):
        answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["detail"] == (
        "Something the platform stands on does not answer: redis."
        " While Redis is away, requests are not limited and nobody can sign in."
    )


async def test_database_missing(client: httpx.AsyncClient) -> None:
    async with without_database():
        answer = await client.get("/health/ready", headers={"Accept-Language": "es"})
    assert answer.status_code == 503
    assert answer.json()["detail"] == "Algo de lo que depende la plataforma no responde: database."


async def test_live_needs_nothing(client: httpx.AsyncClient, runtime: Runtime) -> None:
    async with without_database(), without_redis(runtime):
        answer = await client.get("/health/live")
    assert answer.status_code == 200
