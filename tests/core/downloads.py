"""Read the CSV files that the API answers with."""

import csv
import io

import httpx


def rows_of(answer: httpx.Response, name: str = "") -> list[dict[str, str]]:
    """Return the rows of a file, which has to be CSV for spreadsheets and to be called ``name``, where one is given."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    if name:
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
