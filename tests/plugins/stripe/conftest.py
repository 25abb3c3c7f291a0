"""A running simulator, the gateway on it, and what a payer and an administrator of the account do."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from core.plugin import Checkout, Money, PlanChange, PlanOffer, Redirect, References, Secret, Snapshot, WebhookDelivery
from core.plugin.testing import Answer, ReceivedRequest, ScriptedServer
from plugins.stripe.connection import Connection
from plugins.stripe.gateway import StripeGateway
from plugins.stripe.simulator import Options, create_simulator
from plugins.stripe.simulator.shapes import misfits

KEY = "sk_test_simulator"
DAY = 24 * 60 * 60
GOOD, FAILS_LATER, DECLINED = "4242424242424242", "4000000000000341", "4000000000000002"
ASKS_ONCE, ASKS_ALWAYS = "4000002500003155", "4000002760003184"
BRL_4990 = Money(Decimal("49.90"), "BRL")


class Stripe:
    """A running simulator, a client for its orders, and a gateway on it."""

    def __init__(self, http: httpx.AsyncClient, gateway: StripeGateway) -> None:
        self.http = http
        self.url = str(http.base_url).rstrip("/")
        self.gateway = gateway

    async def order(self, path: str, /, **fields: object) -> Any:
        """Order something under ``/simulator``."""
        response = await self.http.post(f"/simulator/{path}", json=fields)
        assert response.status_code == 200, response.text
        return response.json()

    async def look(self, path: str) -> Any:
        response = await self.http.get(path)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, /, **form: str) -> httpx.Response:
        return await self.http.post(path, data=form)

    async def forward(self, days: float) -> None:
        await self.order("clock", seconds=int(days * DAY))

    async def start(self, **changes: Any) -> Redirect:
        step = await self.gateway.start(checkout(**changes))
        assert isinstance(step, Redirect)
        return step

    async def subscribe(self, card: str = GOOD, **changes: Any) -> Snapshot:
        """Start a checkout, pay it, and return what there is then."""
        step = await self.start(**changes)
        paid = await self.order(f"pay/{step.gateway_id}", card=card, confirm=True)
        assert paid == {"outcome": "succeeded"}
        return await self.fetch(References(checkout_id=step.gateway_id))

    async def fetch(self, refs: References | Snapshot) -> Snapshot:
        asked = References(gateway_id=refs.gateway_id) if isinstance(refs, Snapshot) else refs
        found = await self.gateway.fetch(asked)
        assert found is not None
        return found

    async def publish(self, amount: str, currency: str = "BRL", plan_id: int = 2, **changes: Any) -> str:
        offer = PlanOffer(plan_id=plan_id, plan_name="Pro", price=Money(Decimal(amount), currency), interval="month")
        return await self.gateway.publish_plan(msgspec.structs.replace(offer, **changes), idempotency_key=key())

    async def requests(self, path: str) -> list[dict[str, str]]:
        return [one for one in await self.look("/simulator/requests") if one["path"].startswith(path)]


def key() -> str:
    return f"key-{secrets.token_hex(8)}"


def checkout(**changes: Any) -> Checkout:
    made = Checkout(
        idempotency_key=key(),
        reference=f"recado-1a2b3c4d-{secrets.token_hex(4)}",
        plan_id=1,
        plan_name="Starter",
        price=BRL_4990,
        interval="month",
        payer_email="ana@example.com",
        payer_name="Ana",
        customer_id="",
        locale="pt-BR",
        success_url="https://recado.example/billing/done",
        cancel_url="https://recado.example/billing",
    )
    return msgspec.structs.replace(made, **changes)


def plan_change(price: str, plan_reference: str, *, at_once: bool = True, **changes: Any) -> PlanChange:
    made = PlanChange(
        idempotency_key=key(),
        plan_id=2,
        plan_name="Pro",
        plan_reference=plan_reference,
        price=Money(Decimal(price), "BRL"),
        interval="month",
        at_once=at_once,
    )
    return msgspec.structs.replace(made, **changes)


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def delivered(request: ReceivedRequest) -> WebhookDelivery:
    """Return what a receiver got, as core hands it to the gateway."""
    return WebhookDelivery(
        method=request.method,
        query={},
        headers=request.headers,
        body=request.body,
        public_url="https://recado.example/api/webhooks/stripe",
    )


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[str]:
    """Run an ASGI application on a free port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def simulate(*, publishable_key: str = "", seconds: float = 5.0, **options: Any) -> AsyncIterator[Stripe]:
    """Run a simulator and a gateway; at the end, whatever it answered must fit the types of the library."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with (
        serve(create_simulator(Options(**options))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http,
    ):
        gateway = StripeGateway(
            Connection(Secret(KEY), url=url, timeout_seconds=seconds), publishable_key=publishable_key
        )
        stripe = Stripe(http, gateway)
        try:
            yield stripe
            answers = await stripe.look("/simulator/answers")
            events = (await stripe.look("/v1/events?limit=100"))["data"]
            said = [*answers, *events, *(one["data"]["object"] for one in events)]
            assert {fault for one in said for fault in misfits(one)} == set()
        finally:
            await gateway.aclose()


@pytest.fixture
async def stripe() -> AsyncIterator[Stripe]:
    async with simulate() as running:
        yield running


@pytest.fixture
async def begin() -> AsyncIterator[Callable[..., Awaitable[Stripe]]]:
    """Begin simulators with options of their own."""
    async with AsyncExitStack() as stack:

        async def one(**options: Any) -> Stripe:
            return await stack.enter_async_context(simulate(**options))

        yield one


@pytest.fixture
async def receiver() -> AsyncIterator[ScriptedServer]:
    """A receiver of webhooks that remembers what it got."""
    async with ScriptedServer(Answer(200, b"")) as server:
        yield server


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until ``condition`` holds; what is awaited happens in a server."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)
