"""The settings and what the plugin registers."""

from pathlib import Path

import msgspec
import pytest

import plugins.evolution
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
from plugins.evolution.connection import EvolutionCredentials
from plugins.evolution.plugin import EvolutionServer, EvolutionSettings
from plugins.evolution.provider import EvolutionProvider


def load(table: dict[str, object]) -> EvolutionProvider:
    provider = load_providers({"evolution": table}).messaging("evolution")
    assert isinstance(provider, EvolutionProvider)
    return provider


async def test_defaults() -> None:
    provider = load({})
    assert {kind: provider.send_timeout(kind) for kind in MessageKind} == {
        MessageKind.TEXT: 60,
        MessageKind.AUDIO: 600,
        MessageKind.IMAGE: 600,
        MessageKind.DOCUMENT: 600,
        MessageKind.VIDEO: 600,
    }
    assert provider.unknown_grace_seconds == 60
    assert provider.seeded_servers() == ()


async def test_each_kind_has_its_time() -> None:
    provider = load({"text_timeout_seconds": 1, "audio_timeout_seconds": 2, "media_timeout_seconds": 3})
    kinds = (MessageKind.TEXT, MessageKind.AUDIO, MessageKind.VIDEO)
    assert [provider.send_timeout(kind) for kind in kinds] == [1, 2, 3]


async def test_groups_of_the_protocol() -> None:
    provider = load({})
    offered = (SignIn, NumberChecking, ServerSeeding, Typing, ContactListing, ReadMarks, Restarting, WebhookRepair)
    for group in (MessagingProvider, ServerReporting, AddressLookup, *offered):
        assert isinstance(provider, group)
    for missing in (EventPolling, Screenshots):
        assert not isinstance(provider, missing)


async def test_seeded_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVOLUTION_KEY", "hidden")
    servers: list[object] = [{"name": "main", "url": "http://evo:8080", "api_key": {"env": "EVOLUTION_KEY"}}]
    (server,) = load({"servers": servers}).seeded_servers()
    assert (server.name, server.url) == ("main", "http://evo:8080")
    assert server.credentials == EvolutionCredentials(api_key=Secret("hidden"))
    assert "hidden" not in repr(server)


@pytest.mark.parametrize("kind", [EvolutionSettings, EvolutionServer])
def test_readme_names_every_setting(kind: type[msgspec.Struct]) -> None:
    table = (Path(plugins.evolution.__file__).parent / "README.md").read_text(encoding="utf-8")
    for field in msgspec.inspect.type_info(kind).fields:  # type: ignore[attr-defined]
        prefix = "servers." if kind is EvolutionServer else ""
        assert f"| `{prefix}{field.name}` |" in table
        assert field.type.extra_json_schema["description"] in table


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"timeout": 3}, "timeout: is not known"),
        ({"media_timeout_seconds": 0}, "media_timeout_seconds"),
        ({"servers": [{"name": "main", "url": "evo:8080", "api_key": "k"}]}, "url"),
        ({"servers": [{"name": "main", "url": "http://evo:8080"}]}, "api_key: is missing"),
    ],
)
def test_wrong_settings(table: dict[str, object], problem: str) -> None:
    with pytest.raises(PluginStartError, match=problem):
        load_providers({"evolution": table})
