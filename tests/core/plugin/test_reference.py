"""The reference of the plugin API is complete, current and in words."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core import plugin
from core.plugin.reference import MODULES, members, public_names, reference

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "plugin-api.md"
NAMES = [(module, name) for module, _ in MODULES for name in public_names(module)]


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "the code has changed: run `make docs`"


def test_the_module_prints_the_page() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.plugin.reference"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert (done.stdout, done.stderr) == (reference(), "")


def test_every_name_is_in_it_once() -> None:
    headings = re.findall(r"^### (\w+)$", reference(), re.MULTILINE)

    assert sorted(headings) == sorted({*plugin.__all__, *(name for _, name in NAMES if name.startswith("register_"))})


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_public_name_says_what_it_is(module: str, name: str) -> None:
    node, text = public_names(module)[name]
    silent = [
        member
        for member, found, said in (members(node) if isinstance(node, ast.ClassDef) else ())
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) and member != "__init__" and not said
    ]

    assert text, f"{name} has no docstring"
    assert silent == []


def test_a_method_shows_what_it_raises() -> None:
    page = reference()

    assert (
        "- `async capabilities(server: Server) -> Capabilities`: Probe `server`.\n\n"
        "  Raises `ProviderError`: The server cannot be reached, refuses the credentials or is no such service.\n"
    ) in page
    assert "- `client_message_id: bool = False`: The service sends under the id that `prepare` chose.\n" in page
