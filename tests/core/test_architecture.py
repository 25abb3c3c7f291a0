import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NO_DOMAINS = {"rehearsal", "dashboard", "embedded", "plugin", "reader", "scaffold", "translations"}
SOURCES = sorted(
    path
    for folder in ("core", "plugins")
    for path in (ROOT / folder).rglob("*.py")
    if "piccolo_migrations" not in path.parts
)


def test_imports_follow_the_contracts() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_name_every_domain() -> None:
    folders = {
        ".".join(folder.parts)
        for path in (ROOT / "core").glob("*/**/__init__.py")
        if (folder := path.parent.relative_to(ROOT / "core")).parts[0] not in NO_DOMAINS
        and folder.name != "piccolo_migrations"
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["name"]: contract for contract in project["tool"]["importlinter"]["contracts"]}

    named = contracts["Inside a domain: edges above services above tables"]["containers"]

    assert sorted(named) == sorted(f"core.{folder}" for folder in folders)


def test_edges_take_only_enums_from_tables() -> None:
    taken = [
        f"{path.relative_to(ROOT)} imports {alias.name}"
        for path in SOURCES
        if path.name in {"controllers.py", "actors.py", "schemas.py"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(".tables")
        for alias in node.names
        if not _is_enum(node.module or "", alias.name)
    ]

    assert taken == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    long = [f"{name} has {lines} lines" for name, lines in _functions(text) if lines > 60]
    lines = len(text.splitlines())

    assert lines <= 400, f"{path.relative_to(ROOT)} has {lines} lines"
    assert long == []


def test_no_postponed_annotations() -> None:
    """Litestar resolves annotations while running, so they must not become text."""
    found = [path for path in SOURCES if "from __future__ import annotations" in path.read_text(encoding="utf-8")]

    assert found == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    text = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1:3] for row in text.splitlines() if row.startswith("| `")]

    explained = [name.strip().strip("`") for name, _ in rows]

    assert sorted(explained) == sorted(_distribution(requirement) for requirement in wanted)
    assert all(len(reason.split()) > 3 for _, reason in rows)


def test_the_locks_pin_every_dependency_and_no_address() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = {_distribution(requirement) for requirement in project["project"]["dependencies"]}
    development = {_distribution(requirement) for requirement in project["dependency-groups"]["dev"]}

    for name, wanted in (("requirements.lock", runtime), ("requirements-dev.lock", runtime | development)):
        text = (ROOT / name).read_text(encoding="utf-8")
        pinned = {line.split("==")[0] for line in text.splitlines() if "==" in line}
        assert wanted - pinned == set(), f"type `make lock`: {name}"
        assert "://" not in text


def test_every_make_target_has_a_line_of_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = next(line.split()[1:] for line in text.splitlines() if line.startswith(".PHONY: run"))

    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert [line.split()[1] for line in done.stdout.splitlines()] == named


def test_a_wrong_python_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "Makefile").symlink_to(ROOT / "Makefile")
    for name in ("requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).touch()

    done = subprocess.run(
        ["make", "--no-print-directory", "run", "PYTHON="], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.stderr.splitlines()[0] == "Recado needs Python 3.11 or newer: install it, or name it: make PYTHON=..."
    assert done.returncode == 2


def test_ci_runs_make_test_and_nothing_else() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert lines[1:] == ["set -eu", 'cd "$(dirname "$0")/.."', "exec make test"]


def _distribution(requirement: str) -> str:
    for mark in "[<>=;! ":
        requirement = requirement.split(mark, maxsplit=1)[0]
    return requirement


def _is_enum(module: str, name: str) -> bool:
    value = getattr(importlib.import_module(module), name)
    return isinstance(value, type) and issubclass(value, Enum)


def _functions(text: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1
