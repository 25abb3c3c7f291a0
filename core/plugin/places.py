"""Where plugins are: in ``plugins/``, in installed packages, and for development in any folder.

A folder outside is imported as ``plugins.<its name>``, and its modules may import each other under that name or, as in
a package that will be published, under the folder's own.
"""

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import msgspec

from core.errors import OperatorError

ENTRY_POINT_GROUP = "recado.plugins"
FOLDERS_VARIABLE = "RECADO_PLUGIN_FOLDERS"
"""Absolute paths of the folders that ``recado up --plugin`` was given, for the processes that it starts."""

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin: its name, the package that its modules stand in, and that package's folder."""

    name: str
    package: str
    folder: Path


class _FolderFinder(MetaPathFinder):
    """Finds packages by their whole name, each in the folder that it was given."""

    def __init__(self) -> None:
        self.folders: dict[str, Path] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a package that was added."""
        del path, target
        folder = self.folders.get(fullname)
        if folder is None:
            return None
        locations = [str(folder)]
        return importlib.util.spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=locations
        )


_as_plugin = _FolderFinder()
_as_package = _FolderFinder()


def add_folder(path: Path) -> Place:
    """Make the plugin in a folder importable, in the place of any other of its name.

    Raises:
        OperatorError: There is no package, or its name cannot be a plugin's.
    """
    folder = path.absolute()
    if not (folder / "__init__.py").is_file():
        raise OperatorError(f"{path} is no plugin: a folder with an __init__.py is one.")
    folder = folder.resolve()
    if not _NAME.fullmatch(folder.name):
        raise OperatorError(f"{path} cannot be a plugin: its name must be lower-case letters, digits and _.")
    if _as_plugin not in sys.meta_path:
        sys.meta_path.insert(0, _as_plugin)
        # Last, so that no folder takes the place of a module of Python or of an installed package.
        sys.meta_path.append(_as_package)
    package = f"plugins.{folder.name}"
    _as_plugin.folders[package] = folder
    _as_package.folders[folder.name] = folder
    return Place(name=folder.name, package=package, folder=folder)


def development_folders() -> list[Path]:
    """Return the folders that this process was started with."""
    return [Path(folder) for folder in os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep) if folder]


def locate(plugin: str) -> Place:
    """Find a plugin by its name, or by the path of its folder.

    Raises:
        OperatorError: There is none.
    """
    if os.sep in plugin or plugin in {os.curdir, os.pardir}:
        return add_folder(Path(plugin))
    place = _in_plugins(plugin) or _in_package(plugin)
    if place is None:
        raise OperatorError(
            f"There is no plugin {plugin} in the folder plugins, and no installed package offers it."
            " A folder elsewhere is written as a path, such as ./example."
        )
    return place


def find_module(place: Place, part: str) -> str | None:
    """Return the whole name of a plugin's module ``part``, or ``None`` where it has none.

    Raises:
        OperatorError: The plugin cannot be imported.
    """
    name = f"{place.package}.{part}"
    try:
        found = importlib.util.find_spec(name)
    except Exception as error:
        text = f"The plugin {place.name} cannot be imported: {type(error).__name__}: {error}"
        raise OperatorError(text) from error
    return name if found is not None else None


def import_module(place: Place, name: str) -> ModuleType:
    """Import one of a plugin's modules.

    Raises:
        OperatorError: It cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise OperatorError(
            f"{name} of the plugin {place.name} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def entry_point(name: str) -> EntryPoint | None:
    """Return the entry point by which an installed package offers the plugin ``name``."""
    return next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)


def _in_plugins(name: str) -> Place | None:
    package = f"plugins.{name}"
    if package in _as_plugin.folders:
        # Also where another of its name was imported before.
        return Place(name=name, package=package, folder=_as_plugin.folders[package])
    found = importlib.util.find_spec(package) if name.isidentifier() else None
    if found is None or found.origin is None:
        return None
    return Place(name=name, package=package, folder=Path(found.origin).parent)


def _in_package(name: str) -> Place | None:
    entry = entry_point(name)
    try:
        found = importlib.util.find_spec(entry.module) if entry is not None else None
    except ImportError:
        found = None
    if found is None or found.origin is None:
        return None
    # The class may be offered from a module inside the package.
    package = found.name if found.submodule_search_locations else found.parent or found.name
    return Place(name=name, package=package, folder=Path(found.origin).parent)
