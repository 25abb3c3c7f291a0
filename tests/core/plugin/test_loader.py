import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from core.errors import OperatorError
from core.plugin.loader import PluginStartError, load_providers
from core.plugin.places import FOLDERS_VARIABLE
from core.plugin.registry import NoSuchProviderError

NOTIFIER = """
    from core.plugin import Secret, Settings, hookimpl

    class ExampleSettings(Settings, frozen=True):
        token: Secret
        limit: int = 1

    class ExampleNotifier:
        channel = "email"

        def __init__(self, name):
            self.name = name

        async def send(self, notification, handing_over): ...
        async def check(self): return "fine"
        async def aclose(self): ...

    class Plugin:
        Settings = ExampleSettings
        requires = ">=1.0,<2"
        provider_name = "{name}"

        def __init__(self, settings):
            self.settings = settings

        @hookimpl
        def register_notifiers(self):
            return [ExampleNotifier(self.provider_name)]
"""

Write = Callable[..., None]


@pytest.fixture
def write_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    package = importlib.import_module("plugins")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    before = set(sys.modules)

    def write(name: str, source: str = NOTIFIER, changes: Mapping[str, str] | None = None) -> None:
        text = textwrap.dedent(source).replace("{name}", name)
        for old, new in (changes or {}).items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
        importlib.invalidate_caches()

    yield write
    for module in set(sys.modules) - before:
        if module.startswith(("plugins.", "from_package")):
            del sys.modules[module]


def _told(tables: Mapping[str, Mapping[str, object]]) -> list[str]:
    with pytest.raises(PluginStartError) as caught:
        load_providers(tables)
    return str(caught.value).splitlines()


def test_no_tables_mean_no_plugins() -> None:
    assert load_providers({}).plugins == ()


def test_a_folder_becomes_a_plugin(write_plugin: Write) -> None:
    write_plugin("one")

    providers = load_providers({"one": {"token": "t"}})

    (plugin,) = providers.plugins
    assert (plugin.name, plugin.source, plugin.enabled, plugin.notifiers) == ("one", "folder", True, ("one",))
    assert providers.notifiers_by_name["one"].name == "one"


def test_an_installed_package_becomes_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "recado_other-2.0.dist-info").mkdir(parents=True)
    (site / "recado_other-2.0.dist-info" / "METADATA").write_text("Name: recado-other\nVersion: 2.0\n")
    entry = "[recado.plugins]\nother = from_package_other:Plugin\n"
    (site / "recado_other-2.0.dist-info" / "entry_points.txt").write_text(entry)
    (site / "from_package_other.py").write_text(textwrap.dedent(NOTIFIER).replace("{name}", "other"))
    monkeypatch.syspath_prepend(site)

    (plugin,) = load_providers({"other": {"token": "t"}}).plugins

    assert (plugin.source, plugin.notifiers) == ("recado-other", ("other",))


def test_a_folder_elsewhere_is_loaded_with_its_table(
    write_plugin: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_plugin("one")
    write_plugin("two", changes={"token: Secret": 'token: Secret = Secret("default")'})
    monkeypatch.setenv(FOLDERS_VARIABLE, f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])

    found = load_providers({"one": {"token": "t"}}).plugins

    assert [(plugin.name, plugin.source) for plugin in found] == [
        ("one", str(tmp_path / "one")),
        ("two", str(tmp_path / "two")),
    ]


def test_a_folder_elsewhere_that_is_no_plugin_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path / "gone"))

    with pytest.raises(OperatorError, match="gone is no plugin"):
        load_providers({})


def test_plugins_keep_the_order_of_their_tables(write_plugin: Write) -> None:
    for name in ("second", "first", "third"):
        write_plugin(name)

    providers = load_providers({name: {"token": "t"} for name in ("third", "first", "second")})

    assert [plugin.name for plugin in providers.plugins] == ["third", "first", "second"]
    assert list(providers.notifiers_by_name) == ["third", "first", "second"]


def test_a_disabled_plugin_is_not_even_imported(write_plugin: Write) -> None:
    write_plugin("broken", "raise RuntimeError")

    (plugin,) = load_providers({"broken": {"enabled": False, "any": "setting"}}).plugins

    assert (plugin.name, plugin.enabled) == ("broken", False)


def test_an_unknown_plugin() -> None:
    (told,) = _told({"nowhere": {}})

    where = "[plugins.nowhere]: no folder plugins/nowhere and no installed package offers it"
    assert told == f"{where}; correct the name or remove the table"


