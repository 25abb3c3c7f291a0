"""Lines of e-mails in plain text: short enough for every terminal, and links whole."""

import textwrap
import unicodedata

WIDTH = 78
"""Characters; RFC 5322, 2.1.1 recommends no longer lines."""
_JOINER = "\u200d"
_JOINED = frozenset({"Mn", "Me", "Mc", "Cf"})
_SKINS = range(0x1F3FB, 0x1F400)
"""Emoji modifiers (Unicode Technical Standard 51), which belong to the sign before them."""


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph in lines of at most ``WIDTH`` characters; a link longer than that has a line of its own."""
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(part for line in lines for part in _cut(line, indent))


def _cut(line: str, indent: str) -> list[str]:
    """Cut a line that is one long word, unless the word is a link."""
    parts: list[str] = []
    while len(line) > WIDTH and "://" not in line:
        at = next((at for at in range(WIDTH, len(indent) + 1, -1) if _may_cut(line, at)), WIDTH)
        parts.append(line[:at])
        line = indent + line[at:]
    return [*parts, line]


def _may_cut(line: str, at: int) -> bool:
    """Say whether a sign begins at ``at`` that does not belong to the one before, as parts of an emoji do."""
    after = line[at]
    return line[at - 1] != _JOINER and unicodedata.category(after) not in _JOINED and ord(after) not in _SKINS
