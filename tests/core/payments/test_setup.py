"""``recado stripe setup`` as a process against the simulated Stripe, and what ``recado check`` says afterwards."""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import stripe as library

from core import database
from core.config import OVERRIDES, PlatformConfig
from core.payments.setup import is_public
from plugins.mercadopago.simulator import Options as MercadoPagoOptions
from plugins.mercadopago.simulator import create_simulator as create_mercado_pago
from plugins.stripe.simulator import Options, create_simulator
from tests.conftest import Serve

ROOT = Path(__file__).parents[3]
KEY = "sk_test_setup"
URL = "https://recado.example"
HOOK = f"{URL}/api/webhooks/stripe"


class Installation:
    """An installation of its own, with the simulated Stripe as its gateway."""

    def __init__(self, folder: Path, config: PlatformConfig, simulator: str) -> None:
        self.simulator = simulator
        self._folder = folder
        assert config.database.url is not None
        assert config.redis.url is not None
        self._env = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}} | {
            "PYTHONPATH": str(ROOT),
            "RECADO_DATABASE_URL": config.database.url.reveal(),
            "RECADO_REDIS_URL": config.redis.url.reveal(),
            "RECADO_SECRET_KEY": secrets.token_hex(32),
            "RECADO_PUBLIC_URL": URL,
            "STRIPE_KEY": KEY,
        }
        self.configure(simulator)

    def configure(self, api_url: str, more: str = "") -> None:
        """Write platform.toml."""
        text = f'[plugins.stripe]\nsecret_key = {{ env = "STRIPE_KEY" }}\napi_url = "{api_url}"\ntimeout_seconds = 5\n'
        (self._folder / "platform.toml").write_text(text + more)

    async def recado(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command, in a thread: the simulator answers it meanwhile."""
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "core.cli", *arguments],
            cwd=self._folder,
            env={**self._env, **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    async def ask(self, path: str) -> Any:
        """GET from the simulated Stripe."""
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=self.simulator, headers=headers, trust_env=False) as http:
            answer = await http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def endpoints(self) -> list[Mapping[str, Any]]:
        """Return the webhook addresses at Stripe."""
        found: list[Mapping[str, Any]] = (await self.ask("/v1/webhook_endpoints"))["data"]
        return found


@pytest.fixture
async def installation(empty_installation: PlatformConfig, tmp_path: Path, serve: Serve) -> Installation:
    """Two plans that cost something, one of them at two prices, beside those that cost nothing."""
    simulator = await serve(create_simulator(Options(secret_key=KEY)))
    await _plan("Starter", "49.90")
    pro = await _plan("Pro", "99.90")
    await database.execute(
        "INSERT INTO plan_prices (plan_id, currency, interval, amount) VALUES ($1, 'USD', 'year', 199)", pro
    )
    return Installation(tmp_path, empty_installation, simulator)


async def _plan(name: str, value: str, currency: str = "BRL") -> int:
    made = await database.fetch_value(
        "INSERT INTO plans (name, value, currency, created_at, updated_at)"
        f" VALUES ($1, {value}, $2, now(), now()) RETURNING id",
        name,
        currency,
    )
    assert isinstance(made, int)
    return made


async def _rows() -> Sequence[asyncpg.Record]:
    return await database.fetch(
        "SELECT url, gateway_id, secret, version, retired_at IS NOT NULL AS retired FROM gateway_webhooks ORDER BY id"
    )


def _outcomes(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """Return outcome and the words up to the colon of each line but the last two."""
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    *lines, test, see = done.stdout.splitlines()
    assert test.startswith("To test it: POST /api/payments/checkout,")
    assert see.startswith("see GET /api/subscription.")
    return [(line[:11].strip(), line[11:].rpartition(": ")[0]) for line in lines]


PLANS = ("plan Starter, 49.90 BRL a month", "plan Pro, 99.90 BRL a month", "plan Pro, 199.00 USD a year")


@pytest.mark.slow
async def test_a_second_run_makes_nothing_new(installation: Installation) -> None:
    first = await installation.recado("stripe", "setup")
    prices = (await installation.ask("/v1/prices"))["data"]
    second = await installation.recado("stripe", "setup")

    assert first.stdout.splitlines()[0] == (
        "account    Stripe, account Simulated Ltd, test mode;"
        " no webhook address is registered and no webhook secret is set: payments are seen late"
    )
    assert _outcomes(first)[1:] == [*(("made", plan) for plan in PLANS), ("made", f"webhook address {HOOK}")]
    assert _outcomes(second)[1:] == [*(("was there", plan) for plan in PLANS), ("was there", f"webhook address {HOOK}")]
    assert {(price["unit_amount"], price["currency"], price["recurring"]["interval"]) for price in prices} == {
        (4990, "brl", "month"),
        (9990, "brl", "month"),
        (19900, "usd", "year"),
    }
    assert len((await installation.ask("/v1/prices"))["data"]) == len(prices) == 3
    assert {row["reference"] for row in await database.fetch("SELECT reference FROM gateway_plans")} == {
        price["id"] for price in prices
    }
    (endpoint,) = await installation.endpoints()
    (row,) = await _rows()
    assert (row["url"], row["gateway_id"], row["version"], row["retired"]) == (
        HOOK,
        endpoint["id"],
        library.api_version,
        False,
    )
    assert endpoint["api_version"] == library.api_version
    # Encrypted, and never printed.
    assert row["secret"].startswith("v1.")
    assert "whsec" not in row["secret"] + first.stdout + second.stdout


@pytest.mark.slow
async def test_another_address_is_registered_before_the_old_one_is_removed(installation: Installation) -> None:
    await installation.recado("stripe", "setup")
    (old,) = await installation.endpoints()
    moved = await installation.recado("stripe", "setup", RECADO_PUBLIC_URL="https://new.example/")

    new_url = "https://new.example/api/webhooks/stripe"
    assert _outcomes(moved)[-2:] == [("made", f"webhook address {new_url}"), ("removed", f"webhook address {HOOK}")]
    (new,) = await installation.endpoints()
    assert (new["url"], new["id"] != old["id"]) == (new_url, True)
    assert [(row["gateway_id"], row["retired"]) for row in await _rows()] == [(old["id"], True), (new["id"], False)]
    asked = [
        (one["method"], one["path"])
        for one in await installation.ask("/simulator/requests")
        if one["method"] != "GET" and "webhook_endpoints" in one["path"]
    ]
    assert asked == [
        ("POST", "/v1/webhook_endpoints"),
        ("POST", "/v1/webhook_endpoints"),
        ("DELETE", f"/v1/webhook_endpoints/{old['id']}"),
    ]


@pytest.mark.slow
async def test_what_stripe_does_not_deliver_to_any_more_is_registered_anew(installation: Installation) -> None:
    await installation.recado("stripe", "setup")
    (old,) = await installation.endpoints()
    async with httpx.AsyncClient(base_url=installation.simulator, trust_env=False) as http:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = await http.post(f"/v1/webhook_endpoints/{old['id']}", data={"disabled": "true"}, headers=headers)
    assert answer.status_code == 200, answer.text

    checked = (await installation.recado("check")).stdout
    again = await installation.recado("stripe", "setup")

    assert (
        f"warning payments stripe webhooks: {HOOK} is not registered any more, or disabled, or for another version:"
        " run `recado stripe setup`\n"
    ) in checked
    assert [outcome for outcome, _ in _outcomes(again)[-2:]] == ["made", "removed"]
    (new,) = await installation.endpoints()
    assert (new["url"], new["status"], new["id"] != old["id"]) == (HOOK, "enabled", True)


@pytest.mark.slow
async def test_a_new_secret_is_made_to_order(installation: Installation) -> None:
    await installation.recado("stripe", "setup")
    renewed = await installation.recado("stripe", "setup", "--renew-webhook")

    assert _outcomes(renewed)[-2:] == [("made", f"webhook address {HOOK}"), ("removed", f"webhook address {HOOK}")]
    old, new = await _rows()
    assert (old["retired"], new["retired"], old["secret"] != new["secret"]) == (True, False, True)
    assert [one["id"] for one in await installation.endpoints()] == [new["gateway_id"]]


@pytest.mark.slow
async def test_another_account_gets_everything(installation: Installation, serve: Serve) -> None:
    await installation.recado("stripe", "setup")
    other = await serve(create_simulator(Options(secret_key=KEY)))
    installation.configure(other)

    done = await installation.recado("stripe", "setup")

    made = [("made", plan) for plan in PLANS]
    assert _outcomes(done)[1:5] == [*made, ("made", f"webhook address {HOOK}")]
    installation.simulator = other
    assert {row["reference"] for row in await database.fetch("SELECT reference FROM gateway_plans")} == {
        price["id"] for price in (await installation.ask("/v1/prices"))["data"]
    }
    assert len(await installation.endpoints()) == 1


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://recado.example", True),
        ("https://8.8.8.8:8443/x", True),
        ("http://recado.example", False),
        ("https://127.0.0.1", False),
        ("https://10.1.2.3", False),
        ("https://[::1]", False),
        ("https://localhost", False),
        ("https://api", False),
        ("", False),
    ],
)
def test_what_a_gateway_can_reach(address: str, *, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.slow
async def test_without_a_public_address_plans_are_published_all_the_same(installation: Installation) -> None:
    done = await installation.recado("stripe", "setup", RECADO_PUBLIC_URL="")

    assert [outcome for outcome, _ in _outcomes(done)] == ["account", "made", "made", "made", "left out"]
    assert "stripe cannot reach it; set [server] public_url to a public https address and run this again" in done.stdout
    assert await installation.endpoints() == []
    assert await _rows() == []


@pytest.mark.slow
async def test_every_failure_is_one_line_without_secrets(installation: Installation) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        installation.configure(nobody)
        down = await installation.recado("stripe", "setup")
    installation.configure(installation.simulator)
    wrong = await installation.recado("stripe", "setup", STRIPE_KEY="sk_test_of_somebody_else")
    unknown = await installation.recado("paypal", "setup")

    told = [done.stderr for done in (down, wrong, unknown)]
    assert [(done.returncode, done.stdout) for done in (down, wrong, unknown)] == [(1, "")] * 3
    assert [text.count("\n") for text in told] == [1, 1, 1]
    assert told[0].startswith("recado: stripe: checking the account: Stripe gave no usable answer (")
    assert told[1].startswith(
        "recado: stripe: checking the account: Stripe refuses the secret key, or the key may not do"
    )
    assert told[2] == "recado: There is no payment gateway paypal (enabled: stripe): add [plugins.paypal].\n"
    assert "sk_test" not in "".join(told)


@pytest.mark.slow
async def test_a_plan_that_is_refused_keeps_no_other_back(installation: Installation) -> None:
    # Yen have no decimals.
    await _plan("Odd", "49.90", "JPY")

    done = await installation.recado("stripe", "setup")

    assert done.returncode == 1
    outcomes = [line[:11].strip() for line in done.stdout.splitlines()]
    assert outcomes == ["account", "made", "made", "made", "FAILED", "made"]
    assert "FAILED     plan Odd, 49.90 JPY a month: " in done.stdout


@pytest.mark.slow
async def test_check_says_whether_webhooks_can_be_verified(installation: Installation) -> None:
    async def line(**env: str) -> str:
        told = (await installation.recado("check", **env)).stdout.splitlines()
        (found,) = (one for one in told if "payments stripe webhooks: " in one)
        return found

    assert await line() == (
        "warning payments stripe webhooks: cannot be verified, so payments are seen late: run `recado stripe setup`"
    )
    installation.configure(installation.simulator, 'webhook_secrets = [{ env = "STRIPE_KEY" }]\n')
    assert await line() == (
        "ok      payments stripe webhooks: can be verified with the secrets of the plugin's settings"
    )
    installation.configure(installation.simulator)
    await installation.recado("stripe", "setup")
    assert await line() == f"ok      payments stripe webhooks: come to {HOOK} and can be verified"
    assert await line(RECADO_PUBLIC_URL="https://new.example") == (
        f"warning payments stripe webhooks: go to {HOOK} and not to https://new.example/api/webhooks/stripe:"
        " run `recado stripe setup`"
    )
    assert (await line(RECADO_SECRET_KEY=secrets.token_hex(32))).startswith(
        "PROBLEM payments stripe webhooks: A secret stored for gateway_webhooks.secret was encrypted with the key"
    )
    assert (await installation.recado("plugins")).stdout == "stripe  1.0.0 (folder)  payments: stripe\n"


@pytest.mark.slow
async def test_a_gateway_without_registration_says_what_is_done_by_hand(
    installation: Installation, serve: Serve
) -> None:
    simulator = await serve(create_mercado_pago(MercadoPagoOptions(access_token=KEY)))
    table = f'[plugins.mercadopago]\naccess_token = {{ env = "STRIPE_KEY" }}\napi_url = "{simulator}"\n'
    installation.configure(installation.simulator, table)

    done = await installation.recado("mercadopago", "setup")

    assert [outcome for outcome, _ in _outcomes(done)] == ["account", *["not needed"] * 3, "by hand"]
    starter, pro, by_year, webhook = done.stdout.splitlines()[1:5]
    assert starter == "not needed plan Starter, 49.90 BRL a month: mercadopago is told with each checkout"
    assert pro == "not needed plan Pro, 99.90 BRL a month: mercadopago is told with each checkout"
    assert by_year == "not needed plan Pro, 199.00 USD a year: mercadopago charges no USD"
    assert webhook.startswith(
        f"by hand    webhook address {URL}/api/webhooks/mercadopago: enter it at mercadopago, and"
    )


@pytest.mark.slow
async def test_a_run_that_died_before_it_stored_the_address_gets_the_same_one_again(installation: Installation) -> None:
    await installation.recado("stripe", "setup")
    (first,) = await _rows()
    await database.execute("DELETE FROM gateway_webhooks")

    again = await installation.recado("stripe", "setup")

    assert _outcomes(again)[-1] == ("made", f"webhook address {HOOK}")
    (row,) = await _rows()
    assert [row["gateway_id"]] == [first["gateway_id"]] == [one["id"] for one in await installation.endpoints()]
