"""Commands for plugins and their authors: ``plugins``, ``simulate``, ``new-plugin``, ``conformance``."""

import importlib
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

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
    plugin: Annotated[str, Parameter(help="Name of a plugin, or path of its folder.")],
    *,
    port: Annotated[int | None, Parameter(help="Port on 127.0.0.1, instead of the simulator's own.")] = None,
    version: Annotated[str | None, Parameter(help="Version of the service: short for --option version=...")] = None,
    option: Annotated[
        tuple[str, ...], Parameter(help="key=value for the simulator; key=env:NAME reads the variable NAME.")
    ] = (),
) -> None:
    """Run a plugin's simulator of its service, on this machine alone."""
    import uvicorn

    from core.plugin.places import find_module, import_module, locate
    from core.ports import check_port

    place = locate(plugin)
    name = find_module(place, "simulator")
    if name is None:
        raise OperatorError(f"The plugin {place.name} has no simulator.")
    simulator = import_module(place, name)
    options = {**_options(option), **({"version": version} if version is not None else {})}
    try:
        application = simulator.create(options)
    except (KeyError, ValueError) as error:
        raise OperatorError(f"The simulator of {place.name} refuses its options: {error}") from None
    chosen = simulator.DEFAULT_PORT if port is None else port
    check_port("127.0.0.1", chosen, "another --port")
    config = uvicorn.Config(application, host="127.0.0.1", port=chosen, log_level="warning", access_log=False)
    with config.bind_socket() as listening, suppress(KeyboardInterrupt):
        # Before it is said, for whoever reads it may call at once.
        listening.listen()
        print(f"The simulator of {place.name} listens on http://127.0.0.1:{chosen}", flush=True)
        uvicorn.Server(config).run(sockets=[listening])


def new_plugin(
    name: str,
    *,
    kind: Annotated[
        Literal["messaging", "payment", "notifier"], Parameter(help="What the plugin adds to the platform.")
    ] = "messaging",
    folder: Annotated[
        Path | None, Parameter(help="Make a package of its own in this folder, instead of a folder in plugins.")
    ] = None,
) -> None:
    """Make a new plugin that works, with a simulator, a contract and tests."""
    from core.scaffold import Kind, create_plugin, create_project

    if folder is None:
        package = importlib.import_module("plugins")
        written = create_plugin(name, Path(next(iter(package.__path__))), TESTS, Kind(kind))
        where = name
    else:
        written = create_project(name, folder, Kind(kind))
        where = os.path.relpath(folder / name)
        where = where if where.startswith(os.pardir) else f"{os.curdir}{os.sep}{where}"
    for path in written:
        print(os.path.relpath(path))
    begin = f"Add [plugins.{name}] to platform.toml" if folder is None else f"Start `recado up --plugin {where}`"
    print(f"{begin}, then try `recado conformance {where}` and `recado simulate {where}`.")


def conformance(plugin: Annotated[str, Parameter(help="Name of a plugin, or path of its folder.")]) -> int:
    """Check that a plugin keeps the contracts of core.plugin.testing; exit code 1 unless it keeps them all."""
    from core.plugin.conformance.running import Verdict, run_contract, run_plugin, table
    from core.plugin.conformance.suites import find_contracts
    from core.plugin.places import locate

    place = locate(plugin)
    contracts = find_contracts(place)
    rows = [*run_plugin(place, contracts)]
    print("\n".join([f"{place.name} ({place.folder})", *table(rows)]), flush=True)
    for contract in contracts:
        found = [*run_contract(contract)]
        print("\n".join(["", f"{contract.__module__}.{contract.__qualname__}", *table(found)]), flush=True)
        rows += found
    applied = [row for row in rows if row.verdict is not Verdict.NOT_APPLICABLE]
    passed = sum(row.verdict is Verdict.PASSED for row in applied)
    print(f"\npassed {passed} of {len(applied)}")
    return 0 if passed == len(applied) else 1


def develop(folders: Sequence[Path]) -> None:
    """Have this process and its children load the plugins of ``folders`` beside those of platform.toml."""
    from core.plugin.places import FOLDERS_VARIABLE, add_folder

    places = [add_folder(folder) for folder in folders]
    if len({place.name for place in places}) < len(places):
        raise OperatorError("--plugin: two of the folders have the same name, so their plugins would too.")
    if places:
        os.environ[FOLDERS_VARIABLE] = os.pathsep.join(str(place.folder) for place in places)


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
