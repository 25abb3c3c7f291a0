"""Find the contract classes of a plugin: in its module ``conformance``, or in its tests."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from core.errors import OperatorError
from core.plugin.conformance.checking import Contract
from core.plugin.places import Place, find_module, import_module

MODULE = "conformance"

_DERIVES = re.compile(r"^class \w+\(.*Contract", re.MULTILINE)


def find_contracts(place: Place) -> list[type[Contract]]:
    """Return the contract classes of the plugin's module ``conformance``; without that module, those of its tests.

    Raises:
        OperatorError: There are none, or they cannot be imported.
    """
    name = find_module(place, MODULE)
    if name is not None:
        found = [*_contracts_in(import_module(place, name))]
    else:
        found = [kind for file in _test_files(place) for kind in _contracts_in(_import_file(file))]
    if not found:
        raise OperatorError(
            f"{place.name} has no contract class: write one, derived from a contract of core.plugin.testing, into"
            f" {place.folder / MODULE}.py."
        )
    return found


def _contracts_in(module: ModuleType) -> Iterator[type[Contract]]:
    for kind in vars(module).values():
        if isinstance(kind, type) and issubclass(kind, Contract) and kind.__module__ == module.__name__:
            yield kind


def _test_files(place: Place) -> list[Path]:
    """Return the files with contract classes in the first folder of tests that has any."""
    folder = place.folder
    for tests in (
        folder / "tests",
        folder.parent.parent / "tests" / "plugins" / place.name,
        folder.parent / "tests",
        Path("tests").absolute() / "plugins" / place.name,
    ):
        # The others need not be imported, which may take what only a test run has.
        found = [file for file in sorted(tests.rglob("test_*.py")) if _DERIVES.search(file.read_text(encoding="utf-8"))]
        if found:
            return found
    return []


def _import_file(file: Path) -> ModuleType:
    root = next((parent.parent for parent in file.parents if parent.name == "tests"), file.parent)
    # Tests import each other from the folder that holds them all.
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    name = ".".join(file.relative_to(root).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise OperatorError(f"{file} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise OperatorError(f"{file} cannot be imported: {error}") from error
        raise OperatorError(
            f"{file} needs pytest: install it (`uv pip install pytest`), or put the contract class into the plugin's"
            f" module {MODULE}."
        ) from None
    except Exception as error:
        raise OperatorError(f"{file} cannot be imported: {type(error).__name__}: {error}") from error
    return module
