"""Which encoding a text file is in, found from its bytes; whole files are looked at, a part of them at a time."""

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from core.contacts.importing.file_kinds import UnreadableFileError
from core.texts import text

Encoding = Literal["utf-8", "utf-16le", "utf-16be", "windows-1252", "macintosh", "ibm850"]

CODECS: Mapping[Encoding, str] = {
    "utf-8": "utf-8-sig",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    "windows-1252": "cp1252",
    "macintosh": "mac_roman",
    "ibm850": "cp850",
}
"""Encodings a file may be in, by their names at IANA, and Python's codecs for them."""

MAXIMUM_LINE_BYTES = 2**20

_CHUNK_BYTES = 2**20
_SAMPLE_BYTES = 4096
_ASCII = bytes(range(128))
_LETTERS = "áéíóúâêôãõàçñüÁÉÍÓÚÂÊÔÃÕÀÇÑÜ"
"""The letters beside ASCII that names and places in Portuguese and Spanish have."""
_MARKS = "ºª°€¿¡\u2018\u2019\u201c\u201d\u2013\u2014\u00b4"
_HIGH = re.compile(rb"(?:([A-Z]{2})|([a-z]))?([\x80-\xff])")
# One capital says nothing: the letter behind it is a small one in names.
_LOWER_CASE, _ANY_CASE, _UPPER_CASE = -1, 0, 1
_SAMPLE_LETTERS = 50_000
# Of the bytes at one parity of UTF-16 text in these languages nearly all are NUL, at the other none.
_MOSTLY, _HARDLY = 0.5, 0.01


class _Survey(msgspec.Struct):
    """What is known of a file's bytes once all were seen."""

    utf8: bool = True
    nul: bool = False
    high: Counter[int] = msgspec.field(default_factory=Counter)
    """How often each byte beyond ASCII is there."""
    sample: Counter[tuple[int, int]] = msgspec.field(default_factory=Counter)
    """The first of them, each with the case of the letters before it."""
    carriage_returns: int = 0
    line_feeds: int = 0


def codec_name(encoding: str) -> Encoding:
    """Return the IANA name of a codec that a file was found to be in."""
    # A file that was uploaded before byte orders were told apart.
    plain = "utf-16-le" if encoding == "utf-16" else encoding
    return next(name for name, codec in CODECS.items() if codec == plain)


def detect_encoding(path: Path) -> str:
    """Return the codec a text file is in.

    It is UTF-8 or UTF-16, with or without a byte order mark, else Windows-1252, Mac OS Roman or IBM 850: whichever
    makes most of the letters of Portuguese and Spanish.

    Raises:
        UnreadableFileError: It is no text, in none of these, or has a line longer than ``MAXIMUM_LINE_BYTES``.
    """
    with path.open("rb") as stream:
        head = stream.read(_SAMPLE_BYTES)
    if not head:
        raise UnreadableFileError(text("file_empty"))
    wide = _detect_utf16(head)
    survey = _look_through(path, utf8=wide is None)
    if wide is not None:
        if not decodes(path, wide):
            raise UnreadableFileError(text("file_encoding"))
        return wide
    if survey.nul:
        raise UnreadableFileError(text("file_binary"))
    return "utf-8-sig" if survey.utf8 else _detect_single_byte(survey)


def ensure_text(path: Path) -> None:
    """Refuse a file that no encoding makes a table of, such as one with a line that has no end.

    Raises:
        UnreadableFileError: It is one.
    """
    _look_through(path, utf8=False)


def decodes(path: Path, codec: str) -> bool:
    """Whether all of a file is text in ``codec``.

    Raises:
        UnreadableFileError: There are NUL characters in it, which no text has.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                if "\0" in decoder.decode(chunk):
                    raise UnreadableFileError(text("file_binary"))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _detect_utf16(head: bytes) -> str | None:
    if head.startswith(codecs.BOM_UTF16_LE):
        return "utf-16-le"
    if head.startswith(codecs.BOM_UTF16_BE):
        return "utf-16-be"
    even, odd = head[0::2], head[1::2]
    if not odd:
        return None
    even_nuls, odd_nuls = even.count(0) / len(even), odd.count(0) / len(odd)
    if odd_nuls > _MOSTLY and even_nuls < _HARDLY:
        return "utf-16-le"
    if even_nuls > _MOSTLY and odd_nuls < _HARDLY:
        return "utf-16-be"
    return None


def _look_through(path: Path, *, utf8: bool) -> _Survey:
    survey = _Survey(utf8=utf8)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    open_bytes, line = 0, 1
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            first, last = _first_end(chunk), max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
            open_bytes += len(chunk) if first < 0 else first
            if open_bytes > MAXIMUM_LINE_BYTES:
                raise UnreadableFileError(text("file_line", line=line, value=MAXIMUM_LINE_BYTES // 2**10))
            if last >= 0:
                open_bytes = len(chunk) - last - 1
            line += chunk.count(b"\n") or chunk.count(b"\r")
            survey.nul = survey.nul or b"\0" in chunk
            survey.carriage_returns += chunk.count(b"\r")
            survey.line_feeds += chunk.count(b"\n")
            survey.high.update(chunk.translate(None, _ASCII))
            if survey.sample.total() < _SAMPLE_LETTERS:
                survey.sample.update(islice(_in_context(chunk), _SAMPLE_LETTERS))
            survey.utf8 = survey.utf8 and _goes_on(decoder, chunk)
    survey.utf8 = survey.utf8 and _goes_on(decoder, b"", final=True)
    return survey


def _first_end(chunk: bytes) -> int:
    ends = [place for place in (chunk.find(b"\n"), chunk.find(b"\r")) if place >= 0]
    return min(ends, default=-1)


def _goes_on(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _detect_single_byte(survey: _Survey) -> str:
    """Return the codec in which the bytes beyond ASCII read best; of two that are as good the earlier one."""
    scores = {codec: _plausible(survey, codec) for codec in ("cp1252", "mac_roman", "cp850")}
    if survey.carriage_returns and not survey.line_feeds:
        # Lines that end in CR alone come from the spreadsheet program of old Macintoshes: they decide a tie.
        scores["mac_roman"] += 1
    best = max(scores, key=lambda codec: scores[codec])
    if scores[best] > 0:
        return best
    if _decodes_all(survey.high, "cp1252"):
        return "cp1252"
    raise UnreadableFileError(text("file_encoding"))


def _plausible(survey: _Survey, codec: str) -> float:
    """Say how well bytes read in a codec: letters of these languages, in the case of those before, count for it."""
    if not _decodes_all(survey.high, codec):
        return -math.inf
    score = 0
    for (before, byte), count in survey.sample.items():
        char = bytes([byte]).decode(codec)
        if char in _MARKS:
            score += count
        elif char not in _LETTERS:
            score -= 0 if char.isspace() else 2 * count
        elif before == _ANY_CASE:
            score += count
        else:
            score += 2 * count if char.isupper() == (before == _UPPER_CASE) else -count
    return score


def _decodes_all(high: Counter[int], codec: str) -> bool:
    try:
        bytes(high).decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def _in_context(chunk: bytes) -> Iterator[tuple[int, int]]:
    """Yield each byte beyond ASCII with the case of the letters before it."""
    for found in _HIGH.finditer(chunk):
        before = _UPPER_CASE if found[1] else _LOWER_CASE if found[2] else _ANY_CASE
        yield before, found[3][0]
