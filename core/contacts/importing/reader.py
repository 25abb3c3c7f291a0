"""Reading the rows of files as people save them: encoding and delimiter are found out, rows come in batches.

A workbook is turned into plain text when it arrives (``core.contacts.importing.workbooks``), so that here all files
are text.
"""

import codecs
import csv
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from core.contacts.importing.encodings import Encoding, codec_name, detect_encoding
from core.spreadsheets import unguarded

DELIMITERS = (";", ",", "\t", "|")
MAXIMUM_COLUMNS = 200
MAXIMUM_LINES_OF_ROW = 100
"""Lines a quoted cell may span; beyond them its quote was never closed."""
MAXIMUM_ROW_CHARACTERS = 2**20

CELL_END, LINE_BREAK = "\x1f", "\x1e"
"""What stands between the cells of a workbook's row, and for a line break inside one; no workbook can hold them."""

_SAMPLE_BYTES = 65_536
_SAMPLE_LINES = 50
_BLOCK_CHARACTERS = 2**17
_SEPARATOR_LINE = re.compile(r"\"?sep=(?P<delimiter>[^\w\s\"']|\t)\"?\s*", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_AS_TEXT = re.compile(r'="(?P<text>[^"]*)"')
_DIRECTION_MARKS = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"


class FileForm(msgspec.Struct, frozen=True):
    """How a file is written."""

    encoding: str
    delimiter: str
    separator_line: bool = False
    """Its first line is ``sep=;``, as spreadsheets write it for each other."""
    sheet: str = ""
    """The sheet of a workbook that was read; empty for a text file."""
    sheets: list[str] = []
    """All visible sheets of the workbook."""

    @property
    def workbook(self) -> bool:
        """Whether it came as a workbook: its cells hold no quotes that mean something."""
        return self.delimiter == CELL_END

    @property
    def iana(self) -> Encoding:
        """The name of its encoding."""
        return codec_name(self.encoding)


class Record(msgspec.Struct, frozen=True):
    """One row: the line it starts on, its cells, and whether a quote in it was never closed."""

    line: int
    cells: list[str]
    broken: bool = False


class Batch(msgspec.Struct, frozen=True):
    """Rows that follow each other: the line each starts on, the cells of each, and which have an unclosed quote."""

    lines: Sequence[int]
    rows: list[list[str]]
    broken: frozenset[int] = frozenset()
    """Places in ``rows``."""


def detect_form(path: Path, encoding: str | None = None, delimiter: str | None = None) -> FileForm:
    """Find out how a text file is written, as far as that is not told; raises ``UnreadableFileError``.

    ``encoding`` is one of Python's codecs; that the file decodes in it is for the caller to know.
    """
    codec = detect_encoding(path) if encoding is None else encoding
    with path.open("rb") as stream:
        sample = codecs.getincrementaldecoder(codec)().decode(stream.read(_SAMPLE_BYTES)).removeprefix("\ufeff")
    lines = _LINE_END.split(sample)[:_SAMPLE_LINES]
    named = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if named is not None:
        return FileForm(codec, delimiter or named["delimiter"], separator_line=True)
    return FileForm(codec, delimiter or _detect_delimiter(lines))


def read_records(path: Path, form: FileForm) -> Iterator[Record]:
    """Yield the rows of ``read_batches`` one by one."""
    for batch in read_batches(path, form):
        for place, (line, cells) in enumerate(zip(batch.lines, batch.rows, strict=True)):
            yield Record(line, cells, place in batch.broken)


def read_batches(path: Path, form: FileForm) -> Iterator[Batch]:
    """Yield the rows that have any text, in order; a row with an unclosed quote is broken and ends with its line.

    Lines end in LF, CRLF or CR; quoted cells may hold any of them, which become LF. However many rows there are, one
    block of text is held at a time.
    """
    with path.open(encoding=form.encoding, newline="\n" if form.workbook else None) as stream:
        number = 1
        if form.separator_line:
            stream.readline()
            number = 2
        while block := stream.read(_BLOCK_CHARACTERS):
            block += stream.readline()
            if number == 1:
                block = block.removeprefix("\ufeff")
            lines = block.split("\n")
            if not lines[-1]:
                lines.pop()
            rows = _split(block, lines, form)
            if rows is None:
                waiting = deque(lines)
                records = list(_read_carefully(waiting, stream.readline, form.delimiter, number))
                number = records.pop().line
                yield _batch_of(records)
            else:
                yield _without_empty(rows, number)
                number += len(lines)


def _split(block: str, lines: list[str], form: FileForm) -> list[list[str]] | None:
    """Split lines into cells, ``None`` where a quote may reach over several or is not closed."""
    delimiter = form.delimiter
    if form.workbook:
        rows = [line.split(delimiter) for line in lines]
        if LINE_BREAK in block:
            rows = [[cell.replace(LINE_BREAK, "\n") for cell in row] for row in rows]
        return rows
    if '"' not in block:
        return [line.split(delimiter) for line in lines]
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    return rows if len(rows) == len(lines) else None


def _without_empty(rows: list[list[str]], number: int) -> Batch:
    empty = [place for place, row in enumerate(rows) if (not row or not row[0] or row[0].isspace()) and _is_empty(row)]
    if not empty:
        return Batch(range(number, number + len(rows)), rows)
    gone = set(empty)
    kept = [place for place in range(len(rows)) if place not in gone]
    return Batch([number + place for place in kept], [rows[place] for place in kept])


def _is_empty(cells: Sequence[str]) -> bool:
    return not any(cell and not cell.isspace() for cell in cells)


def _batch_of(records: list[Record]) -> Batch:
    kept = [record for record in records if record.broken or not _is_empty(record.cells)]
    broken = frozenset(place for place, record in enumerate(kept) if record.broken)
    return Batch([record.line for record in kept], [record.cells for record in kept], broken)


def _detect_delimiter(lines: list[str]) -> str:
    """Return the delimiter that splits most lines into the same number of columns, more than one."""

    def score(delimiter: str) -> tuple[int, int]:
        records = list(_read_carefully(deque(lines), lambda: "", delimiter, 1))
        widths = Counter(len(record.cells) for record in records[:-1] if any(record.cells) or len(record.cells) > 1)
        ((width, alike),) = widths.most_common(1) or ((0, 0),)
        return (alike, width) if width > 1 else (0, width)

    return max(DELIMITERS, key=score)


def _read_carefully(waiting: deque[str], read_line: Callable[[], str], delimiter: str, number: int) -> Iterator[Record]:
    """Yield the rows of the lines that wait, reading on where a cell is still open at their end.

    The last record has no cells; its line is the one at which the next block begins.
    """
    while waiting:
        line = waiting.popleft()
        if '"' not in line:
            yield Record(number, line.split(delimiter))
            number += 1
            continue
        taken, size = [line], len(line)
        closed = not _opens_quote(line, delimiter)
        while not closed and len(taken) < MAXIMUM_LINES_OF_ROW and size < MAXIMUM_ROW_CHARACTERS:
            if not waiting:
                read = read_line()
                if not read:
                    break
                waiting.append(read.removesuffix("\n"))
            following = waiting.popleft()
            taken.append(following)
            size += len(following)
            closed = '"' in following and not _opens_quote("\n".join(taken), delimiter)
        cells = _parse("\n".join(taken), delimiter) if closed else None
        if cells is None:
            # The quote belongs to this line alone; those behind it are rows of their own.
            waiting.extendleft(reversed(taken[1:]))
            yield Record(number, [line], broken=True)
            number += 1
        else:
            yield Record(number, cells)
            number += len(taken)
    yield Record(number, [])


def _opens_quote(row: str, delimiter: str) -> bool:
    """Whether the row goes on after ``row`` because a quoted cell is still open."""
    if row.count('"') % 2 == 0:
        return False
    try:
        list(csv.reader([row], delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _parse(row: str, delimiter: str) -> list[str] | None:
    try:
        rows = list(csv.reader([row], delimiter=delimiter))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def plain_cell(cell: str) -> str:
    """Return the text of a cell without what spreadsheets and copies add around it.

    That is white space, marks of direction, the apostrophe before a formula, and the formula ``="..."`` that keeps
    a spreadsheet from taking a text for a number.
    """
    plain = cell.strip().strip(_DIRECTION_MARKS).strip()
    as_text = _AS_TEXT.fullmatch(plain)
    if as_text is not None:
        return as_text["text"].strip()
    return unguarded(plain)
