"""A simulated WAHA, the platform on a port of its own so that webhooks reach it, and the calls tests make of both."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from core import database
from core.numbers import events, senders
from core.plugin.loader import load_providers
from core.runtime import Runtime
from core.webhooks import applying
from plugins.waha.simulator import Options, create_simulator
from tests.conftest import ClientOf, Serve
from tests.factories import Member

KEY = "simulated-key"
PHONE = "5511988887777"
QUICK = Options(api_key=KEY, patience_seconds=0.1, start_seconds=0.0, operation_seconds=0.0, ack_seconds=0.01)

HANDLERS = (events.apply_statuses, events.apply_identities)
"""Registered by their import, as in a worker."""

StartWaha = Callable[..., Awaitable["Waha"]]


class Waha:
    """A running simulator and a client for what no API of WAHA's has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url, headers={"X-Api-Key": KEY}, timeout=10)

    async def scan(self, instance: str, phone: str = PHONE) -> None:
        """Scan the QR code of a session with a phone."""

        async def waits() -> bool:
            answer = await self.http.get(f"/api/sessions/{instance}")
            return answer.status_code == 200 and bool(answer.json()["status"] == "SCAN_QR_CODE")

        await eventually(waits)
        answer = await self.http.post(f"/simulator/sessions/{instance}/scan", json={"phone": phone})
        assert answer.status_code == 200, answer.text

    async def set_status(self, instance: str, status: str) -> None:
        """Force a session's status."""
        answer = await self.http.post(f"/simulator/sessions/{instance}/status", json={"status": status})
        assert answer.status_code == 200, answer.text

    async def fault(self, kind: str, **more: object) -> None:
        """Order trouble."""
        answer = await self.http.post("/simulator/faults", json={"kind": kind, **more})
        assert answer.status_code == 201, answer.text

    async def session(self, instance: str) -> Any:
        """Return a session as WAHA describes it, ``None`` when there is none."""
        answer = await self.http.get(f"/api/sessions/{instance}")
        return None if answer.status_code == 404 else answer.json()

    async def arrivals(self) -> Any:
        """Return what reached the phones."""
        return (await self.http.get("/simulator/phone")).json()["messages"]


@pytest.fixture(scope="session", autouse=True)
def messaging(runtime: Runtime) -> Runtime:
    """The run's process with the WAHA plugin enabled."""
    if "waha" not in runtime.providers.messaging_by_name:
        runtime.providers = load_providers({"waha": {}})
    return runtime


@pytest.fixture(autouse=True)
async def platform(messaging: Runtime, app: Litestar, serve: Serve) -> AsyncIterator[str]:
    """The platform's address, where messaging servers reach it."""
    before = messaging.config
    url = await serve(app)
    server = msgspec.structs.replace(before.server, public_url=url)
    messaging.config = msgspec.structs.replace(before, server=server)
    yield url
    messaging.config = before


@pytest.fixture
async def start_waha(serve: Serve) -> AsyncIterator[StartWaha]:
    """Start simulators with chosen options."""
    started: list[Waha] = []

    async def start(**options: Any) -> Waha:
        simulator = create_simulator(msgspec.structs.replace(QUICK, **options))
        one = Waha(await serve(simulator))  # type: ignore[arg-type] # its scope is any mapping
        started.append(one)
        return one

    yield start
    for one in started:
        await one.http.aclose()


@pytest.fixture
async def waha(start_waha: StartWaha) -> Waha:
    return await start_waha()


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's client."""
    async with api(administrator) as opened:
        yield opened


@pytest.fixture
async def tenant(api: ClientOf, user: Member) -> AsyncIterator[httpx.AsyncClient]:
    """The client of a user whose plan allows five numbers."""
    await give_plan(user.id, numbers_limit=5)
    async with api(user) as opened:
        yield opened


async def give_plan(user_id: int, *, numbers_limit: int) -> None:
    """Put a user on a plan of their own."""
    async with database.unit_of_work():
        plan_id = await database.fetch_value(
            "INSERT INTO plans (name, numbers_limit) VALUES ('Test', $1) RETURNING id", numbers_limit
        )
        await database.execute("UPDATE users SET plan_id = $2 WHERE id = $1", user_id, plan_id)


async def add_server(admin: httpx.AsyncClient, waha: Waha, **more: object) -> Any:
    """Add ``waha`` as a server."""
    body = {
        "name": f"waha {secrets.token_hex(4)}",
        "provider": "waha",
        "url": waha.url,
        "credentials": {"api_key": KEY},
    }
    answer = await admin.post("/api/admin/servers", json={**body, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


async def add_number(tenant: httpx.AsyncClient, server_id: int) -> Any:
    """Add a number."""
    answer = await tenant.post("/api/numbers", json={"server_id": server_id, "name": "Shop"})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


async def connect(tenant: httpx.AsyncClient, waha: Waha, number: Any) -> Any:
    """Connect a number, scan its code and apply the webhooks until the platform knows."""
    answer = await tenant.post(f"/api/numbers/{number['id']}/connect")
    assert answer.status_code == 200, answer.text
    await waha.scan(number["instance"])
    return await until_connection(tenant, number["id"], "connected")


async def until_connection(tenant: httpx.AsyncClient, number_id: int, connection: str) -> Any:
    """Do the worker's part until a number's connection is ``connection``; return the number."""
    found: dict[str, Any] = {}

    async def reached() -> bool:
        await applying.apply("events")
        found.update((await tenant.get(f"/api/numbers/{number_id}")).json()["data"])
        return bool(found["connection"] == connection)

    await eventually(reached)
    senders.forget([number_id])
    return found


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process's or server's state gives no event
            await asyncio.sleep(0.01)
