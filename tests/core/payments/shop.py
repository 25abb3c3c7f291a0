"""A platform that sells through both gateways, each a simulated service behind HTTP; webhooks come over HTTP too."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any, Literal

import httpx
import msgspec

from core import database
from core.accounts.tables import Profile
from core.app import create_app
from core.payments import actions, fetching, hints
from core.plans.schemas import PlanCreate, PlanPrice
from core.plans.services import create_plan
from core.plugin import PaymentGateway, Secret
from core.runtime import Runtime
from core.webhooks import applying
from plugins.mercadopago.gateway import Account, MercadoPagoGateway
from plugins.mercadopago.simulator import Options as MercadoPagoOptions
from plugins.mercadopago.simulator import create_simulator as create_mercadopago
from plugins.stripe.connection import Connection
from plugins.stripe.gateway import StripeGateway
from plugins.stripe.simulator import Options as StripeOptions
from plugins.stripe.simulator import create_simulator as create_stripe
from plugins.stripe.simulator.shapes import misfits
from tests.conftest import Serve
from tests.factories import Member, make_member

DAY = 24 * 60 * 60
GOOD, FAILS_LATER, DECLINED = "4242424242424242", "4000000000000341", "4000000000000002"
KEY, TOKEN = "sk_test_shop", "TEST-shop"
STRIPE_SECRET, MERCADOPAGO_SECRET = "whsec_shop", "mercadopago-shop-secret"
HANDLERS = (hints.want_fetches,)
"""Registered by their import."""

Name = Literal["stripe", "mercadopago"]


class Service(ABC):
    """What a test does to a simulated service."""

    name: Name

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def order(self, path: str, /, **fields: object) -> Any:
        """Order something under ``/simulator``."""
        answer = await self.http.post(f"/simulator/{path}", json=fields)
        assert answer.is_success, answer.text
        return answer.json()

    async def look(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()

    async def forward(self, days: float) -> None:
        """Let time pass."""
        await self.order("clock", seconds=int(days * DAY))

    @abstractmethod
    async def pay(self, checkout_id: str) -> None:
        """Let the payer pay with a good card."""

    @abstractmethod
    async def hold(self) -> None:
        """Keep webhooks back."""

    @abstractmethod
    async def deliver(self) -> None:
        """Deliver what is held back, and go on."""

    @abstractmethod
    async def fail_after_start(self, kind: str) -> None:
        """Let the next start lose its answer although its work is done."""

    @abstractmethod
    async def count(self) -> int:
        """How many subscriptions or checkouts there are that could be paid or are."""


class Stripe(Service):
    """The simulated Stripe."""

    name = "stripe"

    async def pay(self, checkout_id: str, card: str = GOOD) -> None:
        await self.order(f"pay/{checkout_id}", card=card, confirm=True)

    async def make(self, path: str, **fields: str) -> Any:
        """Make something as the account's owner does in the dashboard."""
        answer = await self.http.post(path, data=fields)
        assert answer.is_success, answer.text
        return answer.json()

    async def pass_period_end(self) -> None:
        """Let time pass until a renewal was tried once."""
        found = (await self.look("/v1/subscriptions?limit=100"))["data"]
        ends = max(item["current_period_end"] for one in found for item in one["items"]["data"])
        await self.order("clock", to=ends + 3 * 60 * 60)

    async def hold(self) -> None:
        await self.order("webhooks", hold=True)

    async def deliver(self) -> None:
        await self.order("release")
        await self.order("webhooks")

    async def fail_after_start(self, kind: str) -> None:
        await self.order("faults", kind=f"{kind}_after", method="POST", path="/v1/checkout/sessions", count=3)

    async def count(self) -> int:
        found = await self.look("/v1/checkout/sessions?limit=100")
        return len([one for one in found["data"] if one["status"] != "expired"])


class MercadoPago(Service):
    """The simulated Mercado Pago."""

    name = "mercadopago"

    async def pay(self, checkout_id: str, holder: str = "APRO") -> None:
        await self.order(f"preapprovals/{checkout_id}/authorize", holder=holder)
        await self.forward(0.1)

    async def hold(self) -> None:
        await self.order("options", webhooks="hold")

    async def deliver(self) -> None:
        await self.order("options", webhooks="send")
        await self.order("webhooks/release")

    async def fail_after_start(self, kind: str) -> None:
        await self.order("faults", kind=f"{kind}_after", match="POST /preapproval")

    async def count(self) -> int:
        found = await self.look("/preapproval/search?limit=100")
        return len([one for one in found["results"] if one["status"] != "cancelled"])


