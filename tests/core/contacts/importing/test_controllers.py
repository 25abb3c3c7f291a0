"""Uploads over HTTP."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest

from core import database
from core.config import ImportsConfig, PlatformConfig
from core.contacts.importing.upload_files import FOLDER
from core.runtime import Runtime
from tests.core.contacts.making import add, add_contact, counts, run_import, show, upload
from tests.factories import Member

NO_NUMBERS = (
    "No column holds the numbers. Call it, for example, numero, telefone, celular, whatsapp or phone."
    " The first row is: nome, cidade."
)
GOOD = "Nome;Celular;Cidade\nSol;11 90000-1234;Bonito\nLua;12;Rio\n"


async def _chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def _kept(config: PlatformConfig) -> list[Path]:
    return sorted((config.data_folder / FOLDER).glob("*"))


async def test_an_upload_tells_what_was_found_and_waits_to_be_started(tenant: httpx.AsyncClient) -> None:
    answer = await upload(tenant, GOOD)
    shown = answer.json()["data"]

    assert answer.status_code == 201
    assert {name: shown[name] for name in shown if name not in {"id", "created_at"}} == {
        "filename": "contacts.csv",
        "status": "uploaded",
        "job_id": None,
        "public_id": None,
        "public_name": None,
        "file": {
            "kind": "csv",
            "encoding": "utf-8",
            "delimiter": ";",
            "sheet": None,
            "sheets": [],
            "header": True,
            "header_line": 1,
        },
        "mapping_source": "recognized",
        "default_country": "BR",
        "duplicates": "fill",
        "policies": {},
        "rows_per_second": None,
        "seconds_left": None,
        "undo": None,
        "undo_until": None,
        "labels": [],
        "label_name": None,
        "columns": [
            {"header": "Nome", "field": "name"},
            {"header": "Celular", "field": "number"},
            {"header": "Cidade", "field": "variables.cidade"},
        ],
        "rows_total": 2,
        "rows_created": 0,
        "rows_updated": 0,
        "rows_skipped": 0,
        "rows_failed": 0,
        "progress": 0,
        "error": "",
        "started_at": None,
        "finished_at": None,
    }
    assert await show(tenant, "imports") == [shown]
    assert await show(tenant, "contacts") == []


async def test_it_is_started_once(tenant: httpx.AsyncClient) -> None:
    import_id = (await upload(tenant, GOOD)).json()["data"]["id"]
    first, second = [await tenant.post(f"/api/imports/{import_id}/start") for _ in range(2)]
    job = await show(tenant, f"jobs/{first.json()['data']['job_id']}")

    assert (first.status_code, first.json()["data"]["status"]) == (200, "waiting")
    assert (job["kind"], job["subject_id"]) == ("contacts.import", import_id)
    assert (second.status_code, second.json()["code"]) == (409, "import_started")


async def test_a_done_import_is_not_started_again(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, GOOD)

    assert (await tenant.post(f"/api/imports/{done['id']}/start")).status_code == 409


async def test_a_mapping_may_be_told(tenant: httpx.AsyncClient) -> None:
    done = await run_import(
        tenant,
        "A;B;C\nSol;11 90000-1234;x\n",
        mapping='{"A": "variables.apelido", "B": "number", "C": "ignore"}',
    )
    (contact,) = await show(tenant, "contacts")

    assert [column["field"] for column in done["columns"]] == ["variables.apelido", "number", "ignore"]
    assert (contact["name"], contact["variables"]) == ("", {"apelido": "Sol"})


async def test_a_file_without_headers_comes_in_whole(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, "11 90000-1234,Sol\n11 90000-5678,Lua\n")

    assert counts(done) == (2, 0, 0, 0)
    assert [contact["name"] for contact in await show(tenant, "contacts?sort=name")] == ["Lua", "Sol"]


async def test_the_default_country_is_told(tenant: httpx.AsyncClient) -> None:
    await run_import(tenant, "telefone\n912 345 678\n", default_country="PT")

    assert [contact["number"] for contact in await show(tenant, "contacts")] == ["351912345678"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "The file is empty."),
        (b"\n\n;;\n", "The file has no rows."),
        (b"nome;telefone\n", "The file has no rows below its headers."),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "This is PNG: send a CSV file or an Excel workbook (.xlsx)."),
        (b"nome;telefone\nSol;1190\x0000\n", "This is no text file: send a CSV file or an Excel workbook (.xlsx)."),
        (b"PK\x03\x04whatever", "The workbook is damaged: open it in a spreadsheet, save it again and send that."),
        (
            b"nome;cidade\nSol;Bonito\n",
            NO_NUMBERS,
        ),
        (b'{"json": true}', None),
        (b"<html><body>Hello</body></html>", None),
        (b'"', "Line 1: a quote is opened and never closed."),
    ],
)
async def test_a_file_that_holds_no_contacts_is_refused_and_nothing_is_kept(
    tenant: httpx.AsyncClient, config: PlatformConfig, content: bytes, reason: str | None
) -> None:
    before = _kept(config)
    answer = await upload(tenant, content, start="true")

    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == ["file"]
    if reason is not None:
        assert answer.json()["errors"]["file"] == [reason]
    assert _kept(config) == before
    assert await show(tenant, "imports") == []


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"default_country": "XX"}, {"default_country": ["There is no such country."]}),
        ({"default_country": "brazil"}, {"default_country": ["Does not have the required form."]}),
        ({"public_id": "abc"}, {"public_id": ["Must be a whole number."]}),
        ({"public_id": "1099511627776"}, {"public_id": ["There is no audience 1099511627776."]}),
        ({"label_name": " "}, {"label_name": ["This field is required."]}),
        ({"labels": "x"}, {"labels": ["Must be a list."]}),
        ({"labels": "1099511627776"}, {"labels": ["There is no label 1099511627776."]}),
        ({"mapping": "[]"}, {"mapping": ["Must be an object."]}),
        ({"mapping": '{"Bairro": "name"}'}, {"mapping.Bairro": ["The file has no such column."]}),
        ({"duplicates": "maybe"}, {"duplicates": ["Must be one of: fill, skip, overwrite."]}),
        ({"start": "perhaps"}, {"start": ["Must be true or false."]}),
        ({"public_name": "x" * 121}, {"public_name": ["Must have at most 120 characters."]}),
        (
            {"public_name": "x", "public_id": "1099511627776", "labels": "1099511627776"},
            {
                "public_name": ["Leave this out when public_id names an audience."],
                "public_id": ["There is no audience 1099511627776."],
                "labels": ["There is no label 1099511627776."],
            },
        ),
    ],
)
async def test_bad_options_are_named_and_nothing_is_kept(
    tenant: httpx.AsyncClient, config: PlatformConfig, fields: dict[str, str], errors: dict[str, list[str]]
) -> None:
    before = _kept(config)
    answer = await upload(tenant, GOOD, **fields)

    assert answer.status_code == 422
    assert answer.json()["errors"] == errors
    assert _kept(config) == before
    assert await show(tenant, "imports") == []


async def test_a_dynamic_audience_cannot_be_imported_into(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="D", type=2, filters={})
    answer = await upload(tenant, GOOD, public_id=str(public["id"]))

    assert answer.status_code == 422
    assert answer.json()["errors"] == {"public_id": ["This audience is dynamic: its filters choose its contacts."]}


async def test_a_form_without_file_or_of_another_kind_is_refused(tenant: httpx.AsyncClient) -> None:
    without = await tenant.post("/api/imports", files={"public_name": (None, "x")})
    as_text = await tenant.post("/api/imports", files={"file": (None, "numero\n1")})
    as_json = await tenant.post("/api/imports", json={"file": GOOD})
    as_form = await tenant.post("/api/imports", data={"file": GOOD})
    broken = await tenant.post(
        "/api/imports", content=b"--x\r\nnonsense", headers={"content-type": "multipart/form-data; boundary=x"}
    )
    empty = await tenant.post("/api/imports")

    assert (without.status_code, without.json()["errors"]) == (422, {"file": ["This field is required."]})
    assert (as_text.status_code, list(as_text.json()["errors"])) == (422, ["file"])
    assert [answer.status_code for answer in (as_json, as_form, empty, broken)] == [415, 415, 415, 400]


@pytest.mark.parametrize(
    ("header", "content"), [(b"", b"\xff\xfe"), (b"Content-Type: text/plain; charset=klingon\r\n", b"x")]
)
async def test_text_that_cannot_be_read_is_refused(tenant: httpx.AsyncClient, header: bytes, content: bytes) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="public_name"\r\n' + header + b"\r\n" + content + b"\r\n--x--\r\n"
    )
    answer = await tenant.post(
        "/api/imports", content=body, headers={"content-type": "multipart/form-data; boundary=x"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


async def test_the_name_of_a_file_cannot_do_harm(tenant: httpx.AsyncClient, config: PlatformConfig) -> None:
    answer = await tenant.post("/api/imports", files={"file": ("../../ab.csv", b"numero\n11900001234\n")})

    assert answer.json()["data"]["filename"] == "../../ab.csv"
    assert all(path.parent == config.data_folder / FOLDER for path in _kept(config))
    assert not (config.data_folder.parent / "ab.csv").exists()


async def test_a_file_beyond_the_limit_is_refused(
    tenant: httpx.AsyncClient, config: PlatformConfig, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = msgspec.structs.replace(config, imports=ImportsConfig(megabytes=1))
    monkeypatch.setattr(runtime, "config", limits)
    before = _kept(config)
    line = b"11900001234\n"
    told = await upload(tenant, line * (2**21 // len(line) + 1))
    untold = await tenant.post(
        "/api/imports",
        content=_chunks(
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n', line * 100_000
        ),
        headers={"content-type": "multipart/form-data; boundary=x", "accept-language": "pt-BR"},
    )

    assert (told.status_code, told.json()["code"]) == (413, "import_too_large")
    assert told.json()["detail"] == "The file is too large: a file of contacts may have at most 1 MiB."
    assert (untold.status_code, untold.json()["code"]) == (413, "import_too_large")
    assert untold.json()["detail"].endswith("um arquivo de contatos pode ter no máximo 1 MiB.")
    assert _kept(config) == before


async def test_errors_come_back_in_the_layout_of_the_upload_and_can_be_imported_again(
    tenant: httpx.AsyncClient,
) -> None:
    text = 'Nome;Telefone;Obs\n=HYPERLINK("x");12;+1\n"a;b";;-2\nSol;11 90000-0001;ok\nLua;34\n'
    done = await run_import(tenant, text)
    answer = await tenant.get(f"/api/imports/{done['id']}/errors.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    fixed = (
        answer.content.replace(b";12;", b";11 90000-0002;").replace(b';"";', b";;").replace(b";34;", b";11900000003;")
    )
    again = await run_import(tenant, fixed)
    contacts = {contact["number"]: contact for contact in await show(tenant, "contacts")}

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="import-{done["id"]}-errors.csv"'
    assert rows == [
        ["Nome", "Telefone", "Obs", "recado_reason"],
        ['\'=HYPERLINK("x")', "12", "'+1", "Digits are missing: write area code and number."],
        ["a;b", "", "'-2", "There is no number."],
        ["Lua", "34", "", "Digits are missing: write area code and number."],
    ]
    assert counts(again) == (2, 0, 0, 1)
    assert contacts["5511900000002"]["name"] == '=HYPERLINK("x")'
    assert contacts["5511900000002"]["variables"] == {"obs": "+1"}


async def test_errors_of_a_file_without_headers_get_some(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, "11 90000-1234,Sol,x\n12,Lua,y\n")
    answer = await tenant.get(f"/api/imports/{done['id']}/errors.csv")

    assert answer.content.decode("utf-8-sig") == (
        "number,name,column_3,recado_reason\r\n12,Lua,y,Digits are missing: write area code and number.\r\n"
    )


async def test_another_tenants_import_does_not_exist(tenant: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    theirs = (await upload(stranger, GOOD)).json()["data"]
    public = await add(stranger, "publics", name="Alheia")
    await add_contact(stranger)
    answers = [
        await tenant.get(f"/api/imports/{theirs['id']}"),
        await tenant.get(f"/api/imports/{theirs['id']}/errors.csv"),
        await tenant.post(f"/api/imports/{theirs['id']}/start"),
    ]
    joining = await upload(tenant, GOOD, public_id=str(public["id"]))

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert (joining.status_code, list(joining.json()["errors"])) == (422, ["public_id"])
    assert await show(stranger, "imports") == [theirs]


async def test_reasons_are_kept_in_the_language_of_the_account(tenant: httpx.AsyncClient, user: Member) -> None:
    await database.execute("UPDATE users SET locale = 'pt-BR' WHERE id = $1", user.id)
    done = await run_import(tenant, "Nome;Celular\nLua;ramal\n")
    rows = (await tenant.get(f"/api/imports/{done['id']}/errors.csv")).text.splitlines()
    assert rows[1] == "Lua;ramal;Um número não tem letras."
