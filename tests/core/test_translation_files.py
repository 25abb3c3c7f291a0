"""The gettext files: complete, in step with the English, and kept so by ``make texts``."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog, Message

from core.errors import OperatorError
from core.texts import FILLED, LANGUAGES, sources
from core.translation_files import ROOT, TEMPLATE, file_of, read, update

LOCALES = [path.parents[1].name for path in sorted(ROOT.glob("*/LC_MESSAGES/recado.po"))]
TRANSLATED = [locale for locale in LOCALES if locale != "en"]

EQUAL = {
    "pt_BR": {"types.null", "nouns.plugin", "nouns.token", "nouns.webhook"},
    "es": {"types.null", "nouns.plan", "nouns.plugin", "nouns.token", "nouns.webhook"},
}
"""What reads the same as in English."""


def entries(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def forms(value: object) -> list[str]:
    return (
        [value] if isinstance(value, str) else [str(form) for form in value] if isinstance(value, tuple | list) else []
    )


def placeholders(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name is not None}


def test_the_languages_are_the_folders() -> None:
    assert LANGUAGES[0] == "en"
    assert sorted(LANGUAGES) == sorted(locale.replace("_", "-") for locale in LOCALES) == ["en", "es", "pt-BR"]


@pytest.mark.parametrize("path", update(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_are_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == update()[path], "type `make texts`"


def test_the_english_has_no_second_english() -> None:
    assert [message.context for message in entries(read(file_of("en"))) if any(forms(message.string))] == []


def test_no_key_stands_twice() -> None:
    contexts = [message.context for message in entries(read(file_of("en")))]
    assert len(contexts) == len(set(contexts)) == len(sources())


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_text_is_translated(locale: str) -> None:
    translated = entries(read(file_of(locale)))
    assert [f"{message.context}" for message in translated] == [f"{table}.{key}" for table, key in sources()]
    assert [message.context for message in translated if not all(forms(message.string))] == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_no_translation_is_fuzzy(locale: str) -> None:
    assert [message.context for message in entries(read(file_of(locale))) if message.fuzzy] == []


@pytest.mark.parametrize("locale", TRANSLATED)
def test_every_plural_form_is_there(locale: str) -> None:
    catalog = read(file_of(locale))
    for message in entries(catalog):
        wanted = catalog.num_plurals if message.pluralizable else 1
        assert len(forms(message.string)) == wanted, message.context


@pytest.mark.parametrize("locale", TRANSLATED)
def test_translations_have_the_placeholders_of_the_english(locale: str) -> None:
    for message in entries(read(file_of(locale))):
        if str(message.context).partition(".")[0] in FILLED:
            wanted = placeholders(forms(message.id)[-1])
            for form in forms(message.string):
                assert placeholders(form) == wanted, message.context


@pytest.mark.parametrize("locale", TRANSLATED)
def test_translations_differ_from_the_english(locale: str) -> None:
    equal = {message.context for message in entries(read(file_of(locale))) if message.string == message.id}
    assert equal == EQUAL[locale]


def test_tools_are_told_what_a_placeholder_is() -> None:
    """Read as text, for Babel guesses such flags anew whenever it reads a file."""
    flagged = re.findall(r'^#, (.+)\nmsgctxt "(.+)"$', TEMPLATE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert {flags for flags, _ in flagged} == {"python-brace-format"}
    keys = {key for _, key in flagged}
    assert "fields.min_length" in keys
    assert keys & {"blockers.too_uniform", "fields.required"} == set()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of three texts and a Spanish catalogue, which somebody has begun."""
    for locale, content in (("en", ENGLISH), ("es", SPANISH)):
        path = file_of(locale, tmp_path)
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")
    return tmp_path


ENGLISH = """
msgid ""
msgstr "Language: en\\n"

msgctxt "fields.one"
msgid "First."
msgstr ""

#. Somebody reads this on paper.
msgctxt "fields.two"
msgid "{value} word"
msgid_plural "{value} words"
msgstr[0] ""
msgstr[1] ""
"""