class Shop:
    """The platform and its services."""

    def __init__(self, url: str, services: Mapping[str, Service], gateways: Mapping[str, PaymentGateway]) -> None:
        self.url = url
        self.services = services
        self.gateways = gateways
        self.starter = 0
        self.pro = 0

    @property
    def stripe(self) -> Stripe:
        service = self.services["stripe"]
        assert isinstance(service, Stripe)
        return service

    @property
    def mercadopago(self) -> MercadoPago:
        service = self.services["mercadopago"]
        assert isinstance(service, MercadoPago)
        return service

    async def work(self) -> None:
        """Do all that workers would do now."""
        for _ in range(20):
            await self._deliver()
            await applying.apply("events")
            await actions.work()
            await fetching.work()
            if not await self._open():
                return
        raise AssertionError("the work does not end")

    async def _deliver(self) -> None:
        """Let the services finish their deliveries."""
        await self.mercadopago.look("/simulator/webhooks")
        await self.stripe.look("/simulator/deliveries")

    async def _open(self) -> bool:
        return bool(
            await database.fetch_value(
                "SELECT EXISTS (SELECT FROM webhook_events WHERE applied_at IS NULL AND number_id = 0"
                " AND due_at <= now())"
                " OR EXISTS (SELECT FROM gateway_fetches WHERE failed_at IS NULL AND due_at <= now())"
                " OR EXISTS (SELECT FROM gateway_actions WHERE status = 'pending' AND due_at <= now())"
            )
        )

    def client(self, member: Member) -> httpx.AsyncClient:
        """Return a signed-in client."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {member.token}"}, timeout=60, trust_env=False
        )


class Customer:
    """Somebody who buys."""

    def __init__(self, shop: Shop, member: Member, http: httpx.AsyncClient, service: Service) -> None:
        self.shop = shop
        self.member = member
        self.http = http
        self.service = service

    async def post(self, path: str, status: int = 200, /, **body: object) -> Any:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json().get("data", answer.json())

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def begin(self, plan_id: int = 0, status: int = 201, **more: object) -> Any:
        """Begin a checkout."""
        wish = {"plan_id": plan_id or self.shop.starter, "gateway": self.service.name, **more}
        return await self.post("/api/payments/checkout", status, **wish)

    async def checkout_id(self) -> str:
        """What the service calls the latest checkout."""
        found = await database.fetch_value(
            "SELECT gateway_id FROM checkouts WHERE user_id = $1 ORDER BY id DESC LIMIT 1", self.member.id
        )
        return str(found)

    async def subscribe(self, plan_id: int = 0, **more: Any) -> Any:
        """Begin, pay with a good card, and return the access that comes of it."""
        await self.begin(plan_id, **more)
        await self.service.pay(await self.checkout_id())
        await self.shop.work()
        return await self.access()

    async def access(self) -> Any:
        return await self.get("/api/subscription")

    async def payments(self) -> list[tuple[str, str]]:
        """The status and amount of each payment, the oldest first."""
        found = await self.get("/api/payments?sort=id")
        return [(one["status"], one["amount"]) for one in found]

    async def notifications(self) -> list[str]:
        """What the user is told, the oldest first."""
        rows = await database.fetch("SELECT kind FROM notifications WHERE user_id = $1 ORDER BY id", self.member.id)
        return [row["kind"] for row in rows]


@asynccontextmanager
async def open_shop(runtime: Runtime, serve: Serve) -> AsyncIterator[Shop]:
    """Serve the platform and both services, and sell two plans."""
    before = runtime.providers
    app_url = await serve(create_app(runtime.config))
    async with AsyncExitStack() as stack:

        async def service(application: Any, key: str) -> httpx.AsyncClient:
            url = await serve(application)
            headers = {"Authorization": f"Bearer {key}"}
            client = httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False)
            return await stack.enter_async_context(client)

        stripe = await service(
            create_stripe(
                StripeOptions(
                    secret_key=KEY, webhook_url=f"{app_url}/api/webhooks/stripe", webhook_secret=STRIPE_SECRET
                )
            ),
            KEY,
        )
        mercadopago = await service(
            create_mercadopago(
                MercadoPagoOptions(
                    access_token=TOKEN,
                    webhook_secret=MERCADOPAGO_SECRET,
                    webhook_url=f"{app_url}/api/webhooks/mercadopago",
                )
            ),
            TOKEN,
        )
        gateways: dict[str, PaymentGateway] = {
            "stripe": stripe_gateway(str(stripe.base_url)),
            "mercadopago": mercadopago_gateway(str(mercadopago.base_url)),
        }
        runtime.providers = msgspec.structs.replace(before, gateways_by_name=MappingProxyType(gateways))
        shop = Shop(app_url, {"stripe": Stripe(stripe), "mercadopago": MercadoPago(mercadopago)}, gateways)
        await _sell(shop)
        try:
            yield shop
            # Requests are held to the library's types as they come, answers here.
            answers = await shop.stripe.look("/simulator/answers")
            assert {fault for answer in answers for fault in misfits(answer)} == set()
        finally:
            for gateway in gateways.values():
                await gateway.aclose()
            runtime.providers = before


def stripe_gateway(url: str, *secrets_: str, seconds: float = 5.0, publishable_key: str = "") -> StripeGateway:
    """Return a gateway on a simulated Stripe."""
    connection = Connection(Secret(KEY), url=url.rstrip("/"), timeout_seconds=seconds)
    secrets_found = tuple(map(Secret, secrets_ or (STRIPE_SECRET,)))
    return StripeGateway(connection, webhook_secrets=secrets_found, publishable_key=publishable_key)


def mercadopago_gateway(url: str, *secrets_: str, seconds: float = 5.0) -> MercadoPagoGateway:
    """Return a gateway on a simulated Mercado Pago, whose clock may run ahead."""
    return MercadoPagoGateway(
        Account(
            access_token=Secret(TOKEN),
            webhook_secrets=tuple(map(Secret, secrets_ or (MERCADOPAGO_SECRET,))),
            site="MLB",
            api_url=url.rstrip("/"),
            timeout_seconds=seconds,
            replay_window_seconds=10**9,
        )
    )


async def _sell(shop: Shop) -> None:
    administrator = await make_member(profile=Profile.ADMINISTRATOR)
    prices = (PlanPrice(currency="BRL", interval="year", amount="499.00"), PlanPrice(currency="USD", amount="19.99"))
    starter = await create_plan(
        administrator.id,
        PlanCreate(name=f"Starter {secrets.token_hex(3)}", value="49.90", prices=prices, numbers_limit=2),
    )
    pro = await create_plan(
        administrator.id,
        PlanCreate(name=f"Pro {secrets.token_hex(3)}", value="99.90", numbers_limit=10, contacts_limit=10_000),
    )
    shop.starter, shop.pro = starter.id, pro.id
