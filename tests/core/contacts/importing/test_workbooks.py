"""Workbooks become lines of text, whichever program wrote them."""

import csv
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from core.contacts.importing import shared_texts
from core.contacts.importing.file_kinds import UnreadableFileError
from core.contacts.importing.reader import FileForm, read_records
from core.contacts.importing.workbooks import extract_sheet
from tests.core.contacts.importing.workbook_files import MAIN, packed, table, workbook

ROOT = Path(__file__).parents[4]
UNPACKED = "The workbook takes more than 64 MiB when it is unpacked: split it into several."
DAMAGED = "The workbook is damaged: open it in a spreadsheet, save it again and send that."


def _extract(folder: Path, content: bytes, sheet: str | None = None, megabytes: int = 64) -> tuple[FileForm, Path]:
    path, target = folder / "book.xlsx", folder / "rows"
    path.write_bytes(content)
    return extract_sheet(path, target, megabytes, sheet), target


def _rows(folder: Path, content: bytes, sheet: str | None = None) -> list[tuple[int, list[str]]]:
    form, target = _extract(folder, content, sheet)
    return [(record.line, record.cells) for record in read_records(target, form)]


def _cells(folder: Path, cells: str, styles: str = "", properties: str = "", shared: tuple[str, ...] = ()) -> list[str]:
    content = workbook(f"<row>{cells}</row>", styles=styles, properties=properties, shared=shared)
    return _rows(folder, content)[0][1]


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("5511987654321", "5511987654321"),
        ("5511987654321.0", "5511987654321"),
        ("5.511987654321E12", "5511987654321"),
        ("5.51198765432E+12", "5511987654320"),
        ("5.51199E+12", "5.51199E+12"),
        ("1.5", "1.5"),
        ("0.30000000000000004", "0.3"),
        ("-12", "-12"),
        ("1E-7", "0.0000001"),
        ("NaN", "NaN"),
    ],
)
def test_a_number_has_all_its_digits_and_none_that_were_lost(tmp_path: Path, raw: str, shown: str) -> None:
    assert _cells(tmp_path, f"<c><v>{raw}</v></c>") == [shown]


@pytest.mark.parametrize(
    ("raw", "style", "shown"),
    [
        ("46352", 1, "2026-11-26"),
        ("46352.354166666664", 2, "2026-11-26 08:30:00"),
        ("0.35416666666666669", 3, "08:30:00"),
        ("1", 1, "1900-01-01"),
        ("61", 1, "1900-03-01"),
        ("46352", 4, "2026-11-26"),
        ("46352", 5, "46352"),
        ("46352", 0, "46352"),
        ("9999999", 1, "9999999"),
    ],
)
def test_dates_are_told_by_their_format(tmp_path: Path, raw: str, style: int, shown: str) -> None:
    styles = (
        '<numFmts><numFmt numFmtId="164" formatCode="[$-416]dd/mm/yyyy"/>'
        '<numFmt numFmtId="165" formatCode="0 &quot;dias&quot;"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="21"/><xf numFmtId="164"/>'
        '<xf numFmtId="165"/></cellXfs>'
    )

    assert _cells(tmp_path, f'<c s="{style}"><v>{raw}</v></c>', styles) == [shown]


def test_days_may_be_counted_from_1904(tmp_path: Path) -> None:
    styles = '<cellXfs><xf numFmtId="14"/></cellXfs>'

    assert _cells(tmp_path, '<c s="0"><v>44890</v></c>', styles, '<workbookPr date1904="1"/>') == ["2026-11-26"]


def test_truths_formulas_errors_and_texts(tmp_path: Path) -> None:
    cells = (
        '<c t="b"><v>1</v></c><c t="b"><v>0</v></c><c t="str"><f>A1&amp;"x"</f><v>Olá x</v></c>'
        "<c><f>1+1</f><v>2</v></c>"
        '<c><f>1+2</f></c><c t="e"><v>#N/A</v></c><c t="s"><v>1</v></c><c t="s"><v>0</v></c>'
        '<c t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c><c t="d"><v>2026-11-26</v></c>'
    )
    shared = (
        "<r><t>São </t></r><r><t>Paulo</t></r><rPh><t>ruby</t></rPh>",
        "<t>a_x000A_b_x0007__xD83C__xDF3B__xD83C_</t>",
    )

    assert _cells(tmp_path, cells, shared=shared) == [
        "TRUE", "FALSE", "Olá x", "2", "", "#N/A", "a\nb\U0001f33b\ufffd", "São Paulo", "inline", "2026-11-26",
    ]  # fmt: skip


