"""The rows of an import that did not go in, as a file in the layout of the upload, to be corrected and sent again."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from core import database
from core.contacts.importing.headers import REASON_HEADER
from core.contacts.importing.mapping import headers_again
from core.contacts.importing.schemas import FileRead
from core.errors import NotFoundError
from core.spreadsheets import BYTE_ORDER_MARK, write_row
from core.texts import ENGLISH, negotiate

ERRORS_PAGE = 1000


async def error_file(user_id: int, import_id: int) -> AsyncIterator[str]:
    """Return the rows that did not go in, in the layout of the upload with a column for the reason, piece by piece.

    It is UTF-8 with a byte order mark, for spreadsheets. The rows of a workbook have the delimiter that spreadsheets
    expect where the account's language is spoken.
    """
    row = await database.fetch_row(
        "SELECT i.mapping, u.locale FROM imports i JOIN users u ON u.id = i.user_id WHERE i.id = $1 AND i.user_id = $2",
        import_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("import", import_id)
    found = msgspec.json.decode(row["mapping"], type=FileRead)
    delimiter = found.form.delimiter
    if found.form.workbook:
        delimiter = "," if negotiate(row["locale"]) == ENGLISH else ";"
    return _lines(import_id, found, delimiter)


async def _lines(import_id: int, found: FileRead, delimiter: str) -> AsyncIterator[str]:
    headers = headers_again(found.map)
    reasons = [place for place, header in enumerate(headers) if header == REASON_HEADER]
    names = [header for header in headers if header != REASON_HEADER]
    yield BYTE_ORDER_MARK + write_row([*names, REASON_HEADER], delimiter)
    last = (0, 0)
    while True:
        rows = await database.fetch(
            "SELECT id, line, row, reason FROM import_errors WHERE import_id = $1 AND (line, id) > ($2, $3)"
            " ORDER BY line, id LIMIT $4",
            import_id,
            *last,
            ERRORS_PAGE,
        )
        if not rows:
            return
        last = (rows[-1]["line"], rows[-1]["id"])
        yield "".join(_line(row, len(headers), reasons, delimiter) for row in rows)


def _line(row: Mapping[str, Any], width: int, reasons: list[int], delimiter: str) -> str:
    cells: list[str] = msgspec.json.decode(row["row"])
    padded = cells + [""] * (width - len(cells))
    # A file of errors that comes back has a column of reasons already: the new one takes its place.
    kept = [cell for place, cell in enumerate(padded) if place not in reasons]
    return write_row([*kept, row["reason"]], delimiter)