@pytest.mark.parametrize("name", ["no.where", "no-where", ""])
def test_a_name_that_cannot_be_a_module(name: str) -> None:
    (told,) = _told({name: {}})

    assert f"no folder plugins/{name} and no installed package" in told


def test_a_bad_setting(write_plugin: Write) -> None:
    write_plugin("one")

    assert _told({"one": {"token": "t", "limit": "many", "colour": 1}}) == [
        "[plugins.one] colour: is not known; known keys: token, limit",
        "[plugins.one] limit: Expected `int`, got `str`; write a whole number",
    ]


def test_a_missing_secret(write_plugin: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONE_TOKEN", raising=False)
    write_plugin("one")

    assert _told({"one": {"token": {"env": "ONE_TOKEN"}}}) == [
        "[plugins.one] token: the environment variable ONE_TOKEN is not set: export ONE_TOKEN=..."
    ]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"def register_notifiers(self)": "def register_notifyers(self)"}, "unknown hook 'register_notifyers'"),
        ({"def register_notifiers(self)": "def register_notifiers(self, mode)"}, "hook 'register_notifiers'"),
    ],
)
def test_an_unknown_hook(write_plugin: Write, changes: Mapping[str, str], told: str) -> None:
    write_plugin("one", changes=changes)

    (text,) = _told({"one": {"token": "t"}})

    assert text.startswith("[plugins.one]: implements a hook that does not fit: ")
    assert told in text


def test_a_name_that_is_taken(write_plugin: Write) -> None:
    write_plugin("one")
    write_plugin("two", changes={'provider_name = "two"': 'provider_name = "one"'})

    assert _told({"one": {"token": "t"}, "two": {"token": "t"}}) == [
        "[plugins.two]: register_notifiers returns the name 'one', which is empty or taken; remove one of the two"
    ]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def (", "SyntaxError: "),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("x = 1", "AttributeError: "),
    ],
)
def test_an_import_error(write_plugin: Write, source: str, told: str) -> None:
    write_plugin("one", source)

    (line,) = _told({"one": {}})

    assert line.startswith(f"[plugins.one]: cannot be imported: {told}")
    assert line.endswith("mend or remove it, or write enabled = false")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"Settings = ExampleSettings": ""},
            "its Plugin class needs a Settings class derived from core.plugin.Settings",
        ),
        ({'">=1.0,<2"': '">=9"'}, "requires plugin API >=9, this is 1.0.0; install a fitting version"),
        ({'">=1.0,<2"': '""'}, "requires plugin API (not stated), this is 1.0.0; install a fitting version"),
        ({'">=1.0,<2"': '"one"'}, "requires plugin API one, this is 1.0.0; install a fitting version"),
        ({"self.settings = settings": "raise OSError('busy')"}, "cannot start: OSError: busy"),
        ({"return [Ex": "raise OSError('busy')\n        return [Ex"}, "register_notifiers failed: OSError: busy"),
        ({"return [ExampleNotifier(self.provider_name)]": "return ['text']"}, "returns 'text', no Notifier"),
        ({"return [ExampleNotifier(self.provider_name)]": "pass"}, "register_notifiers failed: TypeError"),
        ({'provider_name = "one"': 'provider_name = ""'}, "returns the name '', which is empty or taken"),
    ],
)
def test_a_plugin_that_keeps_no_promise(write_plugin: Write, changes: Mapping[str, str], told: str) -> None:
    write_plugin("one", changes=changes)

    (line,) = _told({"one": {"token": "t"}})

    assert line.startswith("[plugins.one]: ")
    assert told in line


def test_enabled_is_a_yes_or_a_no(write_plugin: Write) -> None:
    write_plugin("one")

    assert _told({"one": {"token": "t", "enabled": "no"}}) == ["[plugins.one] enabled: write true or false"]


def test_all_problems_of_all_plugins_are_told_at_once(write_plugin: Write) -> None:
    write_plugin("one")
    write_plugin("two", "raise RuntimeError('at import')")
    write_plugin("three", changes={"register_notifiers": "register_nothing"})

    told = _told({"one": {"limit": "x"}, "two": {}, "three": {"token": "t"}, "four": {}})

    assert [line.split(":")[0] for line in told] == [
        "[plugins.one] token",
        "[plugins.one] limit",
        "[plugins.two]",
        "[plugins.three]",
        "[plugins.four]",
    ]


def test_a_provider_that_is_not_there_names_those_that_are(write_plugin: Write) -> None:
    write_plugin("one")

    providers = load_providers({"one": {"token": "t"}})

    with pytest.raises(
        NoSuchProviderError, match=r"No messaging provider named 'one' is registered \(registered: none\)"
    ):
        providers.messaging("one")
