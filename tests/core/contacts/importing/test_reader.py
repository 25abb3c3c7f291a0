import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.contacts.importing import reader
from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.reader import FileForm, Record, detect_form, plain_cell, read_batches, read_records
from core.spreadsheets import write_row


def _write(folder: Path, content: bytes) -> Path:
    path = folder / "file.csv"
    path.write_bytes(content)
    return path


def _rows(folder: Path, content: bytes) -> list[Record]:
    path = _write(folder, content)
    return list(read_records(path, detect_form(path)))


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    lines = ["nome;telefone;cidade", "Ipê, o bar;1;Rio", "Lua;2;Bonito"]
    text = "\n".join(line.replace(", ", " ").replace(";", delimiter) for line in lines)

    assert detect_form(_write(tmp_path, text.encode())).delimiter == delimiter


def test_commas_inside_semicolon_cells_do_not_decide(tmp_path: Path) -> None:
    text = "nome;telefone\nsilêncio, luz, mar;1\nsol, chuva, vento;2\n"

    assert detect_form(_write(tmp_path, text.encode())).delimiter == ";"


def test_a_separator_line_names_the_delimiter(tmp_path: Path) -> None:
    rows = _rows(tmp_path, b"sep=|\r\nnome|telefone\r\nSol; e mar|1\r\n")

    assert rows == [Record(2, ["nome", "telefone"]), Record(3, ["Sol; e mar", "1"])]


@pytest.mark.parametrize("line", ['sep="', "sep='", "sep=a", "sep=\x1f", "sep= "])
def test_what_can_separate_nothing_is_no_separator_line(tmp_path: Path, line: str) -> None:
    form = detect_form(_write(tmp_path, f"{line}\nnome;fone\na;1\nb;2\n".encode()))

    assert (form.separator_line, form.delimiter) == (False, ";")


@pytest.mark.parametrize(
    ("encoded", "encoding"),
    [
        ("nome;tel\nJosé;1\n".encode(), "utf-8-sig"),
        ("\ufeffnome;tel\nJosé;1\n".encode(), "utf-8-sig"),
        ("nome;tel\nJosé;1\n".encode("cp1252"), "cp1252"),
        ("nome;tel\nJosé;1\n".encode("utf-16"), "utf-16-le"),
    ],
)
def test_the_encoding_is_found_and_accents_stay(tmp_path: Path, encoded: bytes, encoding: str) -> None:
    path = _write(tmp_path, encoded)
    form = detect_form(path)

    assert form.encoding == encoding
    assert [record.cells for record in read_records(path, form)] == [["nome", "tel"], ["José", "1"]]


def test_an_accent_far_down_the_file_decides_the_encoding(tmp_path: Path) -> None:
    content = b"nome;tel\n" + b"plain;1\n" * 200_000 + "José;2\n".encode("cp1252")

    assert detect_form(_write(tmp_path, content)).encoding == "cp1252"


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_read(tmp_path: Path, ending: str) -> None:
    rows = _rows(tmp_path, ending.join(["a;b", "1;2", "3;4"]).encode())

    assert [row.cells for row in rows] == [["a", "b"], ["1", "2"], ["3", "4"]]


def test_quoted_cells_may_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    rows = _rows(tmp_path, b'a;b\n"x;y";"say ""hi"""\n"two\nlines";z\nlast;1\n')

    assert rows[1:] == [Record(2, ["x;y", 'say "hi"']), Record(3, ["two\nlines", "z"]), Record(5, ["last", "1"])]


def test_a_quote_inside_a_cell_is_only_a_quote(tmp_path: Path) -> None:
    rows = _rows(tmp_path, b'a;b\nvaso 5" azul;1\npano;2\n')

    assert [row.cells for row in rows[1:]] == [['vaso 5" azul', "1"], ["pano", "2"]]


def test_an_unclosed_quote_costs_its_own_row_only(tmp_path: Path) -> None:
    rows = _rows(tmp_path, b'a;b\n"open;1\nfine;2\nlast;3\n')

    assert rows[1] == Record(2, ['"open;1'], broken=True)
    assert rows[2:] == [Record(3, ["fine", "2"]), Record(4, ["last", "3"])]


def test_rows_without_text_are_left_out(tmp_path: Path) -> None:
    rows = _rows(tmp_path, b"a;b\n\n;;\n  ; \n1;2\n")

    assert rows == [Record(1, ["a", "b"]), Record(5, ["1", "2"])]


def test_a_cell_of_any_length_is_no_failure(tmp_path: Path) -> None:
    rows = _rows(tmp_path, b'a;b\n"' + b"x" * 200_000 + b'";1\nfine;2\n')

    assert rows[1].broken
    assert rows[2] == Record(3, ["fine", "2"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (
            b"nome;tel\n" + b"x;1\n" * 100_000 + b"\x00",
            "This is no text file: send a CSV file or an Excel workbook (.xlsx).",
        ),
        (b"nome;tel\n\x9d;1", "The text is in none of the encodings that are known: save the file as CSV UTF-8."),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        detect_form(_write(tmp_path, content))

    assert str(caught.value) == reason


_PIECES = st.sampled_from(['"', '""', ";", "\n", "\r\n", "\r", "a", "b c", " ", "é", ",", "sep=", "\u2028", "\x0b"])


@given(st.lists(_PIECES, min_size=1, max_size=60).map("".join), st.integers(1, 40))
def test_blocks_of_any_size_give_the_same_rows(tmp_path_factory: pytest.TempPathFactory, text: str, size: int) -> None:
    path = tmp_path_factory.mktemp("blocks") / "file.csv"
    path.write_bytes(text.encode())
    form = FileForm("utf-8-sig", ";")
    whole = list(read_records(path, form))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "_BLOCK_CHARACTERS", size)
        cut = list(read_records(path, form))

    assert cut == whole


def test_batches_tell_lines_and_broken_rows(tmp_path: Path) -> None:
    path = _write(tmp_path, b'a;b\n\n1;"2\n3;4\n')
    batches = list(read_batches(path, FileForm("utf-8", ";")))

    assert [(list(batch.lines), batch.rows, batch.broken) for batch in batches] == [
        ([1, 3, 4], [["a", "b"], ['1;"2'], ["3", "4"]], frozenset({1}))
    ]


@pytest.mark.parametrize(
    ("cell", "plain"),
    [
        ('="0110"', "0110"),
        ("'=1", "=1"),
        ("'a", "'a"),
        ("\u202a+55\u202c", "+55"),
        ("\u2066 x \u2069", "x"),
        ("\u00a0x\u00a0", "x"),
    ],
)
def test_what_is_added_around_a_cell_is_taken_off(cell: str, plain: str) -> None:
    assert plain_cell(cell) == plain


def test_written_rows_run_no_formula_and_read_back_the_same(tmp_path: Path) -> None:
    cells = ["=1+1", "+5511900001234", "-2", "@SUM(A1)", "a;b", 'say "hi"', "plain"]
    line = write_row(cells, ";")
    shown = next(csv.reader([line], delimiter=";"))
    path = _write(tmp_path, line.encode())

    assert [cell[0] for cell in shown[:4]] == ["'", "'", "'", "'"]
    (row,) = read_records(path, FileForm("utf-8", ";"))
    assert [plain_cell(cell) for cell in row.cells] == cells
