"""What the columns of a file mean: recognised by their headers in English, Portuguese and Spanish, or told."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import msgspec

from core.contacts.numbers import UnusableNumberError, normalize_number
from core.contacts.reader import MAXIMUM_COLUMNS, UnreadableFileError
from core.contacts.schemas import MAXIMUM_VARIABLES, OWN_FIELDS
from core.texts import text

NUMBER = "number"
NAME = "name"
LABELS = "labels"
IGNORE = "ignore"
VARIABLE = "variables."
REASON_HEADER = "recado_reason"
"""Header of the column that ``errors.csv`` adds; ignored when that file comes back."""

# In the order of how surely a column of that name holds the number to write to.
_NUMBER_HEADERS = (
    ("whatsapp", "whats", "zap", "wpp", "numerowhatsapp", "whatsappnumber", "numerodewhatsapp"),
    ("celular", "mobile", "cellphone", "movil", "cel", "telefonecelular", "telefonomovil", "mobilephone"),
    ("numero", "number", "phone", "telefone", "telefono", "phonenumber", "fone", "tel", "contato", "contacto"),
)
_NAME_HEADERS = (
    ("nome", "name", "nombre", "nomecompleto", "fullname", "nombrecompleto"),
    ("cliente", "customer", "contactname", "nomedocontato", "primeironome", "firstname"),
)
_LABEL_HEADERS = (("etiquetas", "etiqueta", "labels", "label", "tags", "tag", "marcadores", "rotulos"),)
_IGNORED = {"recadoreason"}


class UnknownMappingError(ValueError):
    """A chosen mapping names a column or a meaning that does not exist; ``column`` is the column's name."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


class Column(msgspec.Struct, frozen=True):
    """One column: its header, and ``number``, ``name``, ``labels``, ``ignore`` or ``variables.<name>``."""

    header: str
    field: str


class FileMap(msgspec.Struct, frozen=True):
    """The columns of a file, and whether its first row names them."""

    columns: list[Column]
    header: bool


def map_columns(first_row: Sequence[str], chosen: Mapping[str, str], country: str) -> FileMap:
    """Say what each column of a file is.

    ``chosen`` maps headers to meanings and wins over what is recognised. A file whose first row already holds a
    number has no headers; its columns are called ``column_1`` and so on.

    Raises:
        UnreadableFileError: No column holds numbers, or there are too many columns.
        UnknownMappingError: ``chosen`` does not fit the file.
    """
    if len(first_row) > MAXIMUM_COLUMNS:
        raise UnreadableFileError(text("file_columns", found=len(first_row), value=MAXIMUM_COLUMNS))
    headers = [" ".join(cell.split()) for cell in first_row]
    while headers and not headers[-1]:
        headers.pop()
    guess = _recognize(headers)
    has_header = NUMBER in guess.values() or _fits(chosen, headers)
    if not has_header and any(_is_number(cell, country) for cell in first_row):
        headers, guess = _name_columns(first_row, country)
    _check(chosen, headers)
    fields = _apply(headers, guess, chosen)
    if NUMBER not in fields:
        listed = ", ".join(header for header in headers if header)[:200]
        raise UnreadableFileError(text("file_no_numbers", listed=listed))
    variables = sum(field.startswith(VARIABLE) for field in fields)
    if variables > MAXIMUM_VARIABLES:
        raise UnreadableFileError(text("file_variables", found=variables, value=MAXIMUM_VARIABLES))
    columns = [Column(header, field) for header, field in zip(headers, fields, strict=True)]
    return FileMap(columns, header=has_header)


def variable_name(header: str) -> str:
    """Return the variable a header stands for: letters without accents, digits and underscores."""
    folded = unicodedata.normalize("NFKD", header.lower())
    plain = re.sub(r"\W+", "_", "".join(char for char in folded if not unicodedata.combining(char))).strip("_")
    name = f"c_{plain}" if plain[:1].isdigit() else plain
    return name[:50].strip("_")


def _recognize(headers: Sequence[str]) -> dict[int, str]:
    keys = [variable_name(header).replace("_", "") for header in headers]
    found: dict[int, str] = {}
    for field, groups in ((NUMBER, _NUMBER_HEADERS), (NAME, _NAME_HEADERS), (LABELS, _LABEL_HEADERS)):
        matches = (index for group in groups for index, key in enumerate(keys) if key in group and index not in found)
        index = next(matches, None)
        if index is not None:
            found[index] = field
    found.update({index: IGNORE for index, key in enumerate(keys) if key in _IGNORED})
    return found


def _name_columns(row: Sequence[str], country: str) -> tuple[list[str], dict[int, str]]:
    """Name the columns of a file without headers by what its first row holds."""
    headers = [f"column_{index}" for index in range(1, len(row) + 1)]
    number = next(index for index, cell in enumerate(row) if _is_number(cell, country))
    guess = {number: NUMBER}
    name = next((i for i, cell in enumerate(row) if i != number and re.search(r"[^\W\d]", cell)), None)
    headers[number] = NUMBER
    if name is not None:
        guess[name] = NAME
        headers[name] = NAME
    return headers, guess


def _apply(headers: Sequence[str], guess: Mapping[int, str], chosen: Mapping[str, str]) -> list[str]:
    told = {key.casefold(): field for key, field in chosen.items()}
    taken = {field for field in told.values() if field != IGNORE}
    fields: list[str] = []
    for index, header in enumerate(headers):
        field = told.get(header.casefold())
        if field is None or (field in fields and field != IGNORE):
            field = guess.get(index, VARIABLE)
            # A meaning that was chosen for another column leaves this one to be a variable.
            if field == VARIABLE or field in taken:
                field = _free_variable(header, index, taken)
        taken.add(field)
        fields.append(field)
    return fields


def _free_variable(header: str, index: int, taken: set[str]) -> str:
    base = variable_name(header) or f"column_{index + 1}"
    name, number = base, 1
    while name in OWN_FIELDS or f"{VARIABLE}{name}" in taken:
        number += 1
        name = f"{base}_{number}"
    return f"{VARIABLE}{name}"


def _fits(chosen: Mapping[str, str], headers: Sequence[str]) -> bool:
    known = {header.casefold() for header in headers}
    return bool(chosen) and all(key.casefold() in known for key in chosen)


def _check(chosen: Mapping[str, str], headers: Sequence[str]) -> None:
    known = {header.casefold() for header in headers}
    used: set[str] = set()
    for column, field in chosen.items():
        if column.casefold() not in known:
            raise UnknownMappingError(column, text("mapping_column"))
        name = field.removeprefix(VARIABLE)
        own = field in {NUMBER, NAME, LABELS, IGNORE}
        if not own and (name == field or not re.fullmatch(r"[^\W\d]\w{0,59}", name) or name in OWN_FIELDS):
            raise UnknownMappingError(column, text("mapping_meaning"))
        if field != IGNORE and field in used:
            raise UnknownMappingError(column, text("mapping_taken", field=field))
        used.add(field)


def _is_number(cell: str, country: str) -> bool:
    try:
        normalize_number(cell, country)
    except UnusableNumberError:
        return False
    return True
