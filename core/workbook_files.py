"""Excel workbooks (.xlsx) written as a stream: no row and no byte of the file stays in memory or on disk.

Every cell is a text, so that Excel keeps plus signs and zeros and runs nothing. Facts: ECMA-376 part 1, 18.3.1.4 (cells
of inline texts), 18.8.30 (format 49 shows texts), 22.9.2.19 (``_xHHHH_`` in texts), and part 2 (packages).
"""

import asyncio
import csv
import io
import re
import zipfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import islice
from typing import IO, cast
from xml.sax.saxutils import escape

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAXIMUM_ROWS = 1_048_576
"""Of a sheet: Excel's own limit."""
MAXIMUM_SHEET_BYTES = 2**31 - 2**28
"""After so much, unpacked, a sheet gets no more rows: above 2 GiB it would be a part of ZIP64, which Excel refuses."""

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_FIXED = {
    # The sheets are what parts are by default: how many there will be is not known yet.
    "[Content_Types].xml": f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Default Extension="xml" ContentType="{_KIND}.worksheet+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{_KIND}.styles+xml"/></Types>',
    "_rels/.rels": f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/styles.xml": f'{_HEAD}<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill>'
    '</fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="2"><xf/><xf numFmtId="49" applyNumberFormat="1"/></cellXfs></styleSheet>',
}
_SHEET_START = f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetData>'
_SHEET_END = "</sheetData></worksheet>"
# What XML cannot hold, a carriage return that its readers would change, and what reads like an escape.
_TO_ESCAPE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_LETTERS = 26
_ROWS_AT_ONCE = 1000


async def write_workbook(
    title: str, headers: Sequence[str], portions: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Yield a workbook of the rows that come in portions of CSV (UTF-8, LF); each holds whole rows.

    The sheet is called ``title``; what it cannot hold goes on in ``title 2``, below the same headers.
    """
    book = _Book(title, headers)
    writing: asyncio.Future[bytes] | None = None
    try:
        # An abandoned download must not go on reading.
        async with aclosing(portions):
            async for portion in portions:
                # A million rows take many seconds, in which others want answers.
                writing = asyncio.ensure_future(asyncio.to_thread(book.add, portion))
                yield await asyncio.shield(writing)
        yield book.finish()
    finally:
        if writing is not None:
            # A thread goes on whatever happens to those who wait for it.
            await asyncio.wait([writing])
        book.close()


def column_letters(place: int) -> str:
    """Return what Excel calls the column at ``place``, from 0: A to Z, then AA."""
    letters = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, _LETTERS)
        letters = chr(ord("A") + letter) + letters
    return letters


class _Written:
    """A file without places: zipfile writes behind each part what it found out about it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        """Keep a piece until it is taken."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: there is nothing behind it."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


class _Book:
    """A workbook that is being written."""

    def __init__(self, title: str, headers: Sequence[str]) -> None:
        self._title = title
        self._headers = headers
        self._letters = [column_letters(place) for place in range(len(headers))]
        self._written = _Written()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._written), "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        for name, content in _FIXED.items():
            self._zip.writestr(name, content)
        self._sheets = 0
        self._open_sheet()

    def add(self, portion: bytes) -> bytes:
        """Write rows of CSV; return what of the file is ready."""
        rows = csv.reader(io.StringIO(_escape(portion.decode()), newline=""))
        while part := list(islice(rows, _ROWS_AT_ONCE)):
            while part:
                room = MAXIMUM_ROWS - self._row
                if room <= 0 or self._bytes > MAXIMUM_SHEET_BYTES:
                    self._close_sheet()
                    self._open_sheet()
                    continue
                self._put(self._rows(part[:room]))
                self._row += len(part[:room])
                part = part[room:]
        return self._written.take()

    def finish(self) -> bytes:
        """Write what names the sheets; return the rest of the file."""
        self._close_sheet()
        places = range(1, self._sheets + 1)
        names = [escape(self._title if place == 1 else f"{self._title} {place}") for place in places]
        sheets = "".join(f'<sheet name="{names[place - 1]}" sheetId="{place}" r:id="rId{place}"/>' for place in places)
        related = "".join(
            f'<Relationship Id="rId{place}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{place}.xml"/>'
            for place in places
        )
        self._zip.writestr(
            "xl/workbook.xml",
            f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{sheets}</sheets></workbook>',
        )
        self._zip.writestr(
            "xl/_rels/workbook.xml.rels",
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{related}'
            f'<Relationship Id="styles" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
        )
        self._zip.close()
        return self._written.take()

    def close(self) -> None:
        """Let go of a file that nobody wants any more, or that is finished."""
        self._sheet.close()
        self._zip.close()

    def _open_sheet(self) -> None:
        self._sheets += 1
        self._row = self._bytes = 0
        self._sheet = self._zip.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        self._put(_SHEET_START.encode() + self._rows([[_escape(header) for header in self._headers]]))
        self._row = 1

    def _close_sheet(self) -> None:
        self._put(_SHEET_END.encode())
        self._sheet.close()

    def _put(self, written: bytes) -> None:
        self._bytes += len(written)
        self._sheet.write(written)

    def _rows(self, rows: Sequence[Sequence[str]]) -> bytes:
        """Return rows of escaped cells below those that are there."""
        written = []
        for line, row in enumerate(rows, self._row + 1):
            cells = "".join(
                [
                    f'<c r="{letters}{line}" s="1" t="inlineStr"><is><t xml:space="preserve">{cell}</t></is></c>'
                    for letters, cell in zip(self._letters, row, strict=True)
                    if cell
                ]
            )
            written.append(f'<row r="{line}">{cells}</row>')
        return "".join(written).encode()


def _escape(text: str) -> str:
    """Escape what a cell cannot hold as it is; CSV stays CSV."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _TO_ESCAPE.sub(lambda found: f"_x{ord(found[0]):04X}_", plain)
