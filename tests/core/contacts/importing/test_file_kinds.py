"""What a file is, by its first bytes."""

import pytest

from core.contacts.importing.file_kinds import UnreadableFileError, kind_of_head

SEND = "send a CSV file or an Excel workbook (.xlsx)."


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"nome;telefone\n", "text"),
        ("\ufeffnome;telefone".encode(), "text"),
        ("\ufeffnome;telefone".encode("utf-16-le"), "text"),
        ("\ufeffnome;telefone".encode("utf-16-be"), "text"),
        ("nome;telefone".encode("utf-16-le"), "text"),
        (b"\t\r\n\x0c", "text"),
        (b"PK\x03\x04", "workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook"),
    ],
)
def test_text_and_workbooks_are_read(head: bytes, kind: str) -> None:
    assert kind_of_head(head) == kind


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (b"%PDF-1.4", "PDF"),
        (b"\r\n  <!DOCTYPE HTML>", "HTML"),
        ("\ufeff<TABLE border=1>".encode(), "HTML"),
        (b'<?xml version="1.0"?>', "XML"),
        (b"{\\rtf1", "RTF"),
        (b"BEGIN:VCARD\n", "vCard"),
        (b"GIF89a\x01\x00\x01\x00", "GIF"),
        (b"\x1f\x8b\x08\x00\x00\x00", "GZIP"),
    ],
)
def test_other_formats_are_named(head: bytes, found: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        kind_of_head(head)

    assert str(caught.value) == f"This is {found}: {SEND}"


def test_bytes_that_no_text_has_are_no_text() -> None:
    with pytest.raises(UnreadableFileError) as caught:
        kind_of_head(b"a\x01\x02\x03\x04\x05")

    assert str(caught.value) == f"This is no text file: {SEND}"
