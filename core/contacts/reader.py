"""Reading delimited text files as people save them: encoding and delimiter are found out, rows come one by one."""

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.spreadsheets import unguarded
from core.texts import text

DELIMITERS = (";", ",", "\t", "|")
MAXIMUM_COLUMNS = 200
MAXIMUM_LINES_OF_ROW = 100
"""Lines a quoted cell may span; beyond them its quote was never closed."""

_SAMPLE_BYTES = 65_536
_SAMPLE_LINES = 50
_CHUNK_BYTES = 2**20
_EXCEL = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x7f]")
_SEPARATOR_LINE = re.compile(r"sep=(?P<delimiter>.)\s*", re.IGNORECASE)


class UnreadableFileError(ValueError):
    """The file is no delimited text; ``str(error)`` says why."""


class FileForm(msgspec.Struct, frozen=True):
    """How a file is written."""

    encoding: str
    delimiter: str
    separator_line: bool = False
    """Its first line is ``sep=;``, as spreadsheets write it for each other."""


class Record(msgspec.Struct, frozen=True):
    """One row: the line it starts on, its cells, and whether a quote in it was never closed."""

    line: int
    cells: list[str]
    broken: bool = False


def detect_form(path: Path) -> FileForm:
    """Find out how a file is written; raises ``UnreadableFileError``."""
    with path.open("rb") as stream:
        encoding = _detect_encoding(stream)
        stream.seek(0)
        sample = codecs.getincrementaldecoder(encoding)().decode(stream.read(_SAMPLE_BYTES))
    first = sample.split("\n", 1)[0].strip("\r")
    named = _SEPARATOR_LINE.fullmatch(first)
    if named is not None:
        return FileForm(encoding, named["delimiter"], separator_line=True)
    return FileForm(encoding, _detect_delimiter(sample.splitlines()[:_SAMPLE_LINES]))


def read_records(path: Path, form: FileForm) -> Iterator[Record]:
    """Yield the rows that have any text, in order; a row with an unclosed quote is ``broken`` and ends with its line.

    Lines end in LF, CRLF or CR; quoted cells may hold any of them.
    """
    with path.open(encoding=form.encoding, newline="") as stream:
        lines = iter(stream)
        if form.separator_line:
            next(lines, None)
        for record in _records(lines, form.delimiter, 2 if form.separator_line else 1):
            if record.broken or any(cell and not cell.isspace() for cell in record.cells):
                yield record


def _detect_encoding(stream: BinaryIO) -> str:
    head = stream.read(_SAMPLE_BYTES)
    if not head:
        raise UnreadableFileError(text("file_empty"))
    if head.startswith((_EXCEL, _OLD_EXCEL)):
        raise UnreadableFileError(text("file_excel"))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates: tuple[str, ...] = ("utf-16",)
    else:
        candidates = ("utf-8-sig", "cp1252")
        if _BINARY.search(head):
            raise UnreadableFileError(text("file_binary"))
    for encoding in candidates:
        if _decodes(stream, encoding):
            return encoding
    raise UnreadableFileError(text("file_encoding"))


def _decodes(stream: BinaryIO, encoding: str) -> bool:
    """Whether all of the stream is text in ``encoding``; NUL is in no text."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            if "\0" in decoder.decode(chunk):
                raise UnreadableFileError(text("file_binary"))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _detect_delimiter(lines: list[str]) -> str:
    """Return the delimiter that splits the first line into most columns, of those that split the others alike."""

    def score(delimiter: str) -> tuple[int, int]:
        rows = [record.cells for record in _records(iter([f"{line}\n" for line in lines]), delimiter, 1)]
        width = len(rows[0]) if rows else 0
        alike = sum(len(row) == width for row in rows) if width > 1 else 0
        return alike, width

    return max(DELIMITERS, key=score)


def _records(lines: Iterator[str], delimiter: str, number: int) -> Iterator[Record]:
    waiting: deque[str] = deque()
    while (line := waiting.popleft() if waiting else next(lines, None)) is not None:
        if '"' not in line:
            yield Record(number, line.rstrip("\r\n").split(delimiter))
            number += 1
            continue
        taken = [line]
        closed = not _opens_quote(line, delimiter)
        while not closed and len(taken) < MAXIMUM_LINES_OF_ROW:
            following = waiting.popleft() if waiting else next(lines, None)
            if following is None:
                break
            taken.append(following)
            closed = '"' in following and not _opens_quote("".join(taken), delimiter)
        cells = _parse("".join(taken), delimiter) if closed else None
        if cells is None:
            # The quote belongs to this line alone; those behind it are rows of their own.
            waiting.extendleft(reversed(taken[1:]))
            yield Record(number, [line.rstrip("\r\n")], broken=True)
            number += 1
        else:
            yield Record(number, cells)
            number += len(taken)


def _opens_quote(text: str, delimiter: str) -> bool:
    """Whether the row goes on after ``text`` because a quoted cell is still open."""
    if text.count('"') % 2 == 0:
        return False
    try:
        list(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _parse(text: str, delimiter: str) -> list[str] | None:
    try:
        rows = list(csv.reader([text.rstrip("\r\n")], delimiter=delimiter))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def plain_cell(cell: str) -> str:
    """Return the text of a cell without what spreadsheets and copies add around it."""
    text = cell.strip().strip("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\ufeff").strip()
    return unguarded(text)
