"""Commands for plugins and their authors: ``plugins``, ``simulate``, ``new-plugin``, ``conformance``."""

import importlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from core.errors import OperatorError

TESTS = Path("tests") / "plugins"
"""Where the repository keeps the tests of its plugins."""


def add_to(app: App) -> None:
    """Add the commands to ``app``."""
    for command in (plugins, simulate, new_plugin, conformance):
        app.command(command)


def plugins() -> None:
    """List the enabled plugins and what each adds."""
    from core.config import load_config
    from core.plugin.loader import load_providers

    found = load_providers(load_config().plugins).plugins
    if not found:
        print("No plugins. Add a table such as [plugins.waha] to platform.toml.")
    for plugin in found:
        kinds = {"messaging": plugin.messaging, "payments": plugin.payments, "notifications": plugin.notifiers}
        added = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
        state = f"{plugin.version} ({plugin.source})  {added or 'adds nothing'}" if plugin.enabled else "switched off"
        print(f"{plugin.name}  {state}")


def simulate(
    plugin: str,
    *,
    port: Annotated[int | None, Parameter(help="Port on 127.0.0.1, instead of the simulator's own.")] = None,
    option: Annotated[
        tuple[str, ...], Parameter(help="key=value for the simulator; key=env:NAME reads the variable NAME.")
    ] = (),
) -> None:
    """Run a plugin's simulator of its service, on this machine alone."""
    import uvicorn

    from core.ports import check_port

    name = f"plugins.{plugin}.simulator"
    _find(plugin, "simulator")
    simulator = importlib.import_module(name)
    chosen = simulator.DEFAULT_PORT if port is None else port
    check_port("127.0.0.1", chosen, "another --port")
    try:
        application = simulator.create(_options(option))
    except (KeyError, ValueError) as error:
        raise OperatorError(f"The simulator of {plugin} refuses its options: {error}") from None
    print(f"The simulator of {plugin} listens on http://127.0.0.1:{chosen}", flush=True)
    uvicorn.run(application, host="127.0.0.1", port=chosen, log_level="warning", access_log=False)


def new_plugin(name: str) -> None:
    """Make a new messaging plugin that works, with a simulator and tests."""
    from core.scaffold import create_plugin

    package = importlib.import_module("plugins")
    for path in create_plugin(name, Path(next(iter(package.__path__))), TESTS):
        print(os.path.relpath(path))
    print(f"Add [plugins.{name}] to platform.toml, then try `recado conformance {name}` and `recado simulate {name}`.")


def conformance(plugin: str) -> int:
    """Run a plugin's tests, among them the contract of core.plugin.testing that they inherit."""
    if importlib.util.find_spec("pytest") is None:
        raise OperatorError("`recado conformance` needs pytest: install it (`uv pip install pytest`).")
    origin = _find(plugin)
    for folder in (TESTS / plugin, origin.parent / "tests"):
        if folder.is_dir():
            command = [sys.executable, "-m", "pytest", "-q", str(folder)]
            return subprocess.run(command, check=False).returncode  # noqa: S603 - no part of it is a shell's
    raise OperatorError(f"{plugin} has no tests: put them into {TESTS / plugin} or into {origin.parent / 'tests'}.")


def _find(plugin: str, part: str = "") -> Path:
    """Return the file of a plugin, or of one of its modules."""
    name = f"plugins.{plugin}"
    found = importlib.util.find_spec(name) if plugin.isidentifier() else None
    if found is None or found.origin is None:
        raise OperatorError(f"There is no plugin {plugin} in the folder plugins.")
    if not part:
        return Path(found.origin)
    module = importlib.util.find_spec(f"{name}.{part}")
    if module is None or module.origin is None:
        raise OperatorError(f"The plugin {plugin} has no {part}.")
    return Path(module.origin)


def _options(pairs: tuple[str, ...]) -> Mapping[str, str]:
    options = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not key or not separator:
            raise OperatorError(f"--option {pair}: write key=value.")
        if value.startswith("env:"):
            variable = value.removeprefix("env:")
            value = os.environ.get(variable, "")
            if not value:
                raise OperatorError(f"--option {pair}: the environment variable {variable} is not set.")
        options[key] = value
    return options
