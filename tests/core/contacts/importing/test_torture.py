"""Files that break the importers of others, each with what exactly becomes of it.

The cases are those that users of other campaign and mailing systems reported to them.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from core import database
from tests.core.contacts.importing.workbook_files import table, workbook
from tests.core.contacts.making import run_import, show, upload

ROOT = Path(__file__).parents[4]
PHONE, OTHER = "5511900001234", "5521900005678"
EXPONENT = "The spreadsheet replaced digits by an exponent, and they are lost: store the column as text."

Stored = dict[str, tuple[str, dict[str, str]]]
Failures = list[tuple[int, str, str, str]]


async def _outcome(client: httpx.AsyncClient, content: bytes | str) -> tuple[Stored, Failures]:
    """Return what a file makes: number to name and variables; and its errors: line, column, value and reason."""
    done = await run_import(client, content)
    assert done["status"] == "done"
    errors = await database.fetch(
        'SELECT line, "column", value, reason FROM import_errors WHERE import_id = $1 ORDER BY line', done["id"]
    )
    contacts = await show(client, "contacts?per_page=100")
    return (
        {contact["number"]: (contact["name"], contact["variables"]) for contact in contacts},
        [tuple(row) for row in errors],
    )


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"], ids=["semicolon", "comma", "tab", "bar"])
async def test_delimiters(tenant: httpx.AsyncClient, delimiter: str) -> None:
    rows = [["nome", "telefone", "obs"], ["José", "(11) 90000-1234", "a"], ["Ana", "21 90000-5678", "b"]]
    stored, errors = await _outcome(tenant, "\n".join(delimiter.join(row) for row in rows))

    assert stored == {PHONE: ("José", {"obs": "a"}), OTHER: ("Ana", {"obs": "b"})}
    assert errors == []


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
async def test_a_line_that_names_the_separator(tenant: httpx.AsyncClient, line: str) -> None:
    stored, errors = await _outcome(tenant, f"{line}\r\nnome;telefone\r\nSilva, Ana;11900001234\r\nx;1\r\n")

    assert stored == {PHONE: ("Silva, Ana", {})}
    assert errors == [(4, "telefone", "1", "Digits are missing: write area code and number.")]


@pytest.mark.parametrize(
    ("codec", "mark", "told"),
    [
        ("utf-8", "", "utf-8"),
        ("utf-8", "\ufeff", "utf-8"),
        ("utf-16-le", "\ufeff", "utf-16le"),
        ("utf-16-be", "\ufeff", "utf-16be"),
        ("utf-16-le", "", "utf-16le"),
        ("utf-16-be", "", "utf-16be"),
        ("cp1252", "", "windows-1252"),
        ("mac_roman", "", "macintosh"),
        ("cp850", "", "ibm850"),
    ],
    ids=["utf8", "utf8-mark", "utf16le-mark", "utf16be-mark", "utf16le", "utf16be", "windows", "macintosh", "dos"],
)
async def test_encodings(tenant: httpx.AsyncClient, codec: str, mark: str, told: str) -> None:
    content = f"{mark}nome;telefone;cidade\nJoão Conceição;11900001234;São José\n".encode(codec)
    stored, errors = await _outcome(tenant, content)
    (found,) = await show(tenant, "imports")

    assert stored == {PHONE: ("João Conceição", {"cidade": "São José"})}
    assert errors == []
    assert found["file"]["encoding"] == told


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
async def test_line_endings(tenant: httpx.AsyncClient, ending: str) -> None:
    stored, errors = await _outcome(tenant, ending.join(["nome;telefone", "José;11900001234", "x;1", ""]))

    assert stored == {PHONE: ("José", {})}
    assert errors == [(3, "telefone", "1", "Digits are missing: write area code and number.")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
async def test_quoted_line_breaks_and_doubled_quotes(tenant: httpx.AsyncClient, ending: str) -> None:
    content = (
        f'nome;telefone;obs{ending}"O ""Zé""";11900001234;"Rua A{ending}{ending}Casa 2; fundos"{ending}x;1;y{ending}'
    )
    stored, errors = await _outcome(tenant, content)

    assert stored == {PHONE: ('O "Zé"', {"obs": "Rua A\n\nCasa 2; fundos"})}
    assert errors == [(5, "telefone", "1", "Digits are missing: write area code and number.")]


async def test_an_unbalanced_quote_costs_its_row_and_no_other(tenant: httpx.AsyncClient) -> None:
    rows = [f"Nome {n};119000{n:05d}" for n in range(300)]
    rows[150] = f'"{rows[150]}'
    stored, errors = await _outcome(tenant, "\n".join(["nome;telefone", *rows]))
    made = await database.fetch_value("SELECT sum(rows_created) FROM imports WHERE id = (SELECT max(id) FROM imports)")

    assert len(stored) == 100
    assert made == 299
    assert errors == [(152, "", '"Nome 150;11900000150', "A quote is opened here and never closed.")]


