"""Which columns of a file hold what, told by their headers in English, Portuguese and Spanish, or by their cells."""

import re
import unicodedata
from collections.abc import Sequence

from core.contacts.numbers import UnusableNumberError, normalize_number
from core.contacts.schemas import OWN_FIELDS

NUMBER = "number"
NAME = "name"
LABELS = "labels"
IGNORE = "ignore"
VARIABLE = "variables."
REASON_HEADER = "recado_reason"
"""Header of the column that ``errors.csv`` adds; ignored when that file comes back."""
IGNORED_HEADER = "recado_ignored"
"""Header there of an ignored column of a file without headers, with its place behind it."""
SAMPLE_ROWS = 50
"""Of so many rows the cells are looked at."""
TITLE_ROWS = 10
"""So many rows may stand above the headers."""

# In the order of how surely a column of that name holds the number to write to.
_NUMBER_HEADERS = (
    (
        "whatsapp", "whats", "zap", "wpp", "numerowhatsapp", "whatsappnumber", "numerodewhatsapp", "telefonewhatsapp",
        "celularwhatsapp", "numerodowhatsapp", "telefonowhatsapp",
    ),
    (
        "celular", "mobile", "cellphone", "movil", "cel", "telefonecelular", "telefonomovil", "mobilephone",
        "celular1", "numerodecelular", "numerodocelular", "cell", "telefonocelular", "mobilenumber", "telemovel",
        "nodecelular", "nocelular", "nodocelular",
    ),
    (
        "numero", "number", "phone", "telefone", "telefono", "phonenumber", "fone", "tel", "contato", "contacto",
        "numerodetelefone", "numerodetelefono", "numerodotelefone", "telefone1", "telefono1", "phone1", "fone1",
        "nodetelefone", "nodotelefone", "notelefone",
        "phone1value", "telephone", "telefoneprincipal", "primaryphone",
    ),
)  # fmt: skip
_NAME_HEADERS = (
    ("nome", "name", "nombre", "nomecompleto", "fullname", "nombrecompleto"),
    (
        "cliente", "customer", "contactname", "nomedocontato", "primeironome", "firstname", "nomedocliente",
        "givenname", "nombredelcontacto", "razaosocial",
    ),
)  # fmt: skip
_LABEL_HEADERS = (
    ("etiquetas", "etiqueta", "labels", "label", "tags", "tag", "marcadores", "rotulos", "groupmembership"),
)
EXPORTED_HEADERS = (
    "recado_addresses", "recado_status", "recado_blocked", "recado_created_at", "recado_last_inbound_at",
)  # fmt: skip
"""Headers of the columns of a download that no import takes."""
_IGNORED = re.compile(r"recado(?:reason|ignored\d+|addresses|status|blocked|createdat|lastinboundat)")
_EXACT_VARIABLE = re.compile(r"variables\.([^\W\d]\w{0,59})")


def header_key(header: str) -> str:
    """Return what two headers have in common that differ in case, accents, spaces and punctuation alone."""
    return variable_name(header).replace("_", "")


def variable_name(header: str) -> str:
    """Return the variable a header stands for: letters without accents, digits and underscores."""
    folded = unicodedata.normalize("NFKD", header.lower())
    plain = re.sub(r"\W+", "_", "".join(char for char in folded if not unicodedata.combining(char))).strip("_")
    name = f"c_{plain}" if plain[:1].isdigit() else plain
    return name[:50].strip("_")


def recognize(headers: Sequence[str]) -> dict[int, str]:
    """Return the meanings of columns by their places, as far as headers tell them."""
    keys = [header_key(header) for header in headers]
    found: dict[int, str] = {}
    for field, groups in ((NUMBER, _NUMBER_HEADERS), (NAME, _NAME_HEADERS), (LABELS, _LABEL_HEADERS)):
        matches = (index for group in groups for index, key in enumerate(keys) if key in group and index not in found)
        index = next(matches, None)
        if index is not None:
            found[index] = field
    found.update({index: IGNORE for index, key in enumerate(keys) if _IGNORED.fullmatch(key)})
    exact = ((index, _EXACT_VARIABLE.fullmatch(header)) for index, header in enumerate(headers))
    found.update({index: match[0] for index, match in exact if match and match[1].lower() not in OWN_FIELDS})
    return found


def variable_header(name: str) -> str:
    """Return a header that is recognised as the variable ``name``: the name itself, where it can be taken for it."""
    return name if variable_name(name) == name and not recognize([name]) else f"{VARIABLE}{name}"


def name_columns(rows: Sequence[Sequence[str]], country: str) -> tuple[list[str], dict[int, str]]:
    """Name the columns of a file without headers by what its first rows hold."""
    first = next((row for row in rows[:TITLE_ROWS] if _has_several(row)), rows[0])
    width = max((place + 1 for place, cell in enumerate(first) if cell.strip()), default=0)
    first = first[:width]
    headers = [f"column_{index}" for index in range(1, len(first) + 1)]
    number = next((index for index, cell in enumerate(first) if is_number(cell, country)), None)
    if number is None:
        number = guess_number(rows, country)
    guess: dict[int, str] = {}
    if number is not None:
        guess[number] = NUMBER
        headers[number] = NUMBER
    name = next((i for i, cell in enumerate(first) if i != number and re.search(r"[^\W\d]", cell)), None)
    if name is not None:
        guess[name] = NAME
        headers[name] = NAME
    return headers, guess


def guess_number(rows: Sequence[Sequence[str]], country: str) -> int | None:
    """Return the place of the column in which most cells are numbers one could write to, ``None`` without any."""
    counts: dict[int, int] = {}
    for row in rows[:SAMPLE_ROWS]:
        for place, cell in enumerate(row):
            if is_number(cell, country):
                counts[place] = counts.get(place, 0) + 1
    return max(counts, key=lambda place: (counts[place], -place), default=None)


def find_header(rows: Sequence[Sequence[str]], country: str) -> int | None:
    """Return the place of the row that names the columns, ``None`` where the first row holds a contact already.

    Rows above it may hold a title, in one cell each.
    """
    for place, row in enumerate(rows[:TITLE_ROWS]):
        table = _has_several(row)
        if NUMBER in recognize(row).values() and (table or place == 0):
            return place
        if any(is_number(cell, country) for cell in row):
            # A contact, and so may those above it be.
            return None if place == 0 or table else 0
        if table:
            return place
    return 0


def _has_several(row: Sequence[str]) -> bool:
    return sum(bool(cell.strip()) for cell in row) > 1


def is_number(cell: str, country: str) -> bool:
    """Whether a cell is a number one could write to."""
    try:
        normalize_number(cell, country)
    except UnusableNumberError:
        return False
    return True
