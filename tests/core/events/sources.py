"""Which events of the catalogue reach a sender, read from the source of core and not from what somebody lists.

From each call of a sender the arguments are followed backwards: through names to what they were given, and through
functions to what they return. An event that is made on that way is sent.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

CORE = Path(__file__).parents[3] / "core"
CATALOGUE = "core.events.catalogue"
SENDERS = frozenset(
    {
        "core.announcing.announce",
        "core.announcing.announce_all",
        "core.announcing.emit",
        "core.announcing.emit_all",
        "core.live.progress.keep_telling",
        "core.live.stream.publish",
    }
)
"""What tells of the events that it is given, or that the functions return which it is given."""
COMPOSERS = frozenset({"core.notifications.composing.compose"})
"""What they return is handed to notifiers, the stream of live events among them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def core_sources() -> dict[str, str]:
    """Return the source of every module of core by its name."""
    found = {}
    for path in sorted(CORE.rglob("*.py")):
        if path.parent.name == "piccolo_migrations":
            continue
        parts = path.relative_to(CORE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def sent_events(sources: Mapping[str, str]) -> set[str]:
    """Return the names of the classes of the catalogue that these modules hand to a sender."""
    return _Sources(sources).sent()


class _Module:
    """One module: what its names mean, and its functions."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.tree = ast.parse(source)
        self.imported: dict[str, str] = {}
        self.scope: dict[ast.AST, Function | None] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                self.imported |= {one.asname or one.name: one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                self.imported |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
        self._enter(self.tree, None)

    def _enter(self, node: ast.AST, function: Function | None) -> None:
        self.scope[node] = function
        inner = node if isinstance(node, Function) else function
        for child in ast.iter_child_nodes(node):
            self._enter(child, inner)

    def full_name(self, node: ast.AST) -> str:
        """Return what a name, or an attribute of one, means: ``core.live.stream.publish``; empty for anything else."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, f"{self.name}.{node.id}")
        if isinstance(node, ast.Attribute):
            head = self.full_name(node.value)
            return f"{head}.{node.attr}" if head else ""
        return ""


class _Sources:
    def __init__(self, sources: Mapping[str, str]) -> None:
        self._modules = [_Module(name, source) for name, source in sources.items()]
        self._functions: dict[str, tuple[_Module, Function]] = {}
        self._given: dict[tuple[_Module, Function | None, str], list[ast.expr]] = defaultdict(list)
        for module in self._modules:
            for node, function in module.scope.items():
                self._note(module, node, function)
        self._sent: set[str] = set()
        self._seen: set[ast.AST] = set()

    def sent(self) -> set[str]:
        """Follow what every sender is given."""
        for module in self._modules:
            for node in module.scope:
                if isinstance(node, ast.Call):
                    for arguments in self._sent_by(module, node):
                        self._follow(module, arguments)
        return self._sent

    def _sent_by(self, module: _Module, call: ast.Call) -> Iterator[ast.AST]:
        name = module.full_name(call.func)
        if name in SENDERS:
            yield from _arguments(call)
        elif name in COMPOSERS:
            yield call.func
        elif call.args and module.full_name(call.args[0]) in SENDERS:
            # ``partial(publish, events)``.
            yield from call.args[1:]

    def _note(self, module: _Module, node: ast.AST, function: Function | None) -> None:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._functions[f"{module.name}.{node.name}"] = (module, node)
            case ast.Call(func=ast.Attribute(attr="append" | "extend", value=target)):
                self._assign(module, function, target, _arguments(node))
            case ast.Assign():
                for target in node.targets:
                    self._assign(module, function, target, [node.value])
            case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr() if node.value is not None:
                self._assign(module, function, node.target, [node.value])
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                self._assign(module, function, node.target, [node.iter])

    def _assign(self, module: _Module, function: Function | None, target: ast.expr, values: list[ast.expr]) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name):
                self._given[module, function, name.id] += values

    def _follow(self, module: _Module, expression: ast.AST) -> None:
        if expression in self._seen:
            return
        self._seen.add(expression)
        full_name = module.full_name(expression)
        if isinstance(expression, ast.Call):
            self._sent |= _made_by(module, expression)
        elif full_name in self._functions:
            self._follow_returns(*self._functions[full_name])
        elif isinstance(expression, ast.Name):
            for given in self._given.get((module, module.scope[expression], expression.id), ()):
                self._follow(module, given)
        if full_name:
            self._follow_constant(full_name)
        for child in ast.iter_child_nodes(expression):
            self._follow(module, child)

    def _follow_constant(self, full_name: str) -> None:
        for module in self._modules:
            if full_name.startswith(f"{module.name}."):
                for given in self._given.get((module, None, full_name.removeprefix(f"{module.name}.")), ()):
                    self._follow(module, given)

    def _follow_returns(self, module: _Module, function: Function) -> None:
        if function in self._seen:
            return
        self._seen.add(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) and node.value is not None:
                self._follow(module, node.value)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _made_by(module: _Module, call: ast.Call) -> set[str]:
    """Return the events that a call makes, itself or by ``msgspec.convert``."""
    name = module.full_name(call.func)
    made = [module.full_name(one) for one in _arguments(call)] if name == "msgspec.convert" else [name]
    return {one.removeprefix(f"{CATALOGUE}.") for one in made if one.startswith(f"{CATALOGUE}.")}
