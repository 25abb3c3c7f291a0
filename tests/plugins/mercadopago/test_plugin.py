"""The settings, what the plugin registers, and its page."""

from pathlib import Path

import msgspec
import pytest

import plugins.mercadopago
from core.plugin import PaymentGateway
from core.plugin.loader import PluginStartError, load_providers
from plugins.mercadopago.gateway import MercadoPagoGateway
from plugins.mercadopago.plugin import MercadoPagoSettings
from plugins.mercadopago.simulator import OPTIONS

TABLE: dict[str, object] = {"access_token": {"env": "MP_TOKEN"}}


def load(table: dict[str, object]) -> PaymentGateway:
    return load_providers({"mercadopago": table}).gateway("mercadopago")


async def test_a_token_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MP_TOKEN", "hidden-token")
    monkeypatch.setenv("MP_SECRET", "hidden-secret")
    secrets = [{"env": "MP_SECRET"}]
    for table in (TABLE, {**TABLE, "webhook_secrets": secrets, "site": "MLC", "checkout": "plan"}):
        gateway = load(table)
        assert isinstance(gateway, MercadoPagoGateway)
        assert "hidden" not in repr(vars(gateway))
        await gateway.aclose()


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({}, "access_token: is missing"),
        ({"access_token": {"env": "NOT_SET_AT_ALL"}}, "NOT_SET_AT_ALL"),
        ({"access_token": "t", "site": "BR"}, "site"),
        ({"access_token": "t", "checkout": "card"}, "checkout"),
        ({"access_token": "t", "api_url": "api.mercadopago.com"}, "api_url"),
        ({"access_token": "t", "timeout_seconds": 0}, "timeout_seconds"),
        ({"access_token": "t", "replay_window_seconds": 1}, "replay_window_seconds"),
        ({"access_token": "t", "webhook_secrets": [{"env": "NOT_SET_AT_ALL"}]}, "NOT_SET_AT_ALL"),
        ({"access_token": "t", "currency": "BRL"}, "currency: is not known"),
    ],
)
def test_wrong_settings(table: dict[str, object], problem: str) -> None:
    with pytest.raises(PluginStartError, match=problem):
        load_providers({"mercadopago": table})


def test_readme_names_every_setting_and_option() -> None:
    page = (Path(plugins.mercadopago.__file__).parent / "README.md").read_text(encoding="utf-8")
    for field in msgspec.inspect.type_info(MercadoPagoSettings).fields:  # type: ignore[attr-defined]
        assert f"| `{field.name}` |" in page
        assert field.type.extra_json_schema["description"] in page
    for option in OPTIONS:
        assert f"`{option}`" in page
