"""From the ``[plugins.*]`` tables to providers: find, check, build, register.

Start is strict: every problem of every plugin is collected, and any problem means no providers at all.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Any, Protocol, TypeVar

import pluggy
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from core.errors import OperatorError
from core.plugin import hookspecs
from core.plugin.messaging import MessagingProvider
from core.plugin.notifications import Notifier
from core.plugin.payments import PaymentGateway
from core.plugin.places import add_folder, development_folders, entry_point
from core.plugin.registry import PluginInfo, Providers
from core.plugin.settings import Settings
from core.plugin.validation import Problem, validate_table
from core.plugin.version import API_VERSION

_Provider = TypeVar("_Provider")


class PluginClass(Protocol):
    """What a plugin's module exports under the name ``Plugin``."""

    Settings: type[Settings]
    requires: str

    def __call__(self, settings: Any) -> object:
        """Build the plugin from its settings."""
        ...


class PluginStartError(OperatorError):
    """Some plugins cannot start; ``str(error)`` lists every problem, a line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def find_plugin_class(name: str) -> tuple[PluginClass | None, str, list[Problem]]:
    """Return the plugin's class, where it was found (``folder`` or a distribution) and what is wrong with it."""
    table = f"plugins.{name}"
    try:
        folder = importlib.util.find_spec(f"plugins.{name}")
    except ImportError:
        folder = None
    entry = entry_point(name)
    if folder is None and entry is None:
        text = f"no folder plugins/{name} and no installed package offers it; correct the name or remove the table"
        return None, "", [Problem(table, "", text)]
    try:
        found = importlib.import_module(f"plugins.{name}").Plugin if folder else _load(entry)
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises while it is imported is its own problem
        text = f"cannot be imported: {type(error).__name__}: {error}; mend or remove it, or write enabled = false"
        return None, "", [Problem(table, "", text)]
    source = "folder" if folder else _distribution(entry)
    return found, source, list(_check_class(found, table))


def load_providers(tables: Mapping[str, Mapping[str, object]]) -> Providers:
    """Build and register the plugins of ``tables`` (plugin name to its TOML table), and of ``recado up --plugin``.

    Raises:
        PluginStartError: With all problems of all plugins.
    """
    problems: list[Problem] = []
    outside = {place.name: place for place in map(add_folder, development_folders())}
    tables = {**tables, **{name: {} for name in outside if name not in tables}}
    host = pluggy.PluginManager(hookspecs.PROJECT_NAME)
    host.add_hookspecs(hookspecs)
    sources: dict[str, str] = {}
    disabled: list[str] = []
    for name, table in tables.items():
        settings = {key: value for key, value in table.items() if key != "enabled"}
        enabled = table.get("enabled", True)
        if enabled is False:
            disabled.append(name)
            continue
        if enabled is not True:
            problems.append(Problem(f"plugins.{name}", "enabled", "write true or false"))
        plugin, source, found = build_plugin(name, settings)
        problems.extend(found)
        if plugin is not None:
            problems.extend(_register(host, plugin, name))
            sources[name] = str(outside[name].folder) if name in outside else source
    providers = _collect(host, sources, disabled, problems)
    if problems:
        raise PluginStartError(problems)
    return providers


def build_plugin(name: str, settings: Mapping[str, object]) -> tuple[object | None, str, list[Problem]]:
    """Make one plugin from its settings; return it, its source, and its problems (then without a plugin)."""
    plugin_class, source, problems = find_plugin_class(name)
    if plugin_class is None or problems:
        return None, source, problems
    built, problems = validate_table(plugin_class.Settings, settings, f"plugins.{name}")
    if built is None:
        return None, source, problems
    try:
        return plugin_class(built), source, []
    except Exception as error:  # noqa: BLE001 - a plugin's constructor may raise anything
        return None, source, [Problem(f"plugins.{name}", "", f"cannot start: {type(error).__name__}: {error}")]


def _load(entry: EntryPoint | None) -> Any:
    return None if entry is None else entry.load()


def _distribution(entry: EntryPoint | None) -> str:
    return entry.dist.name if entry is not None and entry.dist is not None else "package"


def _check_class(plugin_class: Any, table: str) -> Iterable[Problem]:
    kind = getattr(plugin_class, "Settings", None)
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        yield Problem(table, "", "its Plugin class needs a Settings class derived from core.plugin.Settings")
    requires = getattr(plugin_class, "requires", "")
    try:
        fits = requires and SpecifierSet(requires).contains(API_VERSION)
    except InvalidSpecifier:
        fits = False
    if not fits:
        text = f"requires plugin API {requires or '(not stated)'}, this is {API_VERSION}; install a fitting version"
        yield Problem(table, "", text)


def _register(host: pluggy.PluginManager, plugin: object, name: str) -> Iterable[Problem]:
    try:
        host.register(plugin, name)
        host.check_pending()
    except pluggy.PluginValidationError as error:
        if host.has_plugin(name):
            host.unregister(name=name)
        yield Problem(f"plugins.{name}", "", f"implements a hook that does not fit: {' '.join(str(error).split())}")


def _collect(
    host: pluggy.PluginManager, sources: Mapping[str, str], disabled: Iterable[str], problems: list[Problem]
) -> Providers:
    messaging: dict[str, MessagingProvider] = {}
    gateways: dict[str, PaymentGateway] = {}
    notifiers: dict[str, Notifier] = {}
    found: list[PluginInfo] = []
    for name, plugin in host.list_name_plugin():
        if plugin is None:
            continue
        wrong: list[str] = []
        info = PluginInfo(
            name=name,
            version=getattr(plugin, "version", API_VERSION),
            source=sources[name],
            enabled=True,
            messaging=_call(plugin, "register_messaging_providers", MessagingProvider, messaging, wrong),
            payments=_call(plugin, "register_payment_gateways", PaymentGateway, gateways, wrong),
            notifiers=_call(plugin, "register_notifiers", Notifier, notifiers, wrong),
        )
        found.append(info)
        problems.extend(Problem(f"plugins.{name}", "", text) for text in wrong)
    found.extend(PluginInfo(name=name, version="", source="", enabled=False) for name in disabled)
    return Providers(
        messaging_by_name=messaging,
        gateways_by_name=gateways,
        notifiers_by_name=notifiers,
        plugins=tuple(found),
    )


def _call(plugin: object, hook: str, kind: type[Any], known: dict[str, _Provider], wrong: list[str]) -> tuple[str, ...]:
    """Call one plugin's hook and add what it returns to ``known``; what is wrong goes into ``wrong``."""
    register: Callable[[], Iterable[_Provider]] | None = getattr(plugin, hook, None)
    if register is None:
        return ()
    names: list[str] = []
    try:
        for provider in register():
            provider_name = str(getattr(provider, "name", ""))
            if not isinstance(provider, kind):
                wrong.append(f"{hook} returns {provider_name or provider!r}, no {kind.__name__}")
            elif not provider_name or provider_name in known:
                text = f"{hook} returns the name {provider_name!r}, which is empty or taken; remove one of the two"
                wrong.append(text)
            else:
                known[provider_name] = provider
                names.append(provider_name)
    except Exception as error:  # noqa: BLE001 - a hook of a plugin may raise anything
        wrong.append(f"{hook} failed: {type(error).__name__}: {error}")
    return tuple(names)