def test_rows_and_columns_keep_their_places(tmp_path: Path) -> None:
    second, fifth = '<c r="B2"><v>1</v></c><c r="D2"><v>2</v></c>', '<c r="A5"><v>3</v></c>'
    rows = f'<row r="2">{second}</row><row r="3"/><row r="5">{fifth}</row>'

    assert _rows(tmp_path, workbook(rows)) == [(2, ["", "1", "", "2"]), (5, ["3"])]


def test_of_merged_cells_the_first_has_the_text(tmp_path: Path) -> None:
    rows = '<row r="1"><c r="A1"><v>7</v></c><c r="B1"/><c r="C1"><v>8</v></c></row>'
    merged = {"xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>'
              '<mergeCells><mergeCell ref="A1:B1"/></mergeCells></worksheet>'}  # fmt: skip

    assert _rows(tmp_path, workbook("", parts=merged)) == [(1, ["7", "", "8"])]


def test_line_breaks_and_quotes_inside_cells_are_texts(tmp_path: Path) -> None:
    shown = _rows(tmp_path, workbook(table(["Rua A\nCasa 2", 'diz "oi"', "a;b"], ["x", "y"])))

    assert shown == [(1, ["Rua A\nCasa 2", 'diz "oi"', "a;b"]), (2, ["x", "y"])]


def test_namespaces_may_have_any_prefix(tmp_path: Path) -> None:
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><x:c><x:v>5</x:v></x:c></x:row></x:sheetData></x:worksheet>'
    )

    assert _rows(tmp_path, workbook("", parts={"xl/worksheets/sheet1.xml": sheet})) == [(1, ["5"])]


def test_the_first_visible_sheet_is_read_or_the_one_that_is_wanted(tmp_path: Path) -> None:
    content = workbook(
        table(["dados"]), sheets={"Oculta": table(["x"]), "Lista": table(["lista"])}, states={"Oculta": "hidden"}
    )
    form, _ = _extract(tmp_path, content)
    (tmp_path / "rows").unlink()
    wanted = _rows(tmp_path, content, "dados")
    (tmp_path / "rows").unlink()
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, content, "Oculta")

    assert (form.sheet, form.sheets) == ("Lista", ["Lista", "Dados"])
    assert wanted == [(1, ["dados"])]
    assert str(caught.value) == "The workbook has no sheet Oculta: it has Lista, Dados."


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"xl/worksheets/sheet1.xml": "<worksheet><row><c><v>1</v></c></row>"}, DAMAGED),
        ({"xl/worksheets/sheet1.xml": '<worksheet><row><c t="s"><v>9</v></c></row></worksheet>'}, DAMAGED),
        ({"xl/worksheets/sheet1.xml": '<worksheet><row r="3"/><row r="2"/></worksheet>'}, DAMAGED),
        (
            {
                "xl/worksheets/sheet1.xml": '<!DOCTYPE a [<!ENTITY b "cc">]><worksheet><row><c t="str">'
                "<v>&b;</v></c></row></worksheet>"
            },
            DAMAGED,
        ),
        ({"xl/workbook.xml": f'<workbook xmlns="{MAIN}"><sheets/></workbook>'}, "The workbook has no visible sheet."),
        (
            {"xl/workbook.bin": "x"},
            "This is Excel Binary (.xlsb): send a CSV file or an Excel workbook (.xlsx).",
        ),
    ],
)
def test_what_is_wrong_inside_is_refused(tmp_path: Path, parts: dict[str, str], reason: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, workbook("", parts=parts))

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}, "OpenDocument (.ods)"),
        ({"_rels/.rels": "<x/>", "word/document.xml": "<x/>"}, "Word (.docx)"),
        ({"Index/Document.iwa": "x"}, "Numbers (.numbers)"),
        ({"contacts.csv": "numero\n1"}, "ZIP"),
    ],
)
def test_other_containers_are_named(tmp_path: Path, parts: dict[str, str], found: str) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, packed(parts))

    assert str(caught.value) == f"This is {found}: send a CSV file or an Excel workbook (.xlsx)."


@pytest.mark.parametrize("cut", [30, 400, -10])
def test_a_cut_container_is_damaged(tmp_path: Path, cut: int) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, workbook(table(["a"]))[:cut])

    assert str(caught.value) == DAMAGED


def test_a_bomb_is_refused_by_what_its_directory_says(tmp_path: Path) -> None:
    bomb = workbook("", parts={"xl/worksheets/sheet1.xml": "<worksheet>" + " " * (3 * 2**20) + "</worksheet>"})
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, bomb, megabytes=2)

    assert len(bomb) < 10_000
    assert str(caught.value) == "The workbook takes more than 2 MiB when it is unpacked: split it into several."
    assert not (tmp_path / "rows").exists()


