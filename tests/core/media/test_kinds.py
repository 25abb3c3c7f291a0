import io
import tempfile
import wave
import zipfile

import pytest

from core.media.kinds import DIRECTORY_BYTES, HEAD_BYTES, FileType, UnknownFileError, detect, fits, kind_of_head
from core.media.tables import MediaKind

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + bytes(50) + bytes.fromhex("ffd9")
JPEG_OF_A_CAMERA = bytes.fromhex("ffd8ffe1001045786966000049492a00") + bytes(50)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(30)
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(20)
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
MP3 = b"\xff\xfb\x90\x64" + bytes(400)
OPUS_VOICE = b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01" + bytes(20)
VORBIS = b"OggS\x00\x02" + bytes(20) + b"\x01\x1e\x01vorbis" + bytes(20)
THEORA = b"OggS\x00\x02" + bytes(20) + b"\x01\x1e\x80theora" + bytes(20)
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
OFFICE = "application/vnd.openxmlformats-officedocument"


def _detect(content: bytes) -> FileType:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return detect(file)


def _iso(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x00\x00" + brand + bytes(30)


def _zip(*names: str, declared: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        if declared:
            archive.writestr("mimetype", declared)
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


def _wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(200))
    return buffer.getvalue()


class TestDetect:
    @pytest.mark.parametrize(
        ("content", "kind", "content_type", "extension"),
        [
            (JPEG, MediaKind.IMAGE, "image/jpeg", "jpg"),
            (JPEG_OF_A_CAMERA, MediaKind.IMAGE, "image/jpeg", "jpg"),
            (PNG, MediaKind.IMAGE, "image/png", "png"),
            (WEBP, MediaKind.IMAGE, "image/webp", "webp"),
            (MP3, MediaKind.AUDIO, "audio/mpeg", "mp3"),
            (b"ID3\x03\x00\x00\x00\x00\x00\x00" + MP3, MediaKind.AUDIO, "audio/mpeg", "mp3"),
            (b"ID3\x04\x00\x00\x00\x00\x00\x00" + MP3, MediaKind.AUDIO, "audio/mpeg", "mp3"),
            (b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(50), MediaKind.AUDIO, "audio/aac", "aac"),
            (b"#!AMR\n" + b"\x3c" * 40 + b"\x00\x80", MediaKind.AUDIO, "audio/amr", "amr"),
            (b"fLaC\x00\x00\x00\x22" + bytes(34), MediaKind.AUDIO, "audio/flac", "flac"),
            (_wav(), MediaKind.AUDIO, "audio/wav", "wav"),
            (OPUS_VOICE, MediaKind.AUDIO, "audio/ogg; codecs=opus", "ogg"),
            (VORBIS, MediaKind.AUDIO, "audio/ogg", "ogg"),
            (_iso(b"M4A "), MediaKind.AUDIO, "audio/mp4", "m4a"),
            (_iso(b"mp42"), MediaKind.VIDEO, "video/mp4", "mp4"),
            (_iso(b"isom"), MediaKind.VIDEO, "video/mp4", "mp4"),
            (PDF, MediaKind.DOCUMENT, "application/pdf", "pdf"),
            (b"{\\rtf1\\ansi hello}", MediaKind.DOCUMENT, "application/rtf", "rtf"),
            (_zip("photos/1.jpg"), MediaKind.DOCUMENT, "application/zip", "zip"),
            ("Olá".encode(), MediaKind.DOCUMENT, "text/plain", "txt"),
            (b"name;number\nAna;5511\n", MediaKind.DOCUMENT, "text/csv", "csv"),
            (b"\xef\xbb\xbfa,b\n1,2\n", MediaKind.DOCUMENT, "text/csv", "csv"),
            (b"a sentence, and another\n", MediaKind.DOCUMENT, "text/plain", "txt"),
        ],
    )
    def test_by_content(self, content: bytes, kind: MediaKind, content_type: str, extension: str) -> None:
        assert _detect(content) == FileType(kind, content_type, extension)

    @pytest.mark.parametrize(
        ("content", "content_type", "extension"),
        [
            (_zip("[Content_Types].xml", "word/document.xml"), f"{OFFICE}.wordprocessingml.document", "docx"),
            (_zip("[Content_Types].xml", "xl/workbook.xml"), f"{OFFICE}.spreadsheetml.sheet", "xlsx"),
            (_zip("[Content_Types].xml", "ppt/presentation.xml"), f"{OFFICE}.presentationml.presentation", "pptx"),
            (
                _zip(declared="application/vnd.oasis.opendocument.text"),
                "application/vnd.oasis.opendocument.text",
                "odt",
            ),
            (
                _zip(declared="application/vnd.oasis.opendocument.spreadsheet"),
                "application/vnd.oasis.opendocument.spreadsheet",
                "ods",
            ),
            (OLD_OFFICE + "WordDocument".encode("utf-16-le"), "application/msword", "doc"),
            (OLD_OFFICE + "Workbook".encode("utf-16-le"), "application/vnd.ms-excel", "xls"),
            (OLD_OFFICE + "PowerPoint Document".encode("utf-16-le"), "application/vnd.ms-powerpoint", "ppt"),
        ],
    )
    def test_office_by_what_is_inside(self, content: bytes, content_type: str, extension: str) -> None:
        assert _detect(content) == FileType(MediaKind.DOCUMENT, content_type, extension)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\x7fELF\x02\x01\x01" + bytes(60),
            b"MZ\x90\x00" + bytes(80),
            b"#!/bin/sh\necho",
            b"<!DOCTYPE html><html>",
            b"hello\n<script>alert(1)</script>",
            b"x" * (HEAD_BYTES + 100) + b"<script>",
            b'<?xml version="1.0"?><svg/>',
            b"GIF89a" + bytes(30),
            b"BM" + bytes(60),
            "Olá".encode("latin-1"),
            b"abc\x00",
            THEORA,
            _iso(b"qt  "),
            _iso(b"heic"),
            OLD_OFFICE,
            _zip("a.txt")[:-10],
            _zip("dir/setup.EXE"),
            _zip("a.txt", "run.vbs"),
            _zip("AndroidManifest.xml"),
            _zip("META-INF/MANIFEST.MF"),
            _zip("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
        ],
    )
    def test_refuses_what_is_not_on_the_list(self, content: bytes) -> None:
        with pytest.raises(UnknownFileError):
            _detect(content)

    def test_refuses_an_archive_with_an_endless_list_of_contents(self) -> None:
        archive = bytearray(_zip("a.txt"))
        at = archive.rfind(b"PK\x05\x06")
        archive[at + 12 : at + 16] = (DIRECTORY_BYTES + 1).to_bytes(4, "little")
        with pytest.raises(UnknownFileError):
            _detect(bytes(archive))

    def test_a_script_quoted_in_a_long_text_after_the_head_is_text(self) -> None:
        assert _detect(b"a line\n" * HEAD_BYTES + b"#!/bin/sh").extension == "txt"


class TestKindOfHead:
    @pytest.mark.parametrize(
        ("head", "kind"),
        [
            (JPEG, MediaKind.IMAGE),
            (MP3, MediaKind.AUDIO),
            (_iso(b"mp42"), MediaKind.VIDEO),
            (PDF, MediaKind.DOCUMENT),
            (b"plain text", None),
            (b"", None),
        ],
    )
    def test_is_a_first_guess(self, head: bytes, kind: MediaKind | None) -> None:
        assert kind_of_head(head) == kind


@pytest.mark.parametrize(
    ("kind", "wanted", "expected"),
    [
        (MediaKind.IMAGE, MediaKind.IMAGE, True),
        (MediaKind.IMAGE, MediaKind.DOCUMENT, True),
        (MediaKind.DOCUMENT, MediaKind.IMAGE, False),
        (MediaKind.VIDEO, MediaKind.AUDIO, False),
    ],
)
def test_anything_can_be_sent_as_a_document(kind: MediaKind, wanted: MediaKind, expected: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert fits(kind, wanted) is expected
