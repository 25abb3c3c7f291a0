"""What the columns of a file mean: recognised by their headers, kept from the last such file, or told."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.headers import (
    IGNORE,
    IGNORED_HEADER,
    LABELS,
    NAME,
    NUMBER,
    VARIABLE,
    find_header,
    guess_number,
    header_key,
    name_columns,
    recognize,
    variable_name,
)
from core.contacts.importing.reader import MAXIMUM_COLUMNS
from core.contacts.schemas import MAXIMUM_VARIABLES, OWN_FIELDS
from core.texts import Text, text

Source = Literal["chosen", "saved", "recognized", "guessed"]

_BY_PLACE = re.compile(r"column_(\d{1,3})")


class UnknownMappingError(ValueError):
    """A chosen mapping names a column or a meaning that does not exist; ``column`` is the column's name."""

    def __init__(self, column: str, reason: Text) -> None:
        super().__init__(reason)
        self.column = column


class Column(msgspec.Struct, frozen=True):
    """One column: its header, and ``number``, ``name``, ``labels``, ``ignore`` or ``variables.<name>``."""

    header: str
    field: str


class FileMap(msgspec.Struct, frozen=True):
    """The columns of a file, and where the row is that names them."""

    columns: list[Column]
    header: bool
    skipped: int = 0
    """Rows above the headers."""
    source: Source = "recognized"
    """Where the meanings come from; a column of numbers is ``guessed`` from its cells where no header names one."""

    @property
    def first_row(self) -> int:
        """How many rows with text stand before the first contact."""
        return self.skipped + int(self.header)


class Header(msgspec.Struct, frozen=True):
    """The row that names the columns, or the names that were made for a file without one."""

    names: list[str]
    skipped: int
    present: bool
    known: dict[int, str]
    """Meanings of columns by their places, as far as they are recognised."""


def header_keys(names: Sequence[str]) -> list[str]:
    """Return what names each column in mappings that are kept: two of one name are told apart by their order."""
    seen: Counter[str] = Counter()
    keys = []
    for place, name in enumerate(names, start=1):
        key = header_key(name) or f"column{place}"
        seen[key] += 1
        keys.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return keys


def read_header(rows: Sequence[Sequence[str]], country: str, *, present: bool | None = None) -> Header:
    """Find the row that names the columns among a file's first rows.

    ``present`` says whether there is one where that is known; a first row that holds a number is none otherwise.

    Raises:
        UnreadableFileError: There are too many columns.
    """
    place = None if present is False else find_header(rows, country)
    if present and place is None:
        place = 0
    if place is None:
        names, known = name_columns(rows, country)
    else:
        names = [" ".join(cell.split()) for cell in rows[place]]
        while names and not names[-1]:
            names.pop()
        known = recognize(names)
    if len(names) > MAXIMUM_COLUMNS:
        raise UnreadableFileError(text("file_columns", found=len(names), value=MAXIMUM_COLUMNS))
    return Header(names, place or 0, present=place is not None, known=known)


def map_columns(
    rows: Sequence[Sequence[str]],
    header: Header,
    chosen: Mapping[str, str],
    country: str,
    saved: Mapping[str, str] | None = None,
) -> FileMap:
    """Say what each column of a file is; ``rows`` are its first ones.

    ``chosen`` maps headers, or ``column_3`` for the third column, to meanings, and wins over what is ``saved`` by the
    keys of the header, which wins over what is recognised.

    Raises:
        UnreadableFileError: No column holds numbers, or there are too many for variables.
        UnknownMappingError: ``chosen`` does not fit the file.
    """
    told = _resolve(chosen, header.names)
    source: Source = "chosen" if told else "recognized"
    if not told and saved is not None:
        told = {place: saved[key] for place, key in enumerate(header_keys(header.names)) if key in saved}
        source = "saved"
    fields = _apply(header.names, header.known, told)
    if NUMBER not in fields:
        number = guess_number(rows[header.skipped + int(header.present) :], country)
        if number is None or number >= len(header.names) or number in told:
            raise _without_numbers(header, chosen)
        fields = _apply(header.names, {**header.known, number: NUMBER}, told)
        source = "guessed"
    variables = sum(field.startswith(VARIABLE) for field in fields)
    if variables > MAXIMUM_VARIABLES:
        raise UnreadableFileError(text("file_variables", found=variables, value=MAXIMUM_VARIABLES))
    columns = [Column(name, field) for name, field in zip(header.names, fields, strict=True)]
    return FileMap(columns, header.present, header.skipped, source)


def headers_again(found: FileMap) -> list[str]:
    """Return headers by which each column of a file is recognised as what it was taken for."""
    if found.header:
        return [column.header for column in found.columns]
    return [
        f"{IGNORED_HEADER}_{place}" if column.field == IGNORE else column.field.removeprefix(VARIABLE)
        for place, column in enumerate(found.columns, start=1)
    ]


def _without_numbers(header: Header, chosen: Mapping[str, str]) -> Exception:
    if chosen:
        return UnknownMappingError(next(iter(chosen)), text("mapping_no_number"))
    return UnreadableFileError(no_numbers(header.names))


def no_numbers(headers: Iterable[str]) -> Text:
    """Say that none of these columns holds the numbers for certain."""
    return text("file_no_numbers", listed=", ".join(header for header in headers if header)[:200])


def _resolve(chosen: Mapping[str, str], headers: Sequence[str]) -> dict[int, str]:
    """Return the chosen meanings by the places of their columns."""
    names = [header.casefold() for header in headers]
    told: dict[int, str] = {}
    for column, field in chosen.items():
        by_place = _BY_PLACE.fullmatch(column)
        if column.casefold() in names:
            place = names.index(column.casefold())
        elif by_place is not None and 1 <= int(by_place[1]) <= len(headers):
            place = int(by_place[1]) - 1
        else:
            raise UnknownMappingError(column, text("mapping_column"))
        name = field.removeprefix(VARIABLE)
        own = field in {NUMBER, NAME, LABELS, IGNORE}
        if not own and (name == field or not re.fullmatch(r"[^\W\d]\w{0,59}", name) or name in OWN_FIELDS):
            raise UnknownMappingError(column, text("mapping_meaning"))
        if place in told:
            raise UnknownMappingError(column, text("mapping_twice"))
        if field != IGNORE and field in told.values():
            raise UnknownMappingError(column, text("mapping_taken", field=field))
        told[place] = field
    return told


def _apply(headers: Sequence[str], known: Mapping[int, str], told: Mapping[int, str]) -> list[str]:
    taken = {field for field in told.values() if field != IGNORE}
    fields: list[str] = []
    for place, header in enumerate(headers):
        field = told.get(place)
        if field is None:
            field = known.get(place, VARIABLE)
            # A meaning that was chosen for another column leaves this one to be a variable.
            if field == VARIABLE or (field in taken and field != IGNORE):
                field = _free_variable(header, place, taken)
        taken.add(field)
        fields.append(field)
    return fields


def _free_variable(header: str, place: int, taken: set[str]) -> str:
    base = variable_name(header) or f"column_{place + 1}"
    name, number = base, 1
    while name in OWN_FIELDS or f"{VARIABLE}{name}" in taken:
        number += 1
        name = f"{base}_{number}"
    return f"{VARIABLE}{name}"