SPANISH = """
# Words for the help of others.
msgid ""
msgstr ""
"Last-Translator: Somebody <somebody@example.com>\\n"
"Language: es\\n"
"Plural-Forms: nplurals=3; plural=(n == 1 ? 0 : n > 9 ? 2 : 1);\\n"
"Content-Type: text/plain; charset=utf-8\\n"

msgctxt "fields.gone"
msgid "Gone."
msgstr "Ido."

# Said in a hurry.
#| msgid "Still before."
msgctxt "fields.one"
msgid "The first."
msgstr "Primero."
"""


def updated(root: Path, locale: str) -> Catalog:
    path = file_of(locale, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(update([locale], root)[path], encoding="utf-8")
    return read(path)


def test_a_translation_of_other_english_becomes_fuzzy(root: Path) -> None:
    first = entries(updated(root, "es"))[0]
    assert (first.id, first.string, first.fuzzy) == ("First.", "Primero.", True)
    assert first.user_comments == ["Said in a hurry."]


def test_a_second_update_changes_nothing(root: Path) -> None:
    updated(root, "es")
    before = file_of("es", root).read_text(encoding="utf-8")
    updated(root, "es")
    assert file_of("es", root).read_text(encoding="utf-8") == before


def test_a_new_text_waits_for_its_translation_in_the_catalogues_own_forms(root: Path) -> None:
    second = entries(updated(root, "es"))[1]
    assert second.id == ("{value} word", "{value} words")
    assert second.string == ("", "", "")
    assert second.auto_comments == ["Somebody reads this on paper."]


def test_a_text_that_is_gone_goes_everywhere(root: Path) -> None:
    assert [message.context for message in entries(updated(root, "es"))] == ["fields.one", "fields.two"]


def test_the_translators_header_stays(root: Path) -> None:
    headers = dict(updated(root, "es").mime_headers)
    assert headers["Last-Translator"] == "Somebody <somebody@example.com>"
    assert headers["Plural-Forms"] == "nplurals=3; plural=(n == 1 ? 0 : n > 9 ? 2 : 1);"


def test_a_new_language_gets_its_plural_forms(root: Path) -> None:
    catalog = updated(root, "pl")
    assert catalog.num_plurals == 3
    assert entries(catalog)[1].string == ("", "", "")


def test_what_is_no_locale_is_refused(root: Path) -> None:
    with pytest.raises(OperatorError, match="'klingon' is no locale"):
        update(["klingon"], root)


def test_a_folder_is_a_language(tmp_path: Path) -> None:
    """Whoever runs the platform adds a language by adding a folder; what it lacks is shown in English."""
    copy = tmp_path / "core"
    shutil.copytree(ROOT.parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = file_of("fr", copy / "translations")
    path.parent.mkdir(parents=True)
    path.write_text(FRENCH, encoding="utf-8")
    answer = subprocess.run([sys.executable, "-c", SPEAK], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == [
        "('en', 'es', 'fr', 'pt-BR')",
        "fr",
        "Ce champ est obligatoire.",
        "Must be a date, such as 2026-01-31.",
    ]


FRENCH = """
msgid ""
msgstr ""
"Language: fr\\n"
"Content-Type: text/plain; charset=utf-8\\n"

msgctxt "fields.required"
msgid "This field is required."
msgstr "Ce champ est obligatoire."

#, fuzzy
msgctxt "fields.date"
msgid "Must be a date, such as 2026-01-31."
msgstr "Une date."
"""

SPEAK = """
from core.texts import LANGUAGES, localize, negotiate, text
print(LANGUAGES)
print(negotiate("fr-CA"))
print(localize(text("required"), "fr"))
print(localize(text("date"), "fr"))
"""


@pytest.mark.slow
def test_the_wheel_holds_the_catalogues_and_the_templates_of_emails(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT.parents[1],
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert {f"core/translations/{locale}/LC_MESSAGES/recado.po" for locale in LOCALES} <= names
    assert {f"core/notifications/emails/templates/mail.{ending}" for ending in ("html", "txt")} <= names
