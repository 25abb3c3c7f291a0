"""Settings, the check of the account, and the commands."""

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from core.plugin import PaymentGateway, Secret
from core.plugin.loader import PluginStartError, load_providers
from plugins.stripe.plugin import Plugin, StripeSettings
from tests.outages import free_port
from tests.plugins.stripe.conftest import Stripe, key

ROOT = Path(__file__).parents[3]
ENDPOINT = {"url": "https://recado.example/api/webhooks/stripe", "enabled_events[0]": "*"}


def test_the_plugin_adds_one_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_KEY", "sk_test_1")
    found = load_providers({"stripe": {"secret_key": {"env": "STRIPE_KEY"}}})

    assert [one.payments for one in found.plugins] == [("stripe",)]
    (gateway,) = Plugin(StripeSettings(secret_key=Secret("sk_test_1"))).register_payment_gateways()
    assert isinstance(gateway, PaymentGateway)
    assert {"BRL", "USD", "CLP", "JPY"} <= {*gateway.capabilities.currencies}


def test_elements_need_the_publishable_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_KEY", "sk_test_1")

    with pytest.raises(PluginStartError, match="publishable_key"):
        load_providers({"stripe": {"secret_key": {"env": "STRIPE_KEY"}, "mode": "elements"}})


async def test_the_check_names_account_and_mode(stripe: Stripe) -> None:
    said = await stripe.gateway.check()

    assert said.startswith("Stripe, account Simulated Ltd, test mode")
    assert "no webhook address is registered" in said


async def test_the_check_is_content_with_a_registered_address(stripe: Stripe) -> None:
    await stripe.gateway.register_webhook(ENDPOINT["url"], idempotency_key=key())

    assert await stripe.gateway.check() == "Stripe, account Simulated Ltd, test mode"


async def test_the_check_tells_of_an_address_of_another_version(begin: Callable[..., Awaitable[Stripe]]) -> None:
    stripe = await begin(account_name="Other")
    await stripe.post("/v1/webhook_endpoints", **ENDPOINT, api_version="2017-08-15")

    assert "API version 2017-08-15 instead of" in await stripe.gateway.check()


@pytest.mark.slow
def test_the_simulator_runs_from_the_command_line() -> None:
    unused_port = free_port()
    command = [sys.executable, "-m", "core.cli", "simulate", "stripe", "--port", str(unused_port)]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert str(unused_port) in process.stdout.readline()
            headers = {"Authorization": "Bearer sk_test_simulator"}
            answer = httpx.get(f"http://127.0.0.1:{unused_port}/v1/account", headers=headers)
            assert answer.json()["object"] == "account"
        finally:
            process.terminate()
