"""The settings and what the plugin registers."""

from pathlib import Path

import msgspec
import pytest

import plugins.waha
from core.plugin import (
    AddressLookup,
    ContactListing,
    EventPolling,
    MessagingProvider,
    NumberChecking,
    ReadMarks,
    Restarting,
    Screenshots,
    Secret,
    ServerReporting,
    ServerSeeding,
    SignIn,
    Typing,
    WebhookRepair,
)
from core.plugin.loader import PluginStartError, load_providers
from core.plugin.messaging import MessageKind
from plugins.waha.connection import WahaCredentials
from plugins.waha.plugin import WahaServer, WahaSettings
from plugins.waha.provider import WahaProvider


def load(table: dict[str, object]) -> WahaProvider:
    provider = load_providers({"waha": table}).messaging("waha")
    assert isinstance(provider, WahaProvider)
    return provider


async def test_defaults() -> None:
    provider = load({})
    assert provider.send_timeout(MessageKind.TEXT) == 40
    assert provider.send_timeout(MessageKind.IMAGE) == 600
    assert provider.unknown_grace_seconds == 60
    assert provider.seeded_servers() == ()


async def test_groups_of_the_protocol() -> None:
    provider = load({})
    for group in (MessagingProvider, SignIn, NumberChecking, ServerSeeding, Typing, AddressLookup, ContactListing):
        assert isinstance(provider, group)
    for upkeep in (ReadMarks, Restarting, Screenshots, WebhookRepair, ServerReporting):
        assert isinstance(provider, upkeep)
    # WAHA calls by itself.
    assert not isinstance(provider, EventPolling)


async def test_seeded_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAHA_KEY", "hidden")
    servers: list[object] = [
        {"name": "main", "url": "http://waha:3000", "api_key": {"env": "WAHA_KEY"}},
        {"name": "open", "url": "http://other:3000"},
    ]
    first, second = load({"servers": servers}).seeded_servers()
    assert (first.name, first.url, first.credentials) == (
        "main",
        "http://waha:3000",
        WahaCredentials(api_key=Secret("hidden")),
    )
    assert second.credentials == WahaCredentials(api_key=None)
    assert "hidden" not in repr(first)


@pytest.mark.parametrize("kind", [WahaSettings, WahaServer])
def test_readme_names_every_setting(kind: type[msgspec.Struct]) -> None:
    table = (Path(plugins.waha.__file__).parent / "README.md").read_text(encoding="utf-8")
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        prefix = "servers." if kind is WahaServer else ""
        assert f"| `{prefix}{field.name}` |" in table
        assert field.type.extra_json_schema["description"] in table


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"timeout": 3}, "timeout: is not known"),
        ({"text_timeout_seconds": 0}, "text_timeout_seconds"),
        ({"servers": [{"name": "main", "url": "waha:3000"}]}, "url"),
        ({"servers": [{"url": "http://waha:3000"}]}, "name: is missing"),
        ({"servers": [{"name": "m", "url": "http://w:3000", "api_key": {"env": "NOT_SET_AT_ALL"}}]}, "NOT_SET_AT_ALL"),
    ],
)
def test_wrong_settings(table: dict[str, object], problem: str) -> None:
    with pytest.raises(PluginStartError, match=problem):
        load_providers({"waha": table})
