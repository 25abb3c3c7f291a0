"""The demo's payment gateways: simulators with keys of one start, two plans to buy, and how to pay for them."""

import secrets
from collections.abc import Sequence

import msgspec
from rich.console import Console

from core import database
from core.config import PlatformConfig
from core.demo_services import has_simulator
from core.plans import services as plans
from core.plans.schemas import PlanCreate, PlanPrice
from core.plugin.secret import Secret
from core.ports import find_port
from core.settings import services as settings

PLANS_KEY = "demo.plans"
PLANS = (
    PlanCreate(name="Starter", value="49.90", numbers_limit=2, contacts_limit=5000, campaigns_limit=20),
    PlanCreate(
        name="Pro",
        value="99.90",
        numbers_limit=10,
        contacts_limit=50_000,
        campaigns_limit=100,
        trial_days=7,
        prices=(PlanPrice(currency="USD", amount="19.90"),),
    ),
)


class Kind(msgspec.Struct, frozen=True):
    """A gateway whose simulator the demo runs: what its settings and the simulator's option call the account's key."""

    name: str
    title: str
    port: int
    key_name: str
    key_prefix: str
    options: tuple[str, ...] = ()


KINDS = (
    Kind("stripe", "Stripe", 4012, "secret_key", "sk_test_"),
    # The real one charges about an hour after the payer agreed.
    Kind("mercadopago", "Mercado Pago", 3902, "access_token", "TEST-", ("first_charge_hours=0",)),
)


class DemoGateway(msgspec.Struct, frozen=True):
    """One of them in this start of the demo; the simulator forgets everything when it ends, so its keys end too."""

    kind: Kind
    port: int
    key: Secret
    webhook_secret: Secret

    @property
    def name(self) -> str:
        """Name of the plugin."""
        return self.kind.name

    @property
    def title(self) -> str:
        """Name of the service."""
        return self.kind.title

    @property
    def url(self) -> str:
        """Where the simulator answers and has its pages."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, object]:
        """Return the plugin's table; secrets stand in the environment."""
        return {
            self.kind.key_name: {"env": self._variable("KEY")},
            "webhook_secrets": [{"env": self._variable("WEBHOOK_SECRET")}],
            "api_url": self.url,
        }

    def secrets(self) -> dict[str, str]:
        """Return those variables of the environment."""
        return {
            self._variable("KEY"): self.key.reveal(),
            self._variable("WEBHOOK_SECRET"): self.webhook_secret.reveal(),
        }

    def command(self, platform_url: str) -> list[str]:
        """Return the arguments with which ``recado`` runs the simulator."""
        options = (
            f"{self.kind.key_name}=env:{self._variable('KEY')}",
            f"webhook_secret=env:{self._variable('WEBHOOK_SECRET')}",
            f"webhook_url={platform_url}/api/webhooks/{self.kind.name}",
            *self.kind.options,
        )
        named = [word for option in options for word in ("--option", option)]
        return ["simulate", self.kind.name, "--port", str(self.port), *named]

    def _variable(self, what: str) -> str:
        return f"RECADO_DEMO_{self.kind.name.upper()}_{what}"


def choose(config: PlatformConfig) -> list[DemoGateway]:
    """Return the gateways of this start, each on a free port; one that platform.toml has is left as it is there."""
    return [
        DemoGateway(
            kind=kind,
            port=find_port("127.0.0.1", kind.port),
            key=Secret(f"{kind.key_prefix}{secrets.token_hex(16)}"),
            webhook_secret=Secret(f"whsec_{secrets.token_hex(16)}"),
        )
        for kind in KINDS
        if kind.name not in config.plugins and has_simulator(kind.name)
    ]


async def make_plans(actor_id: int) -> None:
    """Make the plans that can be bought, and remember which they are."""
    async with database.unit_of_work():
        made = [(await plans.create_plan(actor_id, plan)).id for plan in PLANS]
        await settings.put_setting(PLANS_KEY, ",".join(map(str, made)), "The plans that the demo made.")


async def remove_plans() -> None:
    """Remove them; in the unit of work that removes whoever has them."""
    made = await settings.get_setting(PLANS_KEY) or ""
    await database.execute("DELETE FROM plans WHERE id = ANY($1)", [int(one) for one in made.split(",") if one])
    await settings.remove_setting(PLANS_KEY)


async def forget_sales(gateways: Sequence[DemoGateway]) -> None:
    """End what was sold in an earlier start: the simulators know nothing of it any more."""
    names = [gateway.kind.name for gateway in gateways]
    async with database.unit_of_work():
        for table in ("gateway_plans", "gateway_customers", "gateway_fetches"):
            await database.execute(f"DELETE FROM {table} WHERE gateway = ANY($1)", names)
        await database.execute("UPDATE gateway_actions SET status = 'failed' WHERE status = 'pending'")
        await database.execute(
            "UPDATE checkouts SET status = 'expired', step = '' WHERE gateway = ANY($1)"
            " AND status IN ('created', 'open')",
            names,
        )
        await database.execute(
            "UPDATE subscriptions SET status = 'canceled', auto_renew = false, action_url = '',"
            " closed_at = coalesce(closed_at, now()) WHERE gateway = ANY($1) AND status <> 'canceled'",
            names,
        )


async def tell(
    console: Console, config: PlatformConfig, gateways: Sequence[DemoGateway], user: str, password: str
) -> None:
    """Say how a plan is bought in a browser."""
    if not gateways:
        return
    made = await settings.get_setting(PLANS_KEY) or ""
    listed = ", ".join(f"{number} ({plan.name})" for number, plan in zip(made.split(","), PLANS, strict=False))
    pages = ", ".join(f'{gateway.kind.title} ("{gateway.kind.name}") at {gateway.url}' for gateway in gateways)
    url, kind = config.server.local_url, "-H 'Content-Type: application/json'"
    sign_in = f'{{"email": "{user}", "password": "{password}"}}'
    wish = f'{{"plan_id": {made.partition(",")[0]}, "gateway": "{gateways[0].kind.name}"}}'
    bearer = '-H "Authorization: Bearer $TOKEN"'
    console.print(f"Plans that can be bought: {listed}. Simulated, so no money moves: {pages}.")
    for line in (
        f"TOKEN=$(curl -s {url}/api/auth/login {kind} -d '{sign_in}' | grep -o '\"token\":\"[^\"]*' | cut -d'\"' -f4)",
        f"curl -s {url}/api/payments/checkout {bearer} {kind} -d '{wish}'",
    ):
        console.print(f"  $ {line}", markup=False)
    console.print("Open the url of its step in a browser and pay. What you have then:")
    console.print(f"  $ curl -s {url}/api/subscription {bearer}", markup=False)
