"""Looking at an import before it starts, and changing what is made of its file."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core import database
from core.config import PlatformConfig
from core.contacts.importing.upload_files import FOLDER
from tests.core.contacts.importing.workbook_files import table, workbook
from tests.core.contacts.making import add, add_contact, counts, run_import, run_job, show, upload
from tests.factories import Member

UNKNOWN = "Apelido;Contato principal;Bairro\nSol;11 90000-1234;Centro\nLua;12;Norte\n"


async def _uploaded(client: httpx.AsyncClient, content: bytes | str, **fields: str) -> dict[str, Any]:
    answer = await upload(client, content, **fields)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()["data"]
    return shown


async def _change(client: httpx.AsyncClient, import_id: int, **changes: Any) -> httpx.Response:
    return await client.patch(f"/api/imports/{import_id}", json=changes)


async def _fields(client: httpx.AsyncClient, content: bytes | str) -> tuple[list[str], str]:
    shown = await _uploaded(client, content)
    return [column["field"] for column in shown["columns"]], shown["mapping_source"]


async def test_a_preview_shows_rows_as_they_would_be_stored(tenant: httpx.AsyncClient) -> None:
    known = await add_contact(tenant, number="5521900005678")
    made = await _uploaded(
        tenant, "Nome;Celular;Cidade;Etiquetas\n Sol ;(11) 90000-1234;Bonito;vip; a,b\nLua;12;;\nMar;21 90000 5678;;\n"
        .replace("vip; a,b", '"vip; a,b"'),
    )  # fmt: skip
    shown = await show(tenant, f"imports/{made['id']}/preview")

    assert shown == {
        "file": made["file"],
        "columns": made["columns"],
        "mapping_source": "recognized",
        "default_country": "BR",
        "rows_total": 3,
        "problems": 1,
        "rows": [
            {
                "line": 2,
                "outcome": "created",
                "contact_id": None,
                "number": "5511900001234",
                "number_formatted": "+55 11 90000-1234",
                "name": "Sol",
                "variables": {"cidade": "Bonito"},
                "labels": ["vip", "a", "b"],
                "problem": None,
            },
            {
                "line": 3,
                "outcome": "failed",
                "contact_id": None,
                "number": "",
                "number_formatted": "",
                "name": "",
                "variables": {},
                "labels": [],
                "problem": {
                    "column": "Celular",
                    "value": "12",
                    "reason": "Digits are missing: write area code and number.",
                },
            },
            {
                "line": 4,
                "outcome": "updated",
                "contact_id": known["id"],
                "number": "5521900005678",
                "number_formatted": "+55 21 90000-5678",
                "name": "Mar",
                "variables": {},
                "labels": [],
                "problem": None,
            },
        ],
    }
    assert len(await show(tenant, "contacts")) == 1


POLICIES: list[tuple[dict[str, str], tuple[str, dict[str, str], list[str]], list[str]]] = [
    ({}, ("Sol", {"cidade": "Bonito", "rua": "A"}, ["old", "Vip", "new", "all"]), ["updated", "skipped"]),
    ({"duplicates": "skip"}, ("Sol", {"cidade": "Bonito"}, ["old"]), ["skipped", "skipped"]),
    (
        {"duplicates": "overwrite"},
        ("Lua", {"cidade": "Natal", "rua": "B"}, ["old", "Vip", "new", "all"]),
        ["updated", "updated"],
    ),
    (
        {"policies": '{"name": "overwrite", "variables.cidade": "keep", "labels": "replace"}'},
        ("Lua", {"cidade": "Bonito", "rua": "A"}, ["Vip", "all"]),
        ["updated", "updated"],
    ),
]


@pytest.mark.parametrize(("fields", "stored", "outcomes"), POLICIES)
async def test_of_contacts_that_exist_a_preview_shows_what_the_policies_make_of_them(
    tenant: httpx.AsyncClient,
    fields: dict[str, str],
    stored: tuple[str, dict[str, str], list[str]],
    outcomes: list[str],
) -> None:
    old, every = await add(tenant, "labels", name="old"), await add(tenant, "labels", name="Vip")
    contact = {"number": "5511900001234", "name": "Sol", "variables": {"cidade": "Bonito"}, "labels": [old["id"]]}
    known = await add_contact(tenant, **contact)
    content = (
        "Nome;Celular;Cidade;Rua;Etiquetas\nMar;11 90000-1234;;A;new,VIP\nLua;11 90000-1234;Natal;B;\n"
        "Rio;21 90000-5678;;;a\nFim;21 90000-5678;Natal;;a, b\n"
    )
    made = await _uploaded(tenant, content, labels=str(every["id"]), label_name="all", **fields)
    shown = (await show(tenant, f"imports/{made['id']}/preview"))["rows"]
    untouched = await show(tenant, f"contacts/{known['id']}")
    await run_job(tenant, (await tenant.post(f"/api/imports/{made['id']}/start")).json()["data"]["job_id"])
    labels = {label["id"]: label["name"] for label in await show(tenant, "labels")}
    contacts = {
        one["number"]: (one["name"], one["variables"], sorted(labels[label] for label in one["labels"]))
        for one in await show(tenant, "contacts")
    }

    assert [row["outcome"] for row in shown[:2]] == outcomes
    assert [row["contact_id"] for row in shown] == [known["id"], known["id"], None, None]
    assert shown[2]["outcome"] == "created"
    assert (shown[1]["name"], shown[1]["variables"], sorted(shown[1]["labels"])) == (*stored[:2], sorted(stored[2]))
    assert untouched == known
    for row in (shown[1], shown[3]):
        assert contacts[row["number"]] == (row["name"], row["variables"], sorted(row["labels"]))


async def test_another_tenants_contact_and_label_are_no_part_of_a_preview(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    theirs = await add(stranger, "labels", name="VIP")
    await add_contact(stranger, number="5511900001234", name="Lua", labels=[theirs["id"]])
    made = await _uploaded(tenant, "numero;etiquetas\n11 90000-1234;vip\n")
    [row] = (await show(tenant, f"imports/{made['id']}/preview"))["rows"]

    assert (row["outcome"], row["contact_id"], row["name"], row["labels"]) == ("created", None, "", ["vip"])


async def test_the_number_of_rows_and_the_language_are_the_callers(tenant: httpx.AsyncClient) -> None:
    made = await _uploaded(tenant, "numero\n12\n13\n14\n")
    answer = await tenant.get(f"/api/imports/{made['id']}/preview?rows=2", headers={"accept-language": "es"})
    refused = await tenant.get(f"/api/imports/{made['id']}/preview?rows=101")

    assert [row["line"] for row in answer.json()["data"]["rows"]] == [2, 3]
    assert answer.json()["data"]["rows"][0]["problem"]["reason"].startswith("Faltan dígitos")
    assert (refused.status_code, list(refused.json()["errors"])) == (422, ["rows"])


async def test_a_workbook_tells_its_sheets_and_where_its_header_is(tenant: httpx.AsyncClient) -> None:
    rows = table(["Clientes da feira"], [], ["Nome", "Celular"], ["Sol", 5511900001234])
    made = await _uploaded(tenant, workbook(rows, sheets={"Leia-me": table(["x"])}, states={"Leia-me": "veryHidden"}))
    other = await _uploaded(tenant, workbook(rows, sheets={"Antes": table(["fone"], [21900005678])}), sheet="dados")
    first = await _uploaded(tenant, workbook(rows, sheets={"Antes": table(["fone"], [21900005678])}))
    shown = await show(tenant, f"imports/{made['id']}/preview")

    assert made["file"] == {
        "kind": "xlsx",
        "encoding": None,
        "delimiter": None,
        "sheet": "Dados",
        "sheets": ["Dados"],
        "header": True,
        "header_line": 3,
    }
    assert [(row["line"], row["number"], row["name"]) for row in shown["rows"]] == [(4, "5511900001234", "Sol")]
    assert (other["file"]["sheet"], other["file"]["sheets"]) == ("Dados", ["Antes", "Dados"])
    assert (first["file"]["sheet"], first["rows_total"]) == ("Antes", 1)


async def test_numbers_that_no_header_names_are_guessed_and_not_started_unseen(tenant: httpx.AsyncClient) -> None:
    refused = await upload(tenant, UNKNOWN, start="true")
    made = await _uploaded(tenant, UNKNOWN)

    assert refused.status_code == 422
    assert refused.json()["errors"]["file"][0].startswith("No column holds the numbers.")
    assert made["mapping_source"] == "guessed"
    assert [column["field"] for column in made["columns"]] == ["variables.apelido", "number", "variables.bairro"]


async def test_what_is_chosen_is_kept_for_the_next_file_with_these_headers(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    made = await _uploaded(tenant, UNKNOWN)
    changed = await _change(tenant, made["id"], mapping={"Apelido": "name", "column_3": "ignore"})
    before_start = await _fields(tenant, UNKNOWN)
    await tenant.post(f"/api/imports/{made['id']}/start")
    swapped = "bairro;APELIDO;contato  principal\nx;Mar;21 90000-5678\n"

    assert [column["field"] for column in changed.json()["data"]["columns"]] == ["name", "number", "ignore"]
    assert changed.json()["data"]["mapping_source"] == "guessed"
    assert before_start == (["variables.apelido", "number", "variables.bairro"], "guessed")
    assert await _fields(tenant, swapped) == (["ignore", "name", "number"], "saved")
    assert await _fields(tenant, UNKNOWN.replace("Bairro", "Rua")) == (
        ["variables.apelido", "number", "variables.rua"],
        "guessed",
    )
    assert await _fields(stranger, UNKNOWN) == (["variables.apelido", "number", "variables.bairro"], "guessed")


async def test_a_kept_mapping_is_replaced_by_the_next_choice(tenant: httpx.AsyncClient, user: Member) -> None:
    for field in ("name", "variables.alcunha"):
        made = await _uploaded(tenant, UNKNOWN)
        await _change(tenant, made["id"], mapping={"Apelido": field, "Contato principal": "number"})
        await tenant.post(f"/api/imports/{made['id']}/start")

    assert await _fields(tenant, UNKNOWN) == (["variables.alcunha", "number", "variables.bairro"], "saved")
    kept = await database.fetch_value("SELECT count(*) FROM import_mappings WHERE user_id = $1", user.id)
    assert kept == 1


async def test_two_columns_of_one_name_are_told_apart_by_their_places(tenant: httpx.AsyncClient) -> None:
    made = await _uploaded(tenant, "nome;fone;fone\nSol;12;11 90000-1234\n")
    answer = await _change(tenant, made["id"], mapping={"column_3": "number", "fone": "ignore"})
    await tenant.post(f"/api/imports/{made['id']}/start")

    assert [column["field"] for column in answer.json()["data"]["columns"]] == ["name", "ignore", "number"]
    assert await _fields(tenant, "nome;fone;fone\nSol;12;11 90000-1234\n") == (["name", "ignore", "number"], "saved")


async def test_header_country_encoding_and_delimiter_may_be_changed(tenant: httpx.AsyncClient) -> None:
    content = "Zoé;912 345 678\nÉva;912 345 679\n".encode("cp850")
    made = await _uploaded(tenant, content, default_country="PT", encoding="ibm850", delimiter=";")
    german = await _change(tenant, made["id"], default_country="DE", header=True)
    back = await _change(tenant, made["id"], default_country="PT", header=False)
    wrong = await _change(tenant, made["id"], encoding="windows-1252")
    shown = await show(tenant, f"imports/{made['id']}/preview")

    assert (made["file"]["encoding"], made["file"]["header"], made["rows_total"]) == ("ibm850", False, 2)
    german_data = german.json()["data"]
    assert (german_data["rows_total"], german_data["file"]["header_line"]) == (1, 1)
    assert [column["header"] for column in german_data["columns"]] == ["Zoé", "912 345 678"]
    assert (back.json()["data"]["rows_total"], back.json()["data"]["default_country"]) == (2, "PT")
    assert wrong.status_code == 422
    assert wrong.json()["errors"] == {"encoding": ["The file is not written in windows-1252."]}
    assert [(row["name"], row["number"]) for row in shown["rows"]] == [("Zoé", "351912345678"), ("Éva", "351912345679")]


async def test_an_encoding_may_be_told_that_would_not_be_found(tenant: httpx.AsyncClient) -> None:
    made = await _uploaded(tenant, "nome;numero\nGroße;11 90000-1234\n".encode("cp850"))
    changed = await _change(tenant, made["id"], encoding="ibm850")
    shown = await show(tenant, f"imports/{made['id']}/preview")

    assert made["file"]["encoding"] == "windows-1252"
    assert changed.json()["data"]["file"]["encoding"] == "ibm850"
    assert shown["rows"][0]["name"] == "Große"


async def test_whether_the_first_row_is_a_header_may_be_told(tenant: httpx.AsyncClient) -> None:
    made = await _uploaded(tenant, "numero;nome\n11 90000-1234;Sol\n", header="false")
    shown = await show(tenant, f"imports/{made['id']}/preview")
    changed = await _change(tenant, made["id"], header=None)

    assert [row["problem"] is None for row in shown["rows"]] == [False, True]
    assert (made["rows_total"], changed.json()["data"]["rows_total"]) == (2, 1)


async def test_audience_and_labels_may_be_changed(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="Minha")
    label = await add(tenant, "labels", name="vip")
    made = await _uploaded(tenant, "numero\n11 90000-1234\n", public_name="Nova")
    changed = await _change(tenant, made["id"], public_id=public["id"], labels=[label["id"]], duplicates="skip")
    twice = await _change(tenant, made["id"], public_id=public["id"], public_name="Nova")
    data = changed.json()["data"]

    assert made["public_name"] == "Nova"
    assert (data["public_id"], data["public_name"], data["labels"]) == (public["id"], None, [label["id"]])
    assert data["duplicates"] == "skip"
    assert (twice.status_code, list(twice.json()["errors"])) == (422, ["public_name"])


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"mapping": {"Rua": "name"}}, {"mapping.Rua": ["The file has no such column."]}),
        ({"mapping": {"column_4": "name"}}, {"mapping.column_4": ["The file has no such column."]}),
        ({"mapping": {"Fone": "ignore"}}, {"mapping.Fone": ["No column is left that holds the numbers."]}),
        ({"mapping": {"Fone": "number", "column_2": "name"}}, {"mapping.column_2": ["This column is mapped twice."]}),
        ({"default_country": "XX"}, {"default_country": ["There is no such country."]}),
        (
            {"encoding": "ebcdic"},
            {"encoding": ["Must be one of: utf-8, utf-16le, utf-16be, windows-1252, macintosh, ibm850."]},
        ),
        ({"sheet": "x"}, {"sheet": ["This field is not known."]}),
    ],
)
async def test_a_change_that_does_not_fit_changes_nothing(
    tenant: httpx.AsyncClient, changes: dict[str, Any], errors: dict[str, list[str]]
) -> None:
    made = await _uploaded(tenant, "Nome;Fone\nSol;11 90000-1234\n")
    answer = await _change(tenant, made["id"], **changes)

    assert (answer.status_code, answer.json()["errors"]) == (422, errors)
    assert await show(tenant, f"imports/{made['id']}") == made


async def test_of_two_changes_at_once_the_second_is_told(tenant: httpx.AsyncClient) -> None:
    made = await _uploaded(tenant, "numero\n11 90000-1234\n")
    outside = contextvars.copy_context()
    async with database.unit_of_work():
        await database.execute(
            """UPDATE imports SET options = options || '{"duplicates": "skip"}' WHERE id = $1""", made["id"]
        )
        # In a context of its own: as a task of this one it would share the transaction.
        change = asyncio.get_running_loop().create_task(_change(tenant, made["id"], header=True), context=outside)
        await _until_blocked()
    answer = await change

    assert (answer.status_code, answer.json()["code"]) == (409, "try_again")
    assert (await show(tenant, f"imports/{made['id']}"))["duplicates"] == "skip"


async def _until_blocked() -> None:
    """Wait until another transaction waits for a row that the present one holds."""
    blocked = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    )
    async with asyncio.timeout(30):
        while not await database.fetch_value(blocked):  # noqa: ASYNC110 - the database tells no event
            await asyncio.sleep(0.01)


async def test_once_started_nothing_is_changed_and_once_gone_nothing_is_shown(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, "numero\n11 90000-1234\n")
    changed = await _change(tenant, done["id"], duplicates="skip")
    shown = await tenant.get(f"/api/imports/{done['id']}/preview")

    assert (changed.status_code, changed.json()["code"]) == (409, "import_started")
    assert (shown.status_code, shown.json()["code"]) == (409, "import_expired")


async def test_another_tenants_import_is_not_shown_or_changed(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    theirs = await _uploaded(stranger, "numero\n11 90000-1234\n")

    assert (await tenant.get(f"/api/imports/{theirs['id']}/preview")).status_code == 404
    assert (await _change(tenant, theirs["id"], duplicates="skip")).status_code == 404
    assert await show(stranger, f"imports/{theirs['id']}") == theirs


async def test_errors_of_a_workbook_can_be_corrected_and_sent_again(tenant: httpx.AsyncClient) -> None:
    rows = table(["Nome", "Celular", "Obs"], ["Sol", 11900001234, "a\nb"], ["Lua", 12, "=1+1"], ["Mar", "", "x;y"])
    done = await run_import(tenant, workbook(rows))
    answer = await tenant.get(f"/api/imports/{done['id']}/errors.csv")
    again = await run_import(tenant, answer.content.replace(b"Lua,12", b"Lua,21 90000-5678"))
    last = await tenant.get(f"/api/imports/{again['id']}/errors.csv")

    assert answer.content.decode("utf-8-sig") == (
        "Nome,Celular,Obs,recado_reason\r\n"
        "Lua,12,'=1+1,Digits are missing: write area code and number.\r\n"
        "Mar,,x;y,There is no number.\r\n"
    )
    assert (counts(done), counts(again)) == ((1, 0, 0, 2), (1, 0, 0, 1))
    assert last.content.decode("utf-8-sig") == "Nome,Celular,Obs,recado_reason\r\nMar,,x;y,There is no number.\r\n"
    assert {contact["name"]: contact["variables"] for contact in await show(tenant, "contacts")} == {
        "Sol": {"obs": "a\nb"},
        "Lua": {"obs": "=1+1"},
    }


async def test_a_chosen_mapping_holds_for_the_file_of_errors(tenant: httpx.AsyncClient) -> None:
    named = await run_import(
        tenant, UNKNOWN, mapping='{"Apelido": "name", "Contato principal": "number", "Bairro": "ignore"}'
    )
    errors = (await tenant.get(f"/api/imports/{named['id']}/errors.csv")).content
    unnamed = await run_import(tenant, "11 90000-1235,Sol,x\n12,Lua,y\n", mapping='{"column_3": "ignore"}')
    unnamed_errors = (await tenant.get(f"/api/imports/{unnamed['id']}/errors.csv")).content

    assert await _fields(tenant, errors) == (["name", "number", "ignore", "ignore"], "saved")
    assert unnamed_errors.startswith("\ufeffnumber,name,recado_ignored_3,recado_reason\r\n".encode())
    assert await _fields(tenant, unnamed_errors.replace(b"12", b"21900005678")) == (
        ["number", "name", "ignore", "ignore"],
        "recognized",
    )


async def test_what_cannot_hold_contacts_is_refused_before_the_rest_is_read(
    tenant: httpx.AsyncClient, config: PlatformConfig
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n%PDF-1.7\n' + b"x" * 8192
        for _ in range(10_000):
            sent += 1
            yield b"y" * 65_536

    before = sorted((config.data_folder / FOLDER).glob("*"))
    answer = await tenant.post(
        "/api/imports", content=body(), headers={"content-type": "multipart/form-data; boundary=x"}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"] == {"file": ["This is PDF: send a CSV file or an Excel workbook (.xlsx)."]}
    assert sent < 100
    assert sorted((config.data_folder / FOLDER).glob("*")) == before
