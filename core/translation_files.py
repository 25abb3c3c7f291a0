"""Keeps the gettext files in step with the English texts: ``make texts``, or ``python -m core.translation_files``.

``core/translations/en`` holds the texts themselves: of each its key (``msgctxt``), the English (``msgid``) and, where
it counts something, the English plural. From it come ``recado.pot``, the template of all languages, and the entries
of every other language. What is translated stays; a translation whose English has changed is marked fuzzy, which a
test finds, and is not shown until somebody has looked at it.
"""

import re
import sys
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po

from core.errors import OperatorError
from core.texts import DOMAIN, FILLED, SOURCE

ROOT = Path(__file__).parent / "translations"
TEMPLATE = ROOT / f"{DOMAIN}.pot"

_WIDTH = 120
_COMMENT = "# Texts of Recado that people read; docs/how-to/translate.md says how they are kept."
_CHANGING = re.compile(r'^"(POT-Creation-Date|Generated-By|Report-Msgid-Bugs-To): .*\\n"\n', re.MULTILINE)
_EMPTY = re.compile(r'^".*(YEAR-MO-DA|EMAIL@ADDRESS|LANGUAGE <|<LL@li\.org>).*\\n"\n', re.MULTILINE)


def file_of(locale: str, root: Path = ROOT) -> Path:
    """Return where the texts of a locale stand, such as ``pt_BR/LC_MESSAGES/recado.po``."""
    return root / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(path: Path) -> Catalog:
    """Return a catalogue as it is written, fuzzy entries and comments included."""
    with path.open("rb") as file:
        return read_po(file, domain=DOMAIN, abort_invalid=True)


def rendered(catalog: Catalog) -> str:
    """Return a catalogue as text, without headers that change by themselves or that nobody has filled in."""
    catalog.project, catalog.version = "Recado", ""
    catalog.header_comment = _COMMENT
    catalog.fuzzy = False
    for message in catalog:
        if message.id:
            message.flags -= {"python-format", "python-brace-format"}
            message.flags |= _flags(message)
    file = BytesIO()
    write_po(file, catalog, width=_WIDTH, no_location=True, ignore_obsolete=True)
    return _EMPTY.sub("", _CHANGING.sub("", file.getvalue().decode())).replace("Recado \\n", "Recado\\n").strip() + "\n"


def template(source: Catalog) -> Catalog:
    """Return the template for translators: the English texts, each without a translation."""
    blank = Catalog(domain=DOMAIN)
    for message in _texts(source):
        blank.add(message.id, auto_comments=message.auto_comments, context=message.context)
    return blank


def merged(source: Catalog, translated: Catalog) -> Catalog:
    """Return a language's catalogue with exactly the texts of ``source``, in its order; see the module."""
    known = {message.context: message for message in _texts(translated)}
    result = Catalog(locale=translated.locale, domain=DOMAIN)
    result.mime_headers = translated.mime_headers
    for text in _texts(source):
        present = known.get(text.context)
        if present is None or not any(_strings(present)):
            result.add(text.id, auto_comments=text.auto_comments, context=text.context)
            continue
        entry = result.add(
            text.id,
            _fitted(present, result.num_plurals if text.pluralizable else 0),
            flags=present.flags,
            auto_comments=text.auto_comments,
            # Babel takes what tools note of the English before, "#| msgid ...", for a comment.
            user_comments=[comment for comment in present.user_comments if not comment.startswith("|")],
            context=text.context,
        )
        if present.id != text.id:
            entry.flags.add("fuzzy")
    return result


def update(new: Iterable[str] = (), root: Path = ROOT) -> dict[Path, str]:
    """Return what every file should hold, with a first file for each ``new`` locale such as ``fr`` or ``zh_Hans``."""
    source = read(file_of(SOURCE, root))
    contents = {
        file_of(SOURCE, root): rendered(source),
        root / TEMPLATE.name: rendered(template(source)),
    }
    for path in sorted(root.glob(f"*/LC_MESSAGES/{DOMAIN}.po")):
        if path not in contents:
            contents[path] = rendered(merged(source, read(path)))
    for locale in new:
        path = file_of(locale, root)
        if path not in contents:
            contents[path] = rendered(merged(source, Catalog(locale=_known(locale), domain=DOMAIN)))
    return contents


def _texts(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def _strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def _fitted(message: Message, plurals: int) -> str | tuple[str, ...]:
    """Return the translation in as many forms as asked; 0 for a text that counts nothing."""
    strings = _strings(message)
    if not plurals:
        return strings[-1]
    return tuple(strings[min(index, len(strings) - 1)] for index in range(plurals))


def _flags(message: Message) -> set[str]:
    """Return what tells tools to compare the placeholders, for texts that have any."""
    table = str(message.context).partition(".")[0]
    return {"python-brace-format"} if table in FILLED and "{" in "".join(message.id) else set()


def _known(locale: str) -> str:
    try:
        return str(Locale.parse(locale))
    except (ValueError, UnknownLocaleError) as error:
        raise OperatorError(f"{locale!r} is no locale: write one such as fr or pt_PT.") from error


def main(new: list[str]) -> None:
    """Write every file again, and begin one for each locale in ``new``."""
    for path, content in update(new).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
