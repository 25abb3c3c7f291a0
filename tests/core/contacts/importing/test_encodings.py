"""Encodings are told by what they make of a file's bytes."""

from itertools import combinations
from pathlib import Path

import pytest

from core.contacts.importing.encodings import CODECS, codec_name, detect_encoding

NAMES = (
    "José",
    "São",
    "Conceição",
    "Ângela",
    "Íris",
    "Úrsula",
    "Muñoz",
    "Gonçalves",
    "João",
    "Inês",
    "Antônio",
    "Müller",
)


def _detect(folder: Path, content: bytes) -> str:
    path = folder / "file.csv"
    path.write_bytes(content)
    return detect_encoding(path)


@pytest.mark.parametrize("codec", ["cp1252", "mac_roman", "cp850"])
@pytest.mark.parametrize("capitals", [False, True])
def test_any_few_names_tell_the_encoding(tmp_path: Path, codec: str, *, capitals: bool) -> None:
    for names in combinations(NAMES, 4):
        text = "".join(f"{name.upper() if capitals else name};1\n" for name in names)

        assert _detect(tmp_path, text.encode(codec)) == codec, names


@pytest.mark.parametrize("text", ["D\u2019Ávila", "caixa d\u2019água \u2013 1ª", "\u201cZé\u201d", "R$ 5 \u2014 já"])
def test_typographic_marks_are_those_of_windows(tmp_path: Path, text: str) -> None:
    assert _detect(tmp_path, f"nome;tel\n{text};1\n".encode("cp1252")) == "cp1252"


def test_lines_that_end_in_cr_decide_a_tie(tmp_path: Path) -> None:
    # The byte 0x92 is í for a Macintosh and an apostrophe for Windows.
    assert _detect(tmp_path, b"nome;tel\rM\x92;1\r") == "mac_roman"
    assert _detect(tmp_path, b"nome;tel\nM\x92;1\n") == "cp1252"


def test_a_letter_that_is_cut_by_a_chunk_is_whole(tmp_path: Path) -> None:
    content = ("a" * 99 + "\n").encode() * 10_485 + b"b" * 75 + "é\n".encode()

    assert content[2**20 - 1 : 2**20 + 1] == "é".encode()
    assert _detect(tmp_path, content) == "utf-8-sig"


@pytest.mark.parametrize("encoding", CODECS)
def test_each_encoding_has_one_name(encoding: str) -> None:
    assert codec_name(CODECS[encoding]) == encoding  # type: ignore[index]


def test_the_name_of_files_from_before_stays_known() -> None:
    assert codec_name("utf-16") == "utf-16le"
