"""The settings, what the plugin registers, and its page."""

from pathlib import Path

import msgspec
import pytest

import plugins.pusher
from core.plugin import Broadcasting, Notifier, Subscribable
from core.plugin.loader import PluginStartError, load_providers
from plugins.pusher.notifier import PusherNotifier
from plugins.pusher.plugin import PusherSettings
from plugins.pusher.simulator import OPTIONS

TABLE: dict[str, object] = {"app_id": "1880783", "key": "k", "secret": {"env": "PUSHER_SECRET"}}


def load(table: dict[str, object]) -> Notifier:
    return load_providers({"pusher": table}).notifiers_by_name["pusher"]


async def test_an_app_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHER_SECRET", "hidden-secret")
    for more in ({}, {"cluster": "eu"}, {"host": "http://127.0.0.1:6001", "public_host": "https://live.example"}):
        notifier = load({**TABLE, **more})
        assert isinstance(notifier, PusherNotifier)
        assert isinstance(notifier, Broadcasting)
        assert isinstance(notifier, Subscribable)
        assert "hidden" not in repr(vars(notifier))
        await notifier.aclose()


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"app_id": "1/../2"}, "app_id"),
        ({"key": "a:b"}, "key"),
        ({"secret": {"env": "NOT_SET_AT_ALL"}}, "NOT_SET_AT_ALL"),
        ({"cluster": "sa1.evil.example/"}, "cluster"),
        ({"host": "127.0.0.1:6001"}, "host"),
        ({"host": "http://user:word@127.0.0.1"}, "host"),
        ({"host": "http://127.0.0.1:6001/path"}, "host"),
        ({"public_host": "ws://live.example"}, "public_host"),
        ({"host": "http://x:99999"}, "host is 'http://x:99999', which has no usable host or port .*; enter the scheme"),
        ({"host": "https://x:abc"}, "host is 'https://x:abc', .* enter the scheme, the host"),
        ({"host": "http://:6001"}, "host is 'http://:6001', which has no usable host; enter"),
        ({"public_host": "https://x:0"}, "public_host is 'https://x:0', which has the port 0; enter"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"encrypted": True}, "encrypted: is not known"),
    ],
)
def test_wrong_settings(monkeypatch: pytest.MonkeyPatch, more: dict[str, object], problem: str) -> None:
    monkeypatch.setenv("PUSHER_SECRET", "hidden-secret")
    with pytest.raises(PluginStartError, match=problem) as refused:
        load_providers({"pusher": {**TABLE, **more}})
    assert "hidden" not in str(refused.value)


def test_an_app_is_needed() -> None:
    with pytest.raises(PluginStartError, match="app_id: is missing"):
        load_providers({"pusher": {}})


def test_readme_names_every_setting_and_option() -> None:
    page = (Path(plugins.pusher.__file__).parent / "README.md").read_text(encoding="utf-8")
    for field in msgspec.inspect.type_info(PusherSettings).fields:  # type: ignore[attr-defined]
        assert f"| `{field.name}` |" in page
        assert field.type.extra_json_schema["description"] in page
    for option in OPTIONS:
        assert f"`{option}`" in page
