"""A simulated Mercado Pago and the gateway, each over HTTP, and a receiver of webhooks that asks the gateway."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest

from core.plugin import (
    Checkout,
    GatewayHint,
    Money,
    PaymentFact,
    Redirect,
    References,
    Secret,
    Snapshot,
    WebhookDelivery,
)
from core.plugin.testing import Answer, ReceivedRequest, ScriptedServer
from plugins.mercadopago.gateway import Account, MercadoPagoGateway
from plugins.mercadopago.simulator import Options, create_simulator
from tests.conftest import Serve

TOKEN = "TEST-simulated-token"
SECRET = "simulated-webhook-secret"
REFERENCE = "recado-1a2b3c4d-17"
HOUR = 3600
DAY = 24 * HOUR


class Service:
    """A running simulator, a client for it, and a gateway that sells through it."""

    def __init__(self, http: httpx.AsyncClient, receiver: ScriptedServer, options: Options) -> None:
        self.http = http
        self.url = str(http.base_url).rstrip("/")
        self.receiver = receiver
        self.options = options
        self.gateway = self.make_gateway()

    def make_gateway(self, **account: Any) -> MercadoPagoGateway:
        given: dict[str, Any] = {
            "access_token": Secret(TOKEN),
            "webhook_secrets": (Secret(SECRET),),
            "site": self.options.site,
            "api_url": self.url,
            "timeout_seconds": 5.0,
            # Webhooks carry the time of the simulator's clock, which runs ahead.
            "replay_window_seconds": 10**9,
        }
        return MercadoPagoGateway(Account(**(given | account)))

    async def post(self, path: str, **body: object) -> Any:
        response = await self.http.post(path, json=body)
        assert response.is_success, response.text
        return response.json()

    async def get(self, path: str) -> Any:
        return (await self.http.get(path)).json()

    async def after(self, *, days: float = 0, hours: float = 0) -> None:
        await self.post("/simulator/clock", seconds=days * DAY + hours * HOUR)

    async def fault(self, kind: str, match: str, **more: int) -> None:
        await self.post("/simulator/faults", kind=kind, match=match, **more)

    async def start(self, **more: Any) -> Redirect:
        step = await self.gateway.start(checkout(**more))
        assert isinstance(step, Redirect)
        return step

    async def authorize(self, number: str, holder: str = "APRO") -> None:
        await self.post(f"/simulator/preapprovals/{number}/authorize", holder=holder)

    async def subscribe(self, holder: str = "APRO", **more: Any) -> str:
        """Start, let the payer agree, and return the subscription's id."""
        step = await self.start(**more)
        await self.authorize(step.gateway_id, holder)
        return step.gateway_id

    async def paid(self, **more: Any) -> str:
        """Subscribe, and let the first charge happen."""
        number = await self.subscribe(**more)
        await self.after(hours=2)
        return number

    async def fetch(self, number: str) -> Snapshot:
        snapshot = await self.gateway.fetch(References(gateway_id=number))
        assert snapshot is not None
        return snapshot

    async def subscriptions(self) -> list[Any]:
        found = await self.get(f"/preapproval/search?external_reference={REFERENCE}&limit=100")
        return list(found["results"])

    def hints(self, gateway: MercadoPagoGateway | None = None) -> list[GatewayHint]:
        """What the gateway says of every delivery so far, refusing none."""
        verdicts = [(gateway or self.gateway).receive(delivery_of(one), ()) for one in self.receiver.requests]
        assert all(verdict.genuine for verdict in verdicts)
        return [hint for verdict in verdicts for hint in verdict.hints]


Start = Callable[..., Awaitable[Service]]


@pytest.fixture
async def service(start: Start) -> Service:
    return await start()


@pytest.fixture
async def start(serve: Serve) -> AsyncIterator[Start]:
    """Start simulators with chosen options."""
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(ScriptedServer(Answer(200, b"")))

        async def one(**options: Any) -> Service:
            given = {"access_token": TOKEN, "webhook_secret": SECRET, "webhook_url": f"{receiver.url}/hook"} | options
            chosen = Options(**given)
            url = await serve(create_simulator(chosen))
            headers = {"Authorization": f"Bearer {TOKEN}"}
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=30))
            made = Service(http, receiver, chosen)
            stack.push_async_callback(made.gateway.aclose)
            return made

        yield one


def checkout(**more: Any) -> Checkout:
    wish = Checkout(
        idempotency_key="key-1",
        reference=REFERENCE,
        plan_id=1,
        plan_name="Pro",
        price=Money(Decimal("49.90"), "BRL"),
        interval="month",
        payer_email="payer@example.com",
        payer_name="Ana",
        customer_id="",
        success_url="https://recado.example/yes?from=pay",
        cancel_url="https://recado.example/no",
    )
    return msgspec.structs.replace(wish, **more)


def delivery_of(request: ReceivedRequest) -> WebhookDelivery:
    """Make what core would hand to the gateway."""
    query = dict(parse_qsl(urlsplit(request.target).query))
    return WebhookDelivery(
        method=request.method, query=query, headers=request.headers, body=request.body, public_url="https://p.example/w"
    )


def outcome(fact: PaymentFact) -> tuple[str, Decimal, int]:
    return fact.status, fact.price.amount, fact.attempt
