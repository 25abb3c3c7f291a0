"""A new plugin that works: it passes the contract of its kind and its own tests, and wants its service's facts."""

import ast
import keyword
import re
import string
import sys
from collections.abc import Collection, Mapping
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from core.errors import OperatorError

_TEMPLATE = Path(__file__).parent / "template"
_SUFFIX = ".template"


class Kind(StrEnum):
    """What a new plugin adds to the platform."""

    MESSAGING = "messaging"
    PAYMENT = "payment"
    NOTIFIER = "notifier"


def create_plugin(name: str, plugins: Path, tests: Path, kind: Kind = Kind.MESSAGING) -> list[Path]:
    """Write the plugin ``name`` into ``plugins/<name>`` and its tests into ``tests/<name>``; return the files.

    Raises:
        OperatorError: The name cannot be one, or something is there already; then nothing is written.
    """
    _check_name(name)
    _check_free(plugins / name, tests / name)
    words = _words(name, f"plugins.{name}", name)
    return _write(kind.value, plugins / name, tests / name, words, ("core", "plugins"))


def create_project(name: str, folder: Path, kind: Kind = Kind.MESSAGING) -> list[Path]:
    """Write the plugin ``name`` as a package of its own below ``folder``, ready to be published; return the files.

    Raises:
        OperatorError: As ``create_plugin``, or a module of Python or of an installed package has the name.
    """
    _check_name(name)
    _check_free(folder / name, folder / "tests", folder / "pyproject.toml")
    if name in sys.stdlib_module_names or find_spec(name) is not None:
        raise OperatorError(f"There is a Python module {name} already, which a package of this name would hide.")
    words = _words(name, name, f"./{name}")
    written = _write(kind.value, folder / name, folder / "tests", words, (name,))
    return written + _write("project", folder, folder, words, (name,))


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,39}", name) or keyword.iskeyword(name):
        raise OperatorError(f"{name!r} cannot name a plugin: write 2 to 40 lower-case letters, digits and _.")


def _check_free(*places: Path) -> None:
    for place in places:
        if place.exists():
            raise OperatorError(f"{place} exists already: choose another name, or remove it first.")


def _words(name: str, package: str, where: str) -> Mapping[str, str]:
    """Return what stands in the templates: ``where`` is how commands find the plugin."""
    title = "".join(part.capitalize() for part in name.split("_"))
    hyphenated = name.replace("_", "-").strip("-")
    return {
        "name": name,
        "title": title,
        "package": package,
        "where": where,
        "upper": name.upper(),
        "hyphenated": hyphenated,
    }


def _write(template: str, package: Path, tests: Path, words: Mapping[str, str], own: Collection[str]) -> list[Path]:
    written = []
    for source in sorted((_TEMPLATE / template).glob(f"*{_SUFFIX}")):
        file_name = source.name.removesuffix(_SUFFIX)
        target = (tests if file_name.startswith("test_") else package) / file_name
        text = string.Template(source.read_text(encoding="utf-8")).substitute(words)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_sort_imports(text, own) if target.suffix == ".py" else text, encoding="utf-8")
        written.append(target)
    return written


def _sort_imports(source: str, own: Collection[str]) -> str:
    """Sort the imports at the top into Python's, those of others and ``own``: that depends on where a plugin stands."""
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)]
    if not imports:
        return source
    lines = source.splitlines(keepends=True)
    groups: dict[int, list[tuple[bool, str, str]]] = {}
    for node in imports:
        module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
        top = module.partition(".")[0]
        group = 0 if top in sys.stdlib_module_names else 2 if top in own else 1
        text = "".join(lines[node.lineno - 1 : node.end_lineno])
        groups.setdefault(group, []).append((isinstance(node, ast.ImportFrom), module, text))
    sorted_groups = ["".join(text for *_, text in sorted(groups[group])) for group in sorted(groups)]
    before, after = lines[: imports[0].lineno - 1], lines[imports[-1].end_lineno or 0 :]
    return "".join(before) + "\n".join(sorted_groups) + "".join(after)