@pytest.mark.parametrize("written", ["5,51199E+12", "5.51199E+12", "4,41E+11", "5.51199e+12"])
async def test_digits_lost_to_an_exponent(tenant: httpx.AsyncClient, written: str) -> None:
    stored, errors = await _outcome(tenant, f"nome;telefone\nJosé;{written}\n")

    assert stored == {}
    assert errors == [(2, "telefone", written, EXPONENT)]


@pytest.mark.parametrize(
    "written",
    [
        "011900001234",
        "0 11 90000-1234",
        "0055 11 90000-1234",
        "00 55 11 90000 1234",
        "+55 11 90000-1234",
        "0 15 11 90000-1234",
    ],
)
async def test_prefixes(tenant: httpx.AsyncClient, written: str) -> None:
    stored, errors = await _outcome(tenant, f"nome;telefone\nJosé;{written}\n")

    assert stored == {PHONE: ("José", {})}
    assert errors == []


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("(11) 90000-1234 / (21) 90000-5678", "These are more digits than a number has: write one number only."),
        ("11900001234, 21900005678", "A number has digits, spaces and ( ) - . + only."),
        ("11900001234 ou 21900005678", "A number has no letters."),
    ],
)
async def test_two_phones_in_one_cell(tenant: httpx.AsyncClient, written: str, reason: str) -> None:
    stored, errors = await _outcome(tenant, f"nome;telefone\nJosé;{written}\n")

    assert stored == {}
    assert errors == [(2, "telefone", written, reason)]


@pytest.mark.parametrize(
    "written",
    [
        "11\u00a090000\u20111234",
        "\u202a+55 11 90000\u20111234\u202c",
        "\u2066+55\u00a011\u202f90000-1234\u2069",
        "\u200e11900001234\u200b",
        "\ufeff11900001234",
    ],
    ids=["no-break", "embedding", "isolate", "mark", "byte-order-mark"],
)
async def test_spaces_and_marks_that_a_copy_brings_along(tenant: httpx.AsyncClient, written: str) -> None:
    stored, errors = await _outcome(tenant, f"nome;telefone\n\u00a0José\u200e;{written}\n")

    assert stored == {PHONE: ("José", {})}
    assert errors == []


async def test_full_width_digits(tenant: httpx.AsyncClient) -> None:
    stored, errors = await _outcome(tenant, "nome;telefone\nJosé;（１１）９００００－１２３４\n")  # noqa: RUF001 - the case

    assert stored == {PHONE: ("José", {})}
    assert errors == []


@pytest.mark.parametrize(
    "header",
    [
        "telefone",
        "CELULAR",
        "WhatsApp",
        "fone",
        "Phone",
        "Número",
        "NUMERO",
        "Teléfono móvil",
        " Nº de telefone ",
        "Cel.",
    ],
)
async def test_names_of_the_column_of_numbers(tenant: httpx.AsyncClient, header: str) -> None:
    stored, errors = await _outcome(tenant, f"Nome;{header}\nJosé;11900001234\n")

    assert stored == {PHONE: ("José", {})}
    assert errors == []


async def test_duplicate_headers(tenant: httpx.AsyncClient) -> None:
    stored, errors = await _outcome(tenant, "nome,telefone,telefone,obs,obs\nJosé,11900001234,2133334444,a,b\n")

    assert stored == {PHONE: ("José", {"telefone_2": "2133334444", "obs": "a", "obs_2": "b"})}
    assert errors == []


async def test_ragged_rows(tenant: httpx.AsyncClient) -> None:
    stored, errors = await _outcome(
        tenant, "nome;telefone;obs\nJosé;11900001234\nAna;21900005678;a;;\nLua;31900001234;a;b\nSó\n"
    )

    assert stored == {PHONE: ("José", {}), OTHER: ("Ana", {"obs": "a"})}
    assert errors == [
        (4, "", "b", "The row has more cells than the first row."),
        (5, "telefone", "", "There is no number."),
    ]


async def test_empty_columns_at_the_end(tenant: httpx.AsyncClient) -> None:
    stored, errors = await _outcome(tenant, "nome;telefone;;;\nJosé;11900001234;;;\n;;;;\n")
    (found,) = await show(tenant, "imports")

    assert stored == {PHONE: ("José", {})}
    assert errors == []
    assert [column["header"] for column in found["columns"]] == ["nome", "telefone"]


async def test_formulas_in_cells(tenant: httpx.AsyncClient) -> None:
    stored, errors = await _outcome(
        tenant,
        'nome;telefone;obs\n=HYPERLINK("http://x");="11900001234";=1+1\n=cmd|x;\'+55 21 90000-5678;#N/D\n'
        "Lua;=A1;x\nSol;'+5531900001234;#REF!\n",
    )

    assert stored == {PHONE: ('=HYPERLINK("http://x")', {"obs": "=1+1"})}
    assert errors == [
        (3, "obs", "#N/D", "A formula failed here: correct it in the spreadsheet."),
        (4, "telefone", "=A1", "A number has no letters."),
        (5, "obs", "#REF!", "A formula failed here: correct it in the spreadsheet."),
    ]


