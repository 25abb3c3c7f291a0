"""Write docs/reference/plugin-api.md from the docstrings of what a plugin may import; ``make docs`` runs this."""

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from core import plugin

MODULES = (
    ("hookspecs", "Hooks"),
    ("messaging", "Messaging providers"),
    ("optional", "What a messaging provider may add"),
    ("webhooks", "Webhooks and events"),
    ("payments", "Payment gateways"),
    ("money", "Money"),
    ("notifications", "Notifiers"),
    ("errors", "Errors"),
    ("settings", "Settings"),
    ("secret", "Secrets"),
    ("transport", "Calling a service"),
    ("stage", "Rehearsals"),
    ("registry", "What is loaded"),
    ("version", "The version of this API"),
)
"""Modules of ``core.plugin`` in the order of the page, and how each is called there."""

_HEAD = """# Plugin API

Everything in `core.plugin.__all__`, in the words of the code; `make docs` writes this page again. How the parts work
together is in [hooks](hooks.md), and a first plugin in [write a plugin](../how-to/write-a-plugin.md).
"""

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign | ast.AnnAssign


def reference() -> str:
    """Return the whole page."""
    return _HEAD + "".join(part for module, title in MODULES for part in _module(module, title))


def public_names(module: str) -> dict[str, tuple[Documented, str]]:
    """Return what a module of ``core.plugin`` defines of ``__all__``, and its hooks: node and docstring by name."""
    tree = _parse(module)
    wanted = {*plugin.__all__, *(name for name, _ in _nodes(tree) if name.startswith("register_"))}
    return {
        name: (node, _text_of(node, tree.body[place + 1 :]))
        for place, (name, node) in enumerate(_nodes(tree))
        if name in wanted
    }


def members(node: ast.ClassDef) -> Iterator[tuple[str, Documented, str]]:
    """Yield the public attributes and methods of a class: name, node and docstring."""
    for place, (name, member) in enumerate(_nodes(node)):
        if name == "__init__" or (name and not name.startswith("_")):
            yield name, member, _text_of(member, node.body[place + 1 :])


def _module(module: str, title: str) -> Iterator[str]:
    about = ast.get_docstring(_parse(module)) or ""
    yield f"\n## {title}\n\n{_prose(about.partition('::')[0] if '::' in about else about)}\n"
    for name, (node, text) in public_names(module).items():
        yield f"\n### {name}\n\n"
        match node:
            case ast.ClassDef():
                yield from _class(node, text)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield f"`{_signature(node)}`\n\n{_prose(text)}\n"
            case ast.Assign() | ast.AnnAssign():
                assert node.value is not None  # noqa: S101 - a name without a value is not exported
                yield f"`{name} = {_code(node.value)}`\n\n{_prose(text)}\n"


def _class(node: ast.ClassDef, text: str) -> Iterator[str]:
    bases = ", ".join(f"`{_code(base)}`" for base in node.bases)
    yield f"{_prose(text)}\n"
    if bases:
        yield f"\nDerived from {bases}.\n"
    listed = [_member(*found) for found in members(node)]
    if listed:
        yield "\n" + "".join(listed)


def _member(name: str, node: Documented, text: str) -> str:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            shown = _signature(node)
        case ast.AnnAssign(value=None):
            shown = f"{name}: {_code(node.annotation)}"
        case ast.AnnAssign(value=ast.expr() as value):
            shown = f"{name}: {_code(node.annotation)} = {_code(value)}"
        case ast.Assign(value=value):
            shown = f"{name} = {_code(value)}"
        case _:
            shown = name
    first, *others = _prose(text).split("\n\n")
    about = f": {first}" if first else ""
    more = "".join(f"\n\n{other}" for other in others)
    return f"- `{shown}`{about}{more}".replace("\n", "\n  ").replace("\n  \n", "\n\n") + "\n"


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    arguments = _code(node.args).removeprefix("self, ").removeprefix("self")
    begin = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
    returns = f" -> {_code(node.returns)}" if node.returns is not None and node.name != "__init__" else ""
    return f"{begin}{node.name}({arguments}){returns}"


def _code(node: ast.AST) -> str:
    return ast.unparse(node).replace("'", '"')


def _prose(text: str) -> str:
    """Turn a docstring into Markdown: its markup, and what it raises."""
    plain = re.sub(r"``([^`]+)``", r"`\1`", text)
    raised = re.sub(r"^Raises:\n((?:    .*\n?)+)", lambda found: _raises(found[1]), plain, flags=re.MULTILINE)
    return raised.strip()


def _raises(block: str) -> str:
    lines = re.sub(r"\n {8}", " ", inspect.cleandoc("\n" + block)).splitlines()
    return "\n".join(re.sub(r"^(\w+):", r"Raises `\1`:", line) for line in lines)


def _nodes(tree: ast.Module | ast.ClassDef) -> list[tuple[str, Documented]]:
    """Return each statement with the name that it gives; an empty name for those that give none."""
    return [(_name(node), node) for node in tree.body]  # type: ignore[misc]


def _name(node: ast.stmt) -> str:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return ""


def _text_of(node: Documented, following: list[ast.stmt]) -> str:
    """Return the docstring inside a class or function, or below a name."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return ast.get_docstring(node) or ""
    match following[:1]:
        case [ast.Expr(value=ast.Constant(value=str(text)))]:
            return inspect.cleandoc(text)
    return ""


def _parse(module: str) -> ast.Module:
    file = importlib.import_module(f"core.plugin.{module}").__file__
    return ast.parse(Path(file or "").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.stdout.write(reference())
