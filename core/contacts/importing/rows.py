"""One row of a file as a contact, or the reason why it is none."""

import re
from collections.abc import Sequence

import msgspec

from core.contacts.importing.headers import IGNORE, LABELS, NAME, NUMBER, VARIABLE
from core.contacts.importing.mapping import Column
from core.contacts.importing.reader import Record, plain_cell
from core.contacts.numbers import UnusableNumberError, normalize_number
from core.texts import Text, text

MAXIMUM_NAME = 160
MAXIMUM_VALUE = 1000
MAXIMUM_LABEL = 80
MAXIMUM_LABELS_OF_ROW = 20

_MARKS = re.compile(r'[,;|"]')
_NAMES = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"\s*(?=[,;|]|$)|(?P<plain>[^,;|]*))(?:[,;|]|$)')

# As spreadsheets write them in English, Portuguese and Spanish.
_FORMULA_ERROR = re.compile(
    r"#(?:N/A|N/D|REF!|¡REF!|DIV/0!|¡DIV/0!|VALUE!|VALOR!|¡VALOR!|NAME\?|NOME\?|¿NOMBRE\?|NUM!|NÚM!|¡NUM!|NULL!|NULO!|¡NULO!)"
)


class Row(msgspec.Struct):
    """A contact as its row describes it; empty cells are left out."""

    line: int
    number: str
    name: str
    variables: dict[str, str]
    labels: list[str]
    """Names, as written."""
    cells: list[str]


class Failure(msgspec.Struct, frozen=True):
    """A row that does not go in: the column at fault, what stands there, and why it cannot."""

    line: int
    column: str
    value: str
    reason: str
    cells: list[str]


class Refusal(ValueError):  # noqa: N818 - a verdict on a cell, never seen outside this module
    """What is wrong with a cell."""

    def __init__(self, column: str, value: str, reason: Text) -> None:
        super().__init__(reason)
        self.column = column
        self.value = value


def read_row(record: Record, columns: Sequence[Column], country: str) -> Row | Failure:
    """Turn a row into a contact; the first cell that cannot be used decides why it fails."""
    try:
        return _read(record, columns, country)
    except Refusal as refusal:
        return Failure(record.line, refusal.column, refusal.value[:500], refusal.args[0], record.cells)


def _read(record: Record, columns: Sequence[Column], country: str) -> Row:
    if record.broken:
        raise Refusal("", record.cells[0], text("row_quote"))
    extra = next((cell for cell in record.cells[len(columns) :] if cell.strip()), None)
    if extra is not None:
        raise Refusal("", extra, text("row_cells"))
    row = Row(record.line, "", "", {}, [], record.cells)
    written = ""
    for column, cell in zip(columns, record.cells, strict=False):
        plain = plain_cell(cell)
        if plain[:1] == "#" and column.field != IGNORE and _FORMULA_ERROR.fullmatch(plain):
            raise Refusal(column.header, plain, text("row_formula"))
        if column.field == NUMBER:
            written = plain
        elif column.field == NAME:
            row.name = _limited(column, " ".join(plain.split()), MAXIMUM_NAME)
        elif column.field == LABELS:
            row.labels = _label_names(column, plain)
        elif column.field.startswith(VARIABLE) and plain:
            row.variables[column.field.removeprefix(VARIABLE)] = _limited(column, plain, MAXIMUM_VALUE)
    row.number = _number(written, columns, country)
    return row


def _number(written: str, columns: Sequence[Column], country: str) -> str:
    try:
        return normalize_number(written, country)
    except UnusableNumberError as error:
        header = next(column.header for column in columns if column.field == NUMBER)
        raise Refusal(header, written, error.args[0]) from None


def _limited(column: Column, cell: str, limit: int) -> str:
    if len(cell) > limit:
        raise Refusal(column.header, cell, text("row_long", value=limit))
    return cell


def join_label(name: str) -> str:
    """Return the name of a label as it stands in a cell of several: in quotes where it could be taken for two."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"' if _MARKS.search(name) else name


def _parts(cell: str) -> list[str]:
    if '"' not in cell:
        return cell.replace(";", ",").replace("|", ",").split(",")
    found = _NAMES.finditer(cell)
    return [one["plain"] if one["quoted"] is None else one["quoted"].replace('""', '"') for one in found]


def _label_names(column: Column, cell: str) -> list[str]:
    parts = (" ".join(part.split()) for part in _parts(cell))
    names = list(dict.fromkeys(_limited(column, part, MAXIMUM_LABEL) for part in parts if part))
    if len(names) > MAXIMUM_LABELS_OF_ROW:
        raise Refusal(column.header, cell, text("row_labels", value=MAXIMUM_LABELS_OF_ROW))
    return names
