"""Texts people read, in English, Brazilian Portuguese and Spanish, found by stable words.

The texts stand in ``core/translations/<language>.toml``. An error's English text is the error itself; its
translations are found by its ``code``. Texts about fields are made with ``text``.
"""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

ENGLISH = "en"
LANGUAGES = (ENGLISH, "pt-BR", "es")

Catalog = dict[str, dict[str, str]]


class Text(str):
    """An English text that remembers its key, so that it can be shown in another language."""

    __slots__ = ("key", "params")

    key: str
    params: dict[str, object]


def text(key: str, **params: object) -> Text:
    """Return the text ``key`` about a field, for ``InvalidInputError``; ``params`` fill its placeholders."""
    found = Text(_fill(catalog(ENGLISH)["fields"][key], params, ENGLISH))
    found.key = key
    found.params = params
    return found


def localize(message: str, language: str) -> str:
    """Return ``message`` in ``language`` when it was made with ``text``, else as it is."""
    if language == ENGLISH or not isinstance(message, Text):
        return str(message)
    translated = catalog(language)["fields"].get(message.key)
    return str(message) if translated is None else _fill(translated, message.params, language)


def error_text(code: str, english: str, params: dict[str, object], language: str) -> str:
    """Return the text of the error ``code``; English where it is not translated."""
    translated = None if language == ENGLISH else catalog(language)["errors"].get(code)
    try:
        return english if translated is None else _fill(translated, params, language).strip()
    except KeyError:
        # Raised without the parameters that the translation shows; the English text needs none.
        return english


def title_text(code: str, english: str, language: str) -> str:
    """Return the title of the class of errors whose own code is ``code``."""
    return english if language == ENGLISH else catalog(language)["titles"].get(code, english)


def blocker_text(code: str, language: str) -> str:
    """Return why a campaign does not send, by the blocker's code; a code without a text is its own."""
    return catalog(language)["blockers"].get(code, code.replace("_", " "))


def alarm_text(kind: str, detail: Mapping[str, object], language: str) -> str:
    """Return what an alarm says, its placeholders filled with ``detail``."""
    return _fill(catalog(language)["alarms"][kind], dict(detail), language)


def negotiate(accept_language: str) -> str:
    """Return the language of ``LANGUAGES`` that an ``Accept-Language`` header prefers, else English."""
    ranked: list[tuple[float, str]] = []
    for entry in accept_language[:200].split(","):
        tag, _, parameters = entry.strip().partition(";")
        known = _known_language(tag.strip())
        if known is not None:
            ranked.append((_quality(parameters), known))
    best = max(ranked, key=lambda item: item[0], default=(0.0, ENGLISH))
    return best[1] if best[0] > 0 else ENGLISH


@lru_cache(maxsize=len(LANGUAGES))
def catalog(language: str) -> Catalog:
    """Return the tables of a language: titles, errors, fields, types, nouns, blockers and alarms."""
    source = files("core").joinpath("translations", f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(source)


def _known_language(tag: str) -> str | None:
    primary = tag.lower().partition("-")[0]
    if primary == "*":
        return ENGLISH
    return next((language for language in LANGUAGES if language.lower().partition("-")[0] == primary), None)


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def _fill(template: str, params: dict[str, object], language: str) -> str:
    shown = {name: _word(name, value, language) for name, value in params.items()}
    return template.format(**shown)


def _word(name: str, value: object, language: str) -> object:
    """Translate the parameters that are words themselves: what was not found, which type was expected."""
    table = {"what": "nouns", "expected": "types", "limit": "nouns"}.get(name)
    if table is None or not isinstance(value, str):
        return value
    return catalog(language)[table].get(value, value)
