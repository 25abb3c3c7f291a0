"""What an uploaded file is, told by its first bytes: text, a workbook, or what cannot hold contacts, by its name."""

import struct
from pathlib import Path
from typing import Literal

import puremagic

from core.texts import Text, text

HEAD_BYTES = 4096
"""Of these the verdict is made, before more of the file is taken."""

FileKind = Literal["text", "workbook"]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")
# Formats that begin with text, and what others call them.
_TEXTUAL = (
    (b"%pdf-", "PDF"),
    (b"{\\rtf", "RTF"),
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<table", "HTML"),
    (b"<?xml", "XML"),
    (b"begin:vcard", "vCard"),
)
_USUAL_NAMES = {"JFIF": "JPEG", "JPG": "JPEG", "TIF": "TIFF", "GZ": "GZIP"}
_CONTROLS = frozenset([*range(1, 9), *range(14, 27), 127])
# [MS-CFB] 2.2 and 2.6: where the directory begins, and how its names are written.
_SECTOR_SHIFT, _DIRECTORY_START = 30, 48
_DIRECTORY_BYTES = 4096
_ENTRIES = (("EncryptedPackage", ""), ("Workbook", "Excel 97-2003 (.xls)"), ("WordDocument", "Word 97-2003 (.doc)"))


class UnreadableFileError(ValueError):
    """The file holds no rows that can be read; ``str(error)`` says why."""


def kind_of_head(head: bytes) -> FileKind:
    """Say what a file is that begins with ``head``.

    A file in a ZIP container counts as a workbook until it is opened, an OLE one until ``refuse_compound`` says more.

    Raises:
        UnreadableFileError: It is neither; the reason names what it is.
    """
    if not head:
        raise UnreadableFileError(text("file_empty"))
    if head.startswith((*_ZIP, _COMPOUND)):
        return "workbook"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:16].lower()
    named = next((name for signature, name in _TEXTUAL if start.startswith(signature)), None)
    if named is not None:
        raise UnreadableFileError(not_a_table(named))
    if not head.startswith(_BYTE_ORDER_MARKS) and _CONTROLS.intersection(head):
        raise UnreadableFileError(_name(head))
    return "text"


def refuse_compound(path: Path) -> None:
    """Refuse an OLE file: a workbook under a password, or a document of Office before 2007 ([MS-CFB], [MS-OFFCRYPTO]).

    Raises:
        UnreadableFileError: It is one.
    """
    with path.open("rb") as stream:
        head = stream.read(512)
        if not head.startswith(_COMPOUND):
            return
        shift, start = (
            struct.unpack_from("<H", head, _SECTOR_SHIFT)[0],
            struct.unpack_from("<I", head, _DIRECTORY_START)[0],
        )
        stream.seek((start + 1) << min(shift, 12))
        directory = stream.read(_DIRECTORY_BYTES)
    for entry, name in _ENTRIES:
        if entry.encode("utf-16-le") in directory:
            raise UnreadableFileError(not_a_table(name) if name else text("file_locked"))
    raise UnreadableFileError(
        not_a_table("Excel 97-2003 (.xls)") if b"B\0o\0o\0k" in directory else text("file_binary")
    )


def not_a_table(name: str) -> Text:
    """Say that a file is of a format that is not read."""
    return text("file_kind_refused", kind=name)


def _name(head: bytes) -> Text:
    try:
        extension = puremagic.from_string(head)
    except (puremagic.PureError, ValueError):
        return text("file_binary")
    name = extension.lstrip(".").upper()
    return not_a_table(_USUAL_NAMES.get(name, name)) if name else text("file_binary")
