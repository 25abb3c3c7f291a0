"""CSV files that people open in a spreadsheet: no cell can act as a formula there, and no file is held in memory.

Which beginnings a spreadsheet runs: https://owasp.org/www-community/attacks/CSV_Injection (the four signs, their
full-width forms, tab, carriage return and line feed).
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from litestar.response import Stream

MEDIA_TYPE = "text/csv"
BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes the file for one in the encoding of its country, and spoils every accent."""

# Spaces before a sign are passed over by some; control characters are dropped by others.
_RUNS = r"[\x00-\x1f\x7f]|[ \u00a0]*[=+\-@\uff1d\uff0b\uff0d\uff20]"
# An apostrophe more where there are some already: else nobody could tell a text that had one from one that got it.
_RUN = re.compile(f"'*(?:{_RUNS})")
_GUARDED = re.compile(f"'+(?:{_RUNS})")

# The same for PostgreSQL, which writes escapes otherwise and has no NUL in a text.
_CONTROLS_IN_SQL, _SIGNS_IN_SQL = r"[\u0001-\u001f\u007f]", r"[=+@\uff1d\uff0b\uff0d\uff20\u002d]"
_RUNS_IN_SQL = rf"({_CONTROLS_IN_SQL}|[ \u00a0]*{_SIGNS_IN_SQL})"
_CHANGED_IN_SQL = rf"(''+{_RUNS_IN_SQL}|{_CONTROLS_IN_SQL}|[ \u00a0]+{_SIGNS_IN_SQL}|=\"[^\"]*\"$)"
_FIRST_OF_CHANGED = [*range(1, 0x21), *map(ord, "'=\x7f\xa0")]
_FIRST_OF_RUN = [*_FIRST_OF_CHANGED, *map(ord, "+-@\uff0b\uff0d\uff1d\uff20")]


def guarded_in_sql(expression: str, *, workbook: bool = False) -> str:
    """Return SQL for a text as ``write_row`` would guard it.

    In the cells of a ``workbook`` texts run nothing. There only those get an apostrophe that an import would read as
    another text: those that look as if they had got one, or have blanks before a sign, and ``="..."``.
    """
    pattern = f"^{_CHANGED_IN_SQL}" if workbook else f"^''*{_RUNS_IN_SQL}"
    first = ",".join(map(str, _FIRST_OF_CHANGED if workbook else _FIRST_OF_RUN))
    # The first character of nearly every text says already that there is nothing to look for.
    suspect = f"ascii({expression}) = ANY('{{{first}}}'::int[]) AND {expression} ~ '{pattern}'"
    return f"CASE WHEN {suspect} THEN '''' || {expression} ELSE {expression} END"


def write_row(cells: Sequence[object], delimiter: str = ",") -> str:
    """Return one line with its end; texts a spreadsheet would run as a formula begin with an apostrophe."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerow([_guard(cell) for cell in cells])
    return written.getvalue()


def unguarded(cell: str) -> str:
    """Return a text as it was before ``write_row`` put an apostrophe in front of it."""
    return cell[1:] if _GUARDED.match(cell) else cell


async def download(name: str, pieces: AsyncIterator[str | bytes], media_type: str = MEDIA_TYPE) -> Stream:
    """Answer with a file that is sent as its pieces come: CSV (UTF-8 with a byte order mark), unless told otherwise.

    The first are waited for, so that what cannot be read at all is answered as an error and not as half a file.
    """
    first = await anext(pieces, None)

    async def sent() -> AsyncIterator[str | bytes]:
        if first is not None:
            yield first
        async for piece in pieces:
            yield piece

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(sent(), media_type=media_type, headers=headers)


async def write_table(
    columns: Sequence[str], portions: AsyncIterator[Sequence[Sequence[object]]]
) -> AsyncIterator[str]:
    """Yield a header and the rows, one piece for each portion; the header comes with the first."""
    header = BYTE_ORDER_MARK + write_row(columns)
    async for rows in portions:
        yield header + "".join(write_row([_cell(value) for value in row]) for row in rows)
        header = ""
    if header:
        yield header


async def write_structs(kind: type[msgspec.Struct], portions: AsyncIterator[Sequence[Any]]) -> AsyncIterator[str]:
    """Yield rows of ``kind`` as the API writes them, a column for each field; those of a struct inside stand for it."""
    paths = list(_paths(kind))

    async def values() -> AsyncIterator[Sequence[Sequence[object]]]:
        async for rows in portions:
            yield [[_at(plain, path) for path in paths] for plain in map(_builtins, rows)]

    async for piece in write_table([path[-1] for path in paths], values()):
        yield piece


def _paths(kind: type[msgspec.Struct]) -> Iterator[tuple[str, ...]]:
    for field in msgspec.structs.fields(kind):
        inner = field.type
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            yield from ((field.encode_name, *path) for path in _paths(inner))
        else:
            yield (field.encode_name,)


def _builtins(row: object) -> Any:
    # An amount stays a number: a negative one is no formula.
    return msgspec.to_builtins(row, builtin_types=(Decimal,))


def _at(plain: Any, path: tuple[str, ...]) -> object:
    for name in path:
        plain = plain[name]
    return plain


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value


def _guard(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _RUN.match(cell) else cell
