"""Texts people read, in every language there is a catalogue for, found by stable keys.

The texts stand in gettext catalogues, ``core/translations/<locale>/LC_MESSAGES/recado.po``; the languages are the
folders there. An entry's ``msgctxt`` is its table and key, such as ``fields.required``; its ``msgid`` is the English
text, which is shown where a language lacks a translation. Texts that count something have plural forms, chosen by the
catalogue's own ``Plural-Forms``. Texts about fields are made with ``text``; errors are found by their ``code``.

A catalogue is read once in each process, when its language is first asked for.
"""

from collections.abc import Mapping
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog

DOMAIN = "recado"
SOURCE = "en"
ENGLISH = "en"

FILLED = frozenset({"errors", "fields", "alarms", "notices", "emails"})
"""The tables whose texts have placeholders, as ``str.format`` writes them."""

COUNTS = ("found", "value", "allowed", "seconds", "numbers", "users", "places", "count")
"""The parameters that say how many; the first of them that a text gets chooses its plural form."""


def _languages() -> tuple[str, ...]:
    """Return the languages that have a folder, as the tags of BCP 47 that HTTP and accounts use; English first."""
    folder = files("core").joinpath("translations")
    locales = sorted(entry.name for entry in folder.iterdir() if entry.joinpath("LC_MESSAGES").is_dir())
    return (ENGLISH, *(name.replace("_", "-") for name in locales if name != SOURCE))


LANGUAGES = _languages()


class Text(str):
    """An English text that remembers its key, so that it can be shown in another language."""

    __slots__ = ("key", "params")

    key: str
    params: dict[str, object]


def text(key: str, **params: object) -> Text:
    """Return the text ``key`` about a field, for ``InvalidInputError``; ``params`` fill its placeholders."""
    found = Text(say("fields", key, params, ENGLISH))
    found.key = key
    found.params = params
    return found


def localize(message: str, language: str) -> str:
    """Return ``message`` in ``language`` when it was made with ``text``, else as it is."""
    if language == ENGLISH or not isinstance(message, Text):
        return str(message)
    return say("fields", message.key, message.params, language)


def error_text(code: str, english: str, params: Mapping[str, object], language: str) -> str:
    """Return the text of the error ``code``; ``english`` where it has none, or lacks a parameter that it shows."""
    try:
        return say("errors", code, params, language)
    except KeyError:
        return english


def title_text(code: str, english: str, language: str) -> str:
    """Return the title of the class of errors whose own code is ``code``."""
    return _word("titles", code, {}, language) or english


def blocker_text(code: str, language: str) -> str:
    """Return why a campaign does not send, by the blocker's code; a code without a text is its own."""
    return _word("blockers", code, {}, language) or code.replace("_", " ")


def alarm_text(kind: str, detail: Mapping[str, object], language: str) -> str:
    """Return what an alarm says, its placeholders filled with ``detail``."""
    return say("alarms", kind, detail, language)


def word(table: str, key: str, language: str) -> str:
    """Return a text without placeholders, or nothing for a key that the table has no text for."""
    return _word(table, key, {}, language)


def say(table: str, key: str, params: Mapping[str, object], language: str) -> str:
    """Return a text with its placeholders filled; raises ``KeyError`` for an unknown key and for a missing one."""
    template = _template(table, key, params, language)
    shown = {name: _shown(name, value, params, language) for name, value in params.items()}
    return template.format(**shown)


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


@lru_cache(maxsize=1)
def sources() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return the English of every text by its table and key: one form, or two where it counts something."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for message in _read(SOURCE):
        table, _, key = str(message.context or "").partition(".")
        if message.id:
            found[table, key] = (message.id,) if isinstance(message.id, str) else tuple(message.id)
    return found


def load() -> None:
    """Read every catalogue now, so that the first error in a language does not wait for it."""
    sources()
    for language in LANGUAGES:
        _translations(language)


@lru_cache(maxsize=len(LANGUAGES))
def _translations(language: str) -> NullTranslations:
    """Return a language's catalogue, compiled; entries that are fuzzy or empty are left out of it."""
    if language == ENGLISH:
        return NullTranslations()
    from babel.messages.mofile import write_mo

    compiled = BytesIO()
    write_mo(compiled, _read(language.replace("-", "_")))
    compiled.seek(0)
    return GNUTranslations(compiled)


def _read(locale: str) -> "Catalog":
    # Loaded here alone: of the command line's parts, few ever say a text of the catalogues.
    from babel.messages.pofile import read_po

    path = files("core").joinpath("translations", locale, "LC_MESSAGES", f"{DOMAIN}.po")
    return read_po(BytesIO(path.read_bytes()), domain=DOMAIN, abort_invalid=True)


def _template(table: str, key: str, params: Mapping[str, object], language: str) -> str:
    forms = sources()[table, key]
    translations = _translations(language)
    if len(forms) == 1:
        return translations.pgettext(f"{table}.{key}", forms[0])
    counts = [params[name] for name in COUNTS if name in params]
    if not counts:
        raise KeyError(COUNTS)
    return translations.npgettext(f"{table}.{key}", forms[0], forms[1], int(str(counts[0])))


def _shown(name: str, value: object, params: Mapping[str, object], language: str) -> object:
    """Translate the parameters that are words or texts themselves: what was not found, which type was expected."""
    if isinstance(value, Text):
        return localize(value, language)
    table = _WORDS.get(name)
    if table is None or not isinstance(value, str):
        return value
    return _word(table, value, params, language) or value


_WORDS = {"what": "nouns", "limit": "nouns", "expected": "types", "state": "states", "verb": "verbs"}


def _word(table: str, key: str, params: Mapping[str, object], language: str) -> str:
    """Return a text without placeholders, or nothing for an unknown key."""
    return _template(table, key, params, language) if (table, key) in sources() else ""


def _known_language(tag: str) -> str | None:
    wanted = tag.lower()
    if _primary(wanted) == "*":
        return ENGLISH
    alike = [language for language in LANGUAGES if _primary(language) == _primary(wanted)]
    # The very region first, then any other of the same language.
    return next((language for language in alike if language.lower() == wanted), next(iter(alike), None))


def _primary(tag: str) -> str:
    return tag.lower().partition("-")[0]


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
