"""Message texts: Jinja2's syntax reduced to text, names, constants and listed filters, and spintax.

Templates are parsed by Jinja2 and evaluated here, without loops, calls, attributes or arithmetic: Jinja2's sandbox
alone has no limit on time or memory. Spintax ``{a|b|{c|d}}`` is read from the template and never from values, and
chosen by a seed, so that a preview is what is sent.
"""

import random
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache

import jinja2
import msgspec
from jinja2 import nodes

from core.campaigns.template_places import column_of
from core.texts import Text, text

MAX_TEMPLATE_LENGTH = 4096
MAX_TEXT_LENGTH = 65_536
MAX_SPIN_DEPTH = 8
MAX_NUMBER = 10**15

_environment = jinja2.Environment(autoescape=False, keep_trailing_newline=True)  # noqa: S701 - plain text, no HTML


class TemplateError(ValueError):
    """A template that cannot be used: what is wrong, and the line and column (from 1) where it stands."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)
        self.line = message.params["line"]
        self.column = message.params["column"]


class _Flaw(Exception):  # noqa: N818 - becomes a TemplateError once its column is known
    """What is wrong in a line; ``word`` is the token at fault, where one is."""

    def __init__(self, key: str, line: int, word: str = "", **params: object) -> None:
        super().__init__(key)
        self.key, self.line, self.word, self.params = key, line, word, params


def _truncate(value: str, length: int = 255) -> str:
    return value[:length]


def _default(value: str, fallback: str | float = "") -> str:
    return value or str(fallback)


def _first_word(value: str) -> str:
    return value.split(maxsplit=1)[0] if value.strip() else ""


FILTERS: Mapping[str, Callable[..., str]] = {
    "capitalize": str.capitalize,
    "default": _default,
    "first_word": _first_word,
    "lower": str.lower,
    "title": str.title,
    "trim": str.strip,
    "truncate": _truncate,
    "upper": str.upper,
}
"""Every filter a template may use, by name."""

ARGUMENTS: Mapping[str, tuple[type, ...]] = {"default": (str, int, float), "truncate": (int,)}
"""What the one value in brackets may be; every other filter takes none."""

_NO_CHOICE = random.Random(0)  # noqa: S311 - never drawn from


class _Value(msgspec.Struct, frozen=True):
    name: str | None
    constant: str
    filters: tuple[tuple[Callable[..., str], tuple[object, ...]], ...]


class _Choice(msgspec.Struct, frozen=True):
    options: tuple["_Sequence", ...]


_Part = str | _Value | _Choice
_Sequence = tuple[_Part, ...]


class Template(msgspec.Struct, frozen=True):
    """A checked template, ready to render."""

    parts: _Sequence
    names: frozenset[str]
    """Every variable it uses."""
    spun: bool
    """Whether it has variants to choose from."""

    def render(self, variables: Mapping[str, str], seed: str) -> str:
        """Return the text for one recipient, at most 65,536 characters; equal seeds choose equal spintax."""
        if len(self.parts) == 1 and isinstance(self.parts[0], str):
            return self.parts[0]
        # Seeding costs more than all the rest, and most templates have nothing to choose.
        rng = random.Random(seed) if self.spun else _NO_CHOICE  # noqa: S311 - a choice of words, no secret
        pieces: list[str] = []
        room = MAX_TEXT_LENGTH
        for piece in _render(self.parts, variables, rng):
            pieces.append(piece[:room])
            room -= len(piece)
            if room <= 0:
                break
        return "".join(pieces)


@lru_cache(maxsize=2048)
def compile_template(source: str) -> Template:
    """Check and compile a template.

    Raises:
        TemplateError: It is too long, not valid, or uses more than text, names, constants and listed filters.
    """
    try:
        return _compile(source)
    except _Flaw as flaw:
        raise TemplateError(place(source, flaw.key, flaw.line, flaw.word, **flaw.params)) from None


def place(source: str, key: str, line: int, word: str = "", **params: object) -> Text:
    """Return the text ``key`` about a template, with the line and the column of ``word`` in it."""
    return text(key, line=line, column=column_of(_environment, source, line, word), **params)


def unknown_variables(source: str, known: Collection[str]) -> Iterator[Text]:
    """Say of each variable that is not ``known`` where it stands; ``source`` has to compile."""
    for name in sorted(compile_template(source).names - set(known)):
        line = next((node.lineno for node in _environment.parse(source).find_all(nodes.Name) if node.name == name), 1)
        yield place(source, "template_variable_unknown", line, name, name=name)


def _compile(source: str) -> Template:
    if len(source) > MAX_TEMPLATE_LENGTH:
        raise _Flaw("template_long", 1, value=MAX_TEMPLATE_LENGTH)
    _ensure_sendable(source, 1)
    try:
        tree = _environment.parse(source)
    except jinja2.TemplateSyntaxError as error:
        raise _Flaw("template_syntax", error.lineno, reason=error.message) from None
    except RecursionError:
        raise _Flaw("template_deep", 1) from None
    names: set[str] = set()
    flat: list[tuple[str | _Value, int]] = []
    for node in tree.body:
        flat.extend(_flatten(node, names))
    parts = _Spintax(flat).parse()
    return Template(parts, frozenset(names), any(isinstance(part, _Choice) for part in parts))


def _flatten(node: nodes.Node, names: set[str]) -> Iterator[tuple[str | _Value, int]]:
    if not isinstance(node, nodes.Output):
        # Some of Jinja2's nodes know no line, but what is inside them does.
        line = next((found.lineno for found in (node, *node.iter_child_nodes()) if found.lineno), 1)
        raise _Flaw("template_statement", line, "{%")
    for part in node.nodes:
        yield (part.data if isinstance(part, nodes.TemplateData) else _value(part, names)), part.lineno


def _value(node: nodes.Node, names: set[str]) -> _Value:
    filters: list[tuple[Callable[..., str], tuple[object, ...]]] = []
    while isinstance(node, nodes.Filter):
        if node.kwargs or node.dyn_args or node.dyn_kwargs or node.node is None:
            raise _Flaw("template_filter_plain", node.lineno, node.name, filter=node.name)
        if node.name not in FILTERS:
            known = ", ".join(sorted(FILTERS))
            raise _Flaw("template_filter_unknown", node.lineno, node.name, filter=node.name, allowed=known)
        filters.append((FILTERS[node.name], _arguments(node)))
        node = node.node
    filters.reverse()
    if isinstance(node, nodes.Name):
        names.add(node.name)
        return _Value(node.name, "", tuple(filters))
    return _Value(None, str(_constant(node)), tuple(filters))


def _arguments(node: nodes.Filter) -> tuple[object, ...]:
    """Return the values in a filter's brackets; wrong ones would fail for every recipient instead of here."""
    values = tuple(_constant(argument) for argument in node.args)
    allowed = ARGUMENTS.get(node.name, ())
    if len(values) > min(1, len(allowed)) or not all(isinstance(value, allowed) for value in values):
        if not allowed:
            raise _Flaw("template_filter_nothing", node.lineno, node.name, filter=node.name)
        if allowed == (int,):
            raise _Flaw("template_filter_number", node.lineno, node.name, filter=node.name)
        raise _Flaw("template_filter_value", node.lineno, node.name, filter=node.name)
    return values