def test_a_bomb_whose_directory_lies_is_damaged(tmp_path: Path) -> None:
    bomb = bytearray(
        workbook("", parts={"xl/worksheets/sheet1.xml": "<worksheet>" + " " * (3 * 2**20) + "</worksheet>"})
    )
    with zipfile.ZipFile(io.BytesIO(bomb)) as package:
        size = package.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
    while (place := bomb.rfind(size)) >= 0:
        bomb[place : place + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, bytes(bomb), megabytes=2)

    assert str(caught.value) == DAMAGED


def test_a_shared_text_that_is_repeated_counts_each_time(tmp_path: Path) -> None:
    row = '<row><c t="s"><v>0</v></c></row>'
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, workbook(row * 100, shared=[f"<t>{'x' * 30_000}</t>"]), megabytes=2)

    assert str(caught.value) == "The workbook takes more than 2 MiB when it is unpacked: split it into several."


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"xl/worksheets/sheet1.xml": f'<worksheet><row r="{"1" * 3 * 2**20}"/></worksheet>'}, DAMAGED),
        ({"xl/worksheets/sheet1.xml": '<worksheet><row><c r="AAAA1"><v>1</v></c></row></worksheet>'}, DAMAGED),
        ({"xl/worksheets/sheet1.xml": f"<worksheet><row><c><v>{'1' * 2 * 2**20}</v></c></row></worksheet>"}, UNPACKED),
        ({"xl/sharedStrings.xml": f"<sst><si><t>{'1' * 2 * 2**20}</t></si></sst>"}, UNPACKED),
        ({"xl/sharedStrings.xml": f"<sst>{'<si/>' * 101}</sst>"}, UNPACKED),
        ({"xl/worksheets/sheet1.xml": f"<worksheet>{'<a>' * 200_000}</worksheet>"}, DAMAGED),
    ],
    ids=["tag", "column", "cell", "shared", "many-shared", "depth"],
)
def test_nothing_inside_can_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: dict[str, str], reason: str
) -> None:
    monkeypatch.setattr(shared_texts, "MAXIMUM_TEXTS", 100)
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, workbook("", parts=parts))

    assert str(caught.value) == reason


def test_a_container_of_endless_parts_is_damaged(tmp_path: Path) -> None:
    content = bytearray(workbook(table(["a"])))
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = (5 * 2**20).to_bytes(4, "little")
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, bytes(content))

    assert str(caught.value) == DAMAGED


def test_ten_thousand_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError) as caught:
        _extract(tmp_path, workbook(f"<row>{'<c><v>1</v></c>' * 10_000}</row>"))

    assert str(caught.value) == "The file has 10000 columns; 200 are the most."


@pytest.mark.slow
@pytest.mark.parametrize("texts", ["shared", "inline"])
def test_a_million_rows_take_little_memory(tmp_path: Path, texts: str) -> None:
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for name, content in _parts(workbook("")).items():
            if name != "xl/worksheets/sheet1.xml":
                package.writestr(name, content)
        if texts == "shared":
            with package.open("xl/sharedStrings.xml", "w", force_zip64=True) as out:
                out.write(f'<sst xmlns="{MAIN}">'.encode())
                for start in range(0, 1_000_000, 10_000):
                    out.write("".join(f"<si><t>Cliente {n}</t></si>" for n in range(start, start + 10_000)).encode())
                out.write(b"</sst>")
        with package.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as out:
            out.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            for start in range(0, 1_000_000, 10_000):
                out.write("".join(_row(n, texts) for n in range(start, start + 10_000)).encode())
            out.write(b"</sheetData></worksheet>")
    code = (
        "import sys; from pathlib import Path\n"
        "from core.contacts.importing.reader import read_batches\n"
        "from core.contacts.importing.workbooks import extract_sheet\n"
        "form = extract_sheet(Path(sys.argv[1]), Path(sys.argv[2]), 1024)\n"
        "rows = [row for batch in read_batches(Path(sys.argv[2]), form) for row in batch.rows[-1:]]\n"
        "rows_total = sum(len(batch.rows) for batch in read_batches(Path(sys.argv[2]), form))\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(rows_total, *rows[-1], int(status.split('VmHWM:')[1].split()[0]) // 1024, sep=',')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "rows")], cwd=ROOT, capture_output=True, check=True
    )
    ((total, name, number, megabytes),) = csv.reader([done.stdout.decode()])

    assert (total, name, number) == ("1000000", "Cliente 999999", "5511900999999")
    assert int(megabytes) < 150


def _row(number: int, texts: str) -> str:
    name = f'<c t="s"><v>{number}</v></c>' if texts == "shared" else f'<c t="str"><v>Cliente {number}</v></c>'
    return f"<row>{name}<c><v>{5511900000000 + number}</v></c></row>"


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return {name: package.read(name) for name in package.namelist()}
