"""What a file is, found in its content alone: neither its name nor what its sender says counts.

puremagic names the family; containers are looked into, since one signature stands for many kinds of file. What is not
on the list is refused: pages, pictures that can hold scripts, programs, scripts, documents with macros.
"""

import csv
import io
import mmap
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import IO

import msgspec
import puremagic

from core.media.tables import MediaKind

HEAD_BYTES = 16_384
OPUS = "audio/ogg; codecs=opus"
DIRECTORY_BYTES = 2**20
"""Longest list of contents of a ZIP file that is read: some ten thousand entries."""

_END_OF_ZIP = b"PK\x05\x06"
_END_OF_ZIP_BYTES = 22 + 65_535
_PROGRAM = re.compile(
    r"\.(apk|app|bat|cmd|com|cpl|dll|exe|hta|jar|jse?|lnk|msi|ps1|reg|scr|sh|vbe|vbs|wsf)\Z|vbaproject\.bin\Z"
)
"""Names of programs and macros within archives and office files."""
_OPEN_DOCUMENTS = {
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "application/vnd.oasis.opendocument.presentation": "odp",
}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_OFFICE_PARTS = {
    "word/document.xml": (f"{_OFFICE}wordprocessingml.document", "docx"),
    "xl/workbook.xml": (f"{_OFFICE}spreadsheetml.sheet", "xlsx"),
    "ppt/presentation.xml": (f"{_OFFICE}presentationml.presentation", "pptx"),
}
# Names of streams in the old Office files, as they stand in their directories (MS-CFB: UTF-16).
_OLD_OFFICE = (
    ("WordDocument", "application/msword", "doc"),
    ("Workbook", "application/vnd.ms-excel", "xls"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint", "ppt"),
)
_AUDIO_BRANDS = {b"M4A ", b"M4B "}
_VIDEO_BRANDS = {b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash"}
_ACTIVE_TEXT = re.compile(
    r"\A\s*(#!|@echo\b|<\?|<%)|<(!doctype|html|svg|script|body|iframe|head|object|embed|math)\b", re.IGNORECASE
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_DELIMITERS = ";,\t"
_TABLE_LINES = 20


class FileType(msgspec.Struct, frozen=True):
    """A type of file that can be sent."""

    kind: MediaKind
    content_type: str
    extension: str


class UnknownFileError(Exception):
    """The content is nothing that can be sent."""


_BY_EXTENSION = {
    ".jpg": FileType(MediaKind.IMAGE, "image/jpeg", "jpg"),
    ".png": FileType(MediaKind.IMAGE, "image/png", "png"),
    ".webp": FileType(MediaKind.IMAGE, "image/webp", "webp"),
    ".pdf": FileType(MediaKind.DOCUMENT, "application/pdf", "pdf"),
    ".rtf": FileType(MediaKind.DOCUMENT, "application/rtf", "rtf"),
    ".mp3": FileType(MediaKind.AUDIO, "audio/mpeg", "mp3"),
    ".mpga": FileType(MediaKind.AUDIO, "audio/mpeg", "mp3"),
    ".aac": FileType(MediaKind.AUDIO, "audio/aac", "aac"),
    ".amr": FileType(MediaKind.AUDIO, "audio/amr", "amr"),
    ".flac": FileType(MediaKind.AUDIO, "audio/flac", "flac"),
    ".wav": FileType(MediaKind.AUDIO, "audio/wav", "wav"),
}
ACCEPTED = "JPEG, PNG, WebP, OGG, MP3, M4A, AAC, AMR, WAV, FLAC, MP4, PDF, Office, OpenDocument, RTF, TXT, CSV, ZIP"


def fits(kind: int, wanted: int) -> bool:
    """Whether a file of ``kind`` can be sent as a message of type ``wanted``: anything can be a document."""
    return wanted in {kind, MediaKind.DOCUMENT}


def kind_of_head(head: bytes) -> MediaKind | None:
    """Guess the kind by the first bytes, as far as they tell; to stop early what is too large for its kind."""
    try:
        return _by_signature(head).kind
    except UnknownFileError:
        return None


def detect(file: IO[bytes]) -> FileType:
    """Find the type of a whole file on disk; its position afterwards is not defined.

    Raises:
        UnknownFileError: It is of no type that can be sent.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return _zip(file)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _old_office(file)
    if not head.startswith((b"%PDF-", b"{\\rtf")):
        text = _text(file)
        if text is not None:
            return text
    return _by_signature(head)


def _by_signature(head: bytes) -> FileType:
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head.startswith(b"OggS"):
        return _ogg(head)
    if head.startswith(b"ID3"):
        # A tag before the sound (id3.org); puremagic takes version 2.3 of it for a ringtone.
        return _BY_EXTENSION[".mp3"]
    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        raise UnknownFileError from None
    best = {match.extension for match in found if match.confidence == found[0].confidence}
    for extension, known in _BY_EXTENSION.items():
        if extension in best:
            return known
    raise UnknownFileError


def _ogg(head: bytes) -> FileType:
    """Look at the first packet: Opus is what WhatsApp plays as a voice message (RFC 7845), Vorbis must be converted."""
    if b"OpusHead" in head[:64]:
        return FileType(MediaKind.AUDIO, OPUS, "ogg")
    if b"\x01vorbis" in head[:64]:
        return FileType(MediaKind.AUDIO, "audio/ogg", "ogg")
    raise UnknownFileError


def _iso_media(head: bytes) -> FileType:
    """Look at the brand (ISO 14496-12): QuickTime, HEIC and 3GP share the container and play nowhere."""
    brand = head[8:12]
    if brand in _AUDIO_BRANDS:
        return FileType(MediaKind.AUDIO, "audio/mp4", "m4a")
    if brand in _VIDEO_BRANDS:
        return FileType(MediaKind.VIDEO, "video/mp4", "mp4")
    raise UnknownFileError


def _zip(file: IO[bytes]) -> FileType:
    _ensure_short_directory(file)
    try:
        with zipfile.ZipFile(file) as archive:
            names = {name.lower() for name in archive.namelist()}
            declared = b""
            if "mimetype" in names:
                with archive.open("mimetype") as entry:
                    declared = entry.read(100)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, KeyError, EOFError, ValueError):
        raise UnknownFileError from None
    if any(_PROGRAM.search(name) for name in names):
        raise UnknownFileError
    if "androidmanifest.xml" in names or "meta-inf/manifest.mf" in names:
        raise UnknownFileError
    if "[content_types].xml" in names:
        for part, (content_type, extension) in _OFFICE_PARTS.items():
            if part in names:
                return FileType(MediaKind.DOCUMENT, content_type, extension)
    open_document = declared.decode("ascii", "replace").strip()
    if open_document in _OPEN_DOCUMENTS:
        return FileType(MediaKind.DOCUMENT, open_document, _OPEN_DOCUMENTS[open_document])
    return FileType(MediaKind.DOCUMENT, "application/zip", "zip")


def _ensure_short_directory(file: IO[bytes]) -> None:
    """Refuse an archive whose list of contents alone would fill the memory."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END_OF_ZIP_BYTES))
    tail = file.read()
    at = tail.rfind(_END_OF_ZIP)
    if at < 0 or len(tail) < at + 22 or struct.unpack_from("<I", tail, at + 12)[0] > DIRECTORY_BYTES:
        raise UnknownFileError


def _old_office(file: IO[bytes]) -> FileType:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for name, content_type, extension in _OLD_OFFICE:
            if content.find(name.encode("utf-16-le")) >= 0:
                return FileType(MediaKind.DOCUMENT, content_type, extension)
    # Installers have the same container.
    raise UnknownFileError


def _text(file: IO[bytes]) -> FileType | None:
    """Return plain text or a table in UTF-8, ``None`` for what is no text; pages and scripts are refused."""
    file.seek(0)
    reader = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        first = reader.read(HEAD_BYTES)
        part = first
        while part:
            if _CONTROLS.search(part):
                return None
            if _ACTIVE_TEXT.search(part if part is first else f"-{part}"):
                raise UnknownFileError
            part = reader.read(HEAD_BYTES)
    except UnicodeDecodeError:
        return None
    finally:
        reader.detach()
    if not first:
        raise UnknownFileError
    if any(_is_table(first, delimiter) for delimiter in _DELIMITERS):
        return FileType(MediaKind.DOCUMENT, "text/csv", "csv")
    return FileType(MediaKind.DOCUMENT, "text/plain", "txt")


def _is_table(text: str, delimiter: str) -> bool:
    """Whether the first lines have the same number of cells, more than one."""
    lengths = list(_lengths(text, delimiter))
    return len(lengths) > 1 and lengths[0] > 1 and len(set(lengths)) == 1


def _lengths(text: str, delimiter: str) -> Iterator[int]:
    lines = text.splitlines(keepends=True)
    if len(text) >= HEAD_BYTES:
        lines.pop()  # it may be cut
    try:
        for place, row in enumerate(csv.reader(lines, delimiter=delimiter, strict=True)):
            if place == _TABLE_LINES:
                return
            yield len(row)
    except csv.Error:
        yield 0
