"""Lines of CSV files that people open in a spreadsheet: no cell can act as a formula there."""

import csv
import io
from collections.abc import Sequence

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_row(cells: Sequence[object], delimiter: str = ",") -> str:
    """Return one line with its end; texts a spreadsheet would run as a formula begin with an apostrophe."""
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\r\n").writerow([_neutralize(cell) for cell in cells])
    return written.getvalue()


def _neutralize(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
