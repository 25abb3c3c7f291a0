"""Where a word stands in a template: Jinja2's nodes know the line alone, its tokens everything."""

from collections.abc import Iterator

import jinja2

_STARTS = ("{{", "{%", "{#")
_PLAIN = frozenset(
    ("data", "name", "string", "integer", "float", "whitespace", "variable_begin", "variable_end", "comment", "raw")
)
_ALLOWED_SIGNS = frozenset("|()")


def column_of(environment: jinja2.Environment, source: str, line: int, word: str = "") -> int:
    """Return the column, from 1, at which somebody should look in ``line`` of ``source``.

    That is where ``word`` stands as a token of its own. Without a word it is the first sign that no template may have,
    else the last ``{{`` or ``{%`` up to the end of the line, else the beginning.
    """
    start = 1
    for at_line, column, kind, value in _tokens(environment, source):
        if at_line > line:
            break
        if at_line == line and (value == word if word else _is_foreign(kind, value)):
            return column
        if value.startswith(_STARTS):
            start = column if at_line == line else 1
    return start


def _is_foreign(kind: str, value: str) -> bool:
    return kind not in _PLAIN and value not in _ALLOWED_SIGNS and not value.startswith(_STARTS)


def _tokens(environment: jinja2.Environment, source: str) -> Iterator[tuple[int, int, str, str]]:
    """Yield line, column, kind and text of each token, as far as the source can be read at all."""
    line, column = 1, 1
    try:
        for _, kind, value in environment.lex(source):
            yield line, column, kind, value
            breaks = value.count("\n")
            line += breaks
            column = len(value) - value.rfind("\n") if breaks else column + len(value)
    except jinja2.TemplateSyntaxError:
        return
