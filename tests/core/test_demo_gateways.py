"""Where the demo's gateways are enabled, and what a new start makes of an old one's sales; a walk is in tests/e2e."""

import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core import database, demo, demo_gateways, demo_services
from core.config import DEMO_PLUGINS, PlatformConfig, load_config
from core.demo_gateways import DemoGateway
from core.plugin.loader import load_providers
from core.settings import services as settings
from tests.core.campaigns.making import insert
from tests.factories import make_user

SIMULATOR = "http://127.0.0.1:3999"


async def _prepare(config: PlatformConfig) -> Sequence[DemoGateway]:
    """Prepare as a start does, which opens and closes connections of its own."""
    services = await demo.prepare(config, SIMULATOR)
    await database.open_pool(config, size=4)
    return [service for service in services if isinstance(service, DemoGateway)]


async def _plans() -> list[str]:
    return [row["name"] for row in await database.fetch("SELECT name FROM plans ORDER BY id")]


async def test_an_empty_installation_gets_both(empty_installation: PlatformConfig) -> None:
    gateways = await _prepare(empty_installation)

    assert [gateway.kind.name for gateway in gateways] == ["stripe", "mercadopago"]


async def test_where_real_users_are_nothing_is_sold(empty_installation: PlatformConfig) -> None:
    await make_user()

    assert await _prepare(empty_installation) == []


async def test_a_gateway_of_platform_toml_stays_as_it_is_there(empty_installation: PlatformConfig) -> None:
    config = msgspec.structs.replace(empty_installation, plugins={"stripe": {"enabled": False}})

    assert [gateway.kind.name for gateway in await _prepare(config)] == ["mercadopago"]


async def test_a_new_start_ends_what_the_simulators_forgot(empty_installation: PlatformConfig) -> None:
    user = await make_user()
    await settings.put_setting(demo.STATE_KEY, demo.FINISHED)
    await demo_gateways.make_plans(user.id)
    plan_id = await database.fetch_value("SELECT id FROM plans WHERE name = 'Pro'")
    price = {"amount": Decimal("99.90"), "currency": "BRL"}
    sold = {"gateway": "stripe", "plan_id": plan_id, "user_id": user.id, **price}
    await insert("gateway_plans", gateway="stripe", plan_id=plan_id, interval="month", reference="price_1", **price)
    await insert("checkouts", **sold, reference="recado-x-1", idempotency_key="k", status="open")
    for gateway in ("stripe", "paypal"):
        more = {"gateway": gateway, "gateway_id": "sub_1", "fetched_at": await database.fetch_value("SELECT now()")}
        # A user has one that lives.
        await insert("subscriptions", **{**sold, **more}, status="active", duplicate=gateway == "paypal")
    server = await insert("servers", name=demo.SERVER, provider="waha", url="http://127.0.0.1:3000")

    gateways = await _prepare(empty_installation)

    assert len(gateways) == 2
    assert await database.fetch_value("SELECT count(*) FROM gateway_plans") == 0
    assert await database.fetch_value("SELECT status FROM checkouts") == "expired"
    rows = await database.fetch("SELECT gateway, status, closed_at IS NULL AS lives FROM subscriptions ORDER BY id")
    assert [tuple(row) for row in rows] == [("stripe", "canceled", False), ("paypal", "active", True)]
    assert await database.fetch_value("SELECT url FROM servers WHERE id = $1", server) == SIMULATOR


async def test_leaving_takes_its_plans_and_no_others(empty_installation: PlatformConfig) -> None:
    before = await _plans()
    made = await insert("plans", name="Kept", value=Decimal(5))
    await insert("plan_prices", plan_id=made, currency="USD", interval="month", amount=Decimal(1))
    user = await make_user()
    await settings.put_setting(demo.STATE_KEY, demo.FINISHED)
    await demo_gateways.make_plans(user.id)
    assert [*before, "Kept", "Starter", "Pro"] == await _plans()

    await demo.leave(empty_installation)
    await database.open_pool(empty_installation, size=4)
    assert [*before, "Kept"] == await _plans()
    assert await database.fetch_value("SELECT count(*) FROM plan_prices WHERE plan_id = $1", made) == 1
    assert await database.fetch_value("SELECT count(*) FROM settings WHERE key LIKE 'demo%'") == 0


async def test_they_are_enabled_by_the_environment_and_platform_toml_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_installation: PlatformConfig
) -> None:
    file = tmp_path / "platform.toml"
    file.write_text("[plugins.waha]\n")
    gateways = await _prepare(empty_installation)
    assert set(load_config(file).plugins) == {"waha"}
    environment = demo_services.variables(gateways)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    found = load_providers(load_config(file).plugins)
    await found.aclose()

    assert set(found.gateways_by_name) == {"stripe", "mercadopago"}
    # Keys stand in variables of their own, not in the tables.
    assert not any(gateway.key.reveal() in environment[DEMO_PLUGINS] for gateway in gateways)
    monkeypatch.setenv(DEMO_PLUGINS, json.dumps({"waha": {"text_timeout_seconds": 9}}))
    assert load_config(file).plugins == {"waha": {}}


def test_a_taken_port_is_not_chosen() -> None:
    preferred = demo_gateways.KINDS[0].port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # Then another has it.
            taken.bind(("127.0.0.1", preferred))
            taken.listen()
        chosen = demo_gateways.choose(PlatformConfig())

    assert chosen[0].port != preferred
    assert chosen[0].url == f"http://127.0.0.1:{chosen[0].port}"
    assert chosen[0].command("http://127.0.0.1:8000")[:4] == ["simulate", "stripe", "--port", str(chosen[0].port)]