async def test_one_person_with_and_without_the_ninth_digit(tenant: httpx.AsyncClient) -> None:
    stored, errors = await _outcome(tenant, "nome;telefone\nCom;11 98765-4321\nSem;11 8765-4321\n")

    assert stored == {"5511987654321": ("Com", {}), "551187654321": ("Sem", {})}
    assert errors == []


async def test_a_workbook_with_numbers_as_numbers(tenant: httpx.AsyncClient) -> None:
    rows = table(
        ["Nome", "Celular", "Valor"],
        ["José", 5511900001234.0, 10.5],
        ["Ana", 21900005678, 3],
        ["Cortado", "5,51199E+12", 1],
        [],
        ["Sem", "", 2],
    )
    stored, errors = await _outcome(tenant, workbook(rows))

    assert stored == {PHONE: ("José", {"valor": "10.5"}), OTHER: ("Ana", {"valor": "3"})}
    assert errors == [(4, "Celular", "5,51199E+12", EXPONENT), (6, "Celular", "", "There is no number.")]


@pytest.mark.parametrize("language", ["en", "pt-BR", "es"])
async def test_a_bomb(tenant: httpx.AsyncClient, language: str) -> None:
    sheet = "<worksheet>" + " " * (1100 * 2**20) + "</worksheet>"
    bomb = workbook("", parts={"xl/worksheets/sheet1.xml": sheet})
    answer = await tenant.post("/api/imports", files={"file": ("a.xlsx", bomb)}, headers={"accept-language": language})
    reasons = {
        "en": "The workbook takes more than 1024 MiB when it is unpacked: split it into several.",
        "pt-BR": "A pasta de trabalho ocupa mais de 1024 MiB descompactada: divida-a em várias.",
        "es": "El libro ocupa más de 1024 MiB descomprimido: divídalo en varios.",
    }

    assert len(bomb) < 2 * 2**20
    assert (answer.status_code, answer.json()["errors"]) == (422, {"file": [reasons[language]]})
    assert await show(tenant, "imports") == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "This is PDF"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00", "This is JPEG"),
        (b"<html><table><tr><td>telefone</td></tr></table></html>", "This is HTML"),
        (b"BEGIN:VCARD\r\nTEL:11900001234\r\nEND:VCARD\r\n", "This is vCard"),
        (b"numero\n" + b"1" * 50 * 2**20, "Line 2 is longer than 1024 KiB: this is no table of contacts."),
        (b"numero\n11900001234\n\x00\n", "This is no text file"),
        (b";".join([b"numero"] * 10_000) + b"\n11900001234\n", "The file has 10000 columns; 200 are the most."),
    ],
    ids=["pdf", "jpeg", "html", "vcard", "endless-line", "nul", "columns"],
)
async def test_what_is_no_table(tenant: httpx.AsyncClient, content: bytes, reason: str) -> None:
    answer = await upload(tenant, content)

    assert answer.status_code == 422
    (told,) = answer.json()["errors"]["file"]
    assert told.startswith(reason)
    assert await show(tenant, "imports") == []


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (["Workbook"], "This is Excel 97-2003 (.xls)"),
        (["Book"], "This is Excel 97-2003 (.xls)"),
        (["EncryptionInfo", "EncryptedPackage"], "The workbook is protected by a password"),
        (["WordDocument"], "This is Word 97-2003 (.doc)"),
        (["Else"], "This is no text file"),
    ],
)
async def test_compound_files(tenant: httpx.AsyncClient, entries: Sequence[str], reason: str) -> None:
    header = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    header[30], header[48] = 9, 1
    directory = b"".join(name.encode("utf-16-le").ljust(128, b"\0") for name in ["Root Entry", *entries])
    answer = await upload(tenant, bytes(header) + bytes(512) + directory.ljust(512, b"\0"))

    assert answer.status_code == 422
    assert answer.json()["errors"]["file"][0].startswith(reason)


@pytest.mark.slow
def test_a_million_rows_take_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "million.csv"
    with path.open("w", encoding="cp1252") as out:
        out.write("nome;telefone;cidade;obs\n")
        for n in range(1_000_000):
            out.write(f"José {n};(11) 9{n // 10_000:04d}-{n % 10_000:04d};São Paulo;x\n")
    code = (
        "import sys; from pathlib import Path\n"
        "from core.contacts.importing.reader import detect_form, read_batches\n"
        "path = Path(sys.argv[1]); form = detect_form(path); rows = 0\n"
        "for batch in read_batches(path, form):\n"
        "    rows += len(batch.rows); last = batch.rows[-1]\n"
        "status = Path('/proc/self/status').read_text()\n"
        "print(form.encoding, rows, last[0], int(status.split('VmHWM:')[1].split()[0]) // 1024, sep=';')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, check=True)
    encoding, rows, name, megabytes = done.stdout.decode().strip().split(";")

    assert (encoding, rows, name) == ("cp1252", "1000001", "José 999999")
    assert int(megabytes) < 150