def _constant(node: nodes.Node) -> object:
    value = node.value if isinstance(node, nodes.Const) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Flaw("template_expression", node.lineno)
    if isinstance(value, int) and value > MAX_NUMBER:
        raise _Flaw("template_number", node.lineno, value=MAX_NUMBER)
    if isinstance(value, str):
        _ensure_sendable(value, node.lineno)
    return value


def _ensure_sendable(content: str, line: int) -> None:
    """Refuse what no JSON text can carry; an escape in a constant would otherwise slip through."""
    if "\0" in content or any("\ud800" <= character <= "\udfff" for character in content):
        raise _Flaw("template_character", line)


class _Spintax:
    """Reads ``{a|b}`` out of a flat list of texts and values; braces without a ``|`` stay as they are."""

    def __init__(self, flat: list[tuple[str | _Value, int]]) -> None:
        self._tokens: list[str | _Value] = []
        self._lines: list[int] = []
        for item, first_line in flat:
            line = first_line
            for token in _split_braces(item) if isinstance(item, str) else [item]:
                self._tokens.append(token)
                self._lines.append(line)
                line += token.count("\n") if isinstance(token, str) else 0
        self._at = 0

    def parse(self) -> _Sequence:
        return _merge(self._sequence(0))

    def _sequence(self, depth: int) -> list[_Part]:
        parts: list[_Part] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if depth and token in {"|", "}"}:
                return parts
            self._at += 1
            opens = token == "{"  # noqa: S105 - a brace, no password
            parts.extend(self._group(depth) if opens else [token])
        return parts

    def _group(self, depth: int) -> list[_Part]:
        if depth >= MAX_SPIN_DEPTH:
            line = self._lines[self._at - 1]
            raise _Flaw("template_variants", line, value=MAX_SPIN_DEPTH)
        options = [self._sequence(depth + 1)]
        while self._at < len(self._tokens) and self._tokens[self._at] == "|":
            self._at += 1
            options.append(self._sequence(depth + 1))
        closed = self._at < len(self._tokens)
        self._at += closed
        if closed and len(options) > 1:
            return [_Choice(tuple(_merge(option) for option in options))]
        literal: list[_Part] = ["{"]
        for position, option in enumerate(options):
            literal.extend((["|"] if position else []) + option)
        return [*literal, "}"] if closed else literal


def _split_braces(text: str) -> Iterator[str]:
    start = 0
    for position, character in enumerate(text):
        if character in "{|}":
            if start < position:
                yield text[start:position]
            yield character
            start = position + 1
    if start < len(text):
        yield text[start:]


def _merge(parts: list[_Part]) -> _Sequence:
    merged: list[_Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)


def _render(parts: _Sequence, variables: Mapping[str, str], rng: random.Random) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, _Choice):
            yield from _render(rng.choice(part.options), variables, rng)
        else:
            value = part.constant if part.name is None else variables.get(part.name, "")
            for apply, arguments in part.filters:
                value = apply(value, *arguments)
            yield value
