"""Read the files for spreadsheets that the API answers with."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import httpx


def rows_of(answer: httpx.Response, name: str = "") -> list[dict[str, str]]:
    """Return the rows of a file, which has to be CSV for spreadsheets and to be called ``name``, where one is given."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbf")
    if name:
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
OFFICE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def sheets_of(content: bytes) -> dict[str, list[list[str]]]:
    """Return the rows of each sheet of a workbook by its name; every cell has to be a text, in its place."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        assert package.testzip() is None
        related = _elements(package, "_rels/workbook.xml.rels", "")
        parts = {one.attrib["Id"]: one.attrib["Target"] for one in related if "Id" in one.attrib}
        for sheet in _elements(package, "workbook.xml", f"{MAIN}sheet"):
            rows = _elements(package, parts[sheet.attrib[f"{OFFICE}id"]], f"{MAIN}row")
            found[sheet.attrib["name"]] = [_cells(row, line) for line, row in enumerate(rows, start=1)]
    width = len(next(iter(found.values()))[0])
    return {name: [row + [""] * (width - len(row)) for row in rows] for name, rows in found.items()}


def _elements(package: zipfile.ZipFile, part: str, name: str) -> Iterator[ET.Element]:
    return ET.fromstring(package.read(f"xl/{part}")).iter(name or None)  # noqa: S314 - what the API wrote


def _cells(row: ET.Element, line: int) -> list[str]:
    cells: list[str] = []
    assert row.attrib["r"] == str(line)
    for cell in row:
        assert (cell.attrib["t"], cell.attrib["s"]) == ("inlineStr", "1")
        place = re.fullmatch(rf"([A-Z]){line}", cell.attrib["r"])
        assert place is not None
        cells += [""] * (ord(place[1]) - ord("A") - len(cells))
        cells.append("".join(cell.itertext()))
    return cells
