"""Importing files: what goes in, what does not and why, and that a crash neither loses nor doubles a row."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import database
from core.config import PlatformConfig, server_variables
from core.contacts.importing import importer
from core.contacts.importing.headers import IGNORE, NUMBER
from core.contacts.importing.mapping import Column
from core.contacts.importing.reader import detect_form, read_records
from core.contacts.importing.rows import Row, read_row
from core.contacts.importing.services import get_import
from core.contacts.numbers import UnusableNumberError, normalize_number
from core.jobs import leasing
from core.jobs.services import JobContext, JobInterruptedError, cancel_job, get_job
from tests.conftest import ClientOf
from tests.core.contacts.importing.workbook_files import table, workbook
from tests.core.contacts.making import add, add_contact, counts, make_limited_member, run_import, show, upload
from tests.factories import Member

ROOT = Path(__file__).parents[4]
EXAMPLE = ROOT / "examples" / "contacts.csv"
NUMBERS = Path(__file__).with_name("example_numbers.tsv")


async def _contacts(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    return {contact["number"]: contact for contact in await show(client, "contacts?per_page=100")}


async def _failures(import_id: int) -> list[tuple[int, str, str, str]]:
    rows = await database.fetch(
        'SELECT line, "column", value, reason FROM import_errors WHERE import_id = $1 ORDER BY line', import_id
    )
    return [tuple(row) for row in rows]


async def test_good_rows_go_in_and_bad_rows_are_told(tenant: httpx.AsyncClient) -> None:
    done = await run_import(
        tenant,
        "Nome;Telefone;Cidade;Etiquetas\n"
        "Padaria Aurora;(11) 90000-1234;São Paulo;clientes, vip\n"
        "Sem Número;;Recife;\n"
        "Expoente;5,51199E+12;Recife;\n"
        "Oficina;+55 21 90000 5678;;VIP|vip\n",
    )
    contacts = await _contacts(tenant)
    labels = {label["name"]: label["id"] for label in await show(tenant, "labels")}

    assert (done["status"], counts(done), done["rows_total"], done["progress"]) == ("done", (2, 0, 0, 2), 4, 100)
    assert sorted(labels) == ["clientes", "vip"]
    padaria, oficina = contacts["5511900001234"], contacts["5521900005678"]
    assert (padaria["name"], padaria["variables"]) == ("Padaria Aurora", {"cidade": "São Paulo"})
    assert padaria["labels"] == [labels["clientes"], labels["vip"]]
    assert (oficina["name"], oficina["variables"], oficina["labels"]) == ("Oficina", {}, [labels["vip"]])
    assert await _failures(done["id"]) == [
        (3, "Telefone", "", "There is no number."),
        (
            4,
            "Telefone",
            "5,51199E+12",
            "The spreadsheet replaced digits by an exponent, and they are lost: store the column as text.",
        ),
    ]


async def test_contacts_that_exist_are_filled_and_never_overwritten(tenant: httpx.AsyncClient) -> None:
    old, new = [(await add(tenant, "labels", name=name))["id"] for name in ("velho", "novo")]
    full = await add_contact(
        tenant, number="11900000001", name="Antes", variables={"cidade": "Bonito", "cor": ""}, labels=[old]
    )
    same = await add_contact(tenant, number="11900000002", name="Igual", labels=[new])
    done = await run_import(
        tenant,
        "nome;numero;cidade;cor;tamanho\nDepois;11900000001;Outra;azul;M\nOutro nome;11900000002;;;\n",
        labels=str(new),
    )
    contacts = await _contacts(tenant)

    assert counts(done) == (0, 1, 1, 0)
    filled = contacts[full["number"]]
    assert (filled["name"], filled["labels"]) == ("Antes", [old, new])
    assert filled["variables"] == {"cidade": "Bonito", "cor": "azul", "tamanho": "M"}
    assert contacts[same["number"]] == same


async def test_contacts_that_exist_may_be_left_alone(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, number="11900000001")
    label = await add(tenant, "labels", name="novo")
    done = await run_import(
        tenant,
        "nome;numero\nDepois;11900000001\nNovo;11900000002\n",
        duplicates="skip",
        labels=f"[{label['id']}]",
        public_name="Arquivo",
    )

    assert counts(done) == (1, 0, 1, 0)
    assert await show(tenant, f"contacts/{contact['id']}") == contact
    assert (await show(tenant, f"publics/{done['public_id']}"))["contacts_count"] == 2


@pytest.mark.parametrize("batch", [1, 1000])
async def test_a_number_twice_in_the_file_is_one_contact(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", batch)
    done = await run_import(
        tenant,
        "nome;numero;cidade\n;11900000001;\nNome;+55 11 90000-0001;Bonito\nOutro;011 90000-0001;Rio\n",
    )
    (contact,) = (await _contacts(tenant)).values()

    assert counts(done) == (1, 1, 1, 0)
    assert (contact["name"], contact["variables"]) == ("Nome", {"cidade": "Bonito"})


async def test_the_same_file_again_changes_nothing(tenant: httpx.AsyncClient) -> None:
    text = "nome;numero\nUm;11900000001\nDois;11900000002\n"
    await run_import(tenant, text)
    before = await _contacts(tenant)
    again = await run_import(tenant, text)

    assert counts(again) == (0, 0, 2, 0)
    assert await _contacts(tenant) == before


async def test_two_imports_of_a_file_at_once_make_no_duplicate(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", 50)
    text = "numero\n" + "".join(f"119{90000000 + n}\n" for n in range(900))
    done = await asyncio.gather(run_import(tenant, text), run_import(tenant, text))

    assert sum(one["rows_created"] for one in done) == 900
    assert sum(one["rows_skipped"] for one in done) == 900
    assert (await tenant.get("/api/contacts")).json()["meta"]["total"] == 900


async def test_two_processes_that_import_a_file_at_once_make_no_duplicate(
    api: ClientOf, config: PlatformConfig
) -> None:
    user = await make_limited_member(contacts_limit=10_000)
    tenant = api(user)
    text = "nome;numero;etiquetas\n" + "".join(f"N{n};119{90000000 + n};feira,lote {n // 500}\n" for n in range(2000))
    started = [(await upload(tenant, text, start="true", public_name="Feira")).json()["data"] for _ in range(2)]
    processes = [_start(one["job_id"], config) for one in started]
    ended = [await asyncio.to_thread(process.wait, 60) for process in processes]
    done = [await show(tenant, f"imports/{one['id']}") for one in started]
    kept = await database.fetch("SELECT number FROM contacts WHERE user_id = $1 ORDER BY number", user.id)

    assert ended == [0, 0]
    assert [one["status"] for one in done] == ["done", "done"]
    assert [row["number"] for row in kept] == [f"55119{90000000 + n}" for n in range(2000)]
    assert sum(one["rows_created"] for one in done) == sum(one["rows_skipped"] for one in done) == 2000
    assert sorted(label["name"] for label in await show(tenant, "labels")) == [
        "feira",
        *[f"lote {n}" for n in range(4)],
    ]
    assert [(await show(tenant, f"publics/{one['public_id']}"))["contacts_count"] for one in done] == [2000, 2000]


async def test_a_running_import_tells_its_rate_and_the_seconds_left(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", 2)
    started = (await upload(tenant, "numero\n" + "".join(f"1190000000{n}\n" for n in range(8)), start="true")).json()
    import_id, job_id = started["data"]["id"], started["data"]["job_id"]
    seen: list[tuple[object, ...]] = []
    saved = JobContext.checkpoint

    def tens(seconds: int | None) -> int | None:
        """Leave out what the batch really took."""
        return None if seconds is None else seconds // 10 * 10

    async def checkpoint(self: JobContext, *args: Any, **more: Any) -> None:
        # The moment of the checkpoint before, so that each batch takes twenty seconds.
        await database.execute("UPDATE jobs SET updated_at = clock_timestamp() - interval '20 s' WHERE id = $1", job_id)
        await saved(self, *args, **more)
        told, job = await get_import(tenant_id, import_id), await get_job(tenant_id, job_id)
        seen.append((told.rows_per_second, told.seconds_left == job.seconds_left, job.rate, tens(told.seconds_left)))

    tenant_id = int(str(await database.fetch_value("SELECT user_id FROM imports WHERE id = $1", import_id)))
    monkeypatch.setattr(JobContext, "checkpoint", checkpoint)
    await leasing.run_job(job_id)
    done = await show(tenant, f"imports/{import_id}")

    assert seen == [(0.1, True, 0.1, left) for left in (60, 40, 20, 0)]
    assert (done["rows_per_second"], done["seconds_left"]) == (None, None)


async def test_a_file_may_join_an_audience_or_make_one(tenant: httpx.AsyncClient) -> None:
    public = await add(tenant, "publics", name="Minha")
    joined = await run_import(tenant, "numero\n11900000001\n", public_id=str(public["id"]))
    made = await run_import(tenant, "numero\n11900000001\n11900000002\n", public_name=" Nova  turma ")

    assert joined["public_id"] == public["id"]
    assert (await show(tenant, f"publics/{public['id']}"))["contacts_count"] == 1
    new = await show(tenant, f"publics/{made['public_id']}")
    assert (new["name"], new["type"], new["contacts_count"]) == ("Nova turma", 3, 2)


async def test_a_label_of_the_import_is_made_or_taken_by_its_name(tenant: httpx.AsyncClient) -> None:
    label = await add(tenant, "labels", name="Feira")
    for name in (" feira ", "Nova"):
        done = await run_import(tenant, "numero;etiquetas\n11900000001;\n11900000002;solta\n", label_name=name)
        assert done["label_name"] == name
    names = {label["id"]: label["name"] for label in await show(tenant, "labels")}
    found = [[names[one] for one in contact["labels"]] for contact in await show(tenant, "contacts?sort=number")]
    assert found == [["Feira", "Nova"], ["Feira", "solta", "Nova"]]
    assert names[label["id"]] == "Feira"


async def test_undo_removes_the_label_that_the_import_made_by_its_name(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, "numero\n11900000001\n", label_name="Feira")
    answer = await tenant.post(f"/api/imports/{done['id']}/undo")
    await leasing.run_job(answer.json()["data"]["undo"]["job_id"])
    assert (await show(tenant, "labels"), await show(tenant, "contacts")) == ([], [])


async def test_the_plan_decides_how_many_go_in_and_the_rest_is_told(api: ClientOf) -> None:
    member = await make_limited_member(contacts_limit=3)
    async with api(member) as client:
        await add_contact(client, number="11900000009")
        done = await run_import(
            client, "nome;numero\nA;11900000001\nB;11900000009\nC;11900000002\nD;11900000003\nE;11900000004\n"
        )
        numbers = sorted(await _contacts(client))

    reason = "The plan allows 3 contacts at a time, and they are used up."
    assert counts(done) == (2, 1, 0, 2)
    assert numbers == ["5511900000001", "5511900000002", "5511900000009"]
    assert await _failures(done["id"]) == [(5, "", "5511900000003", reason), (6, "", "5511900000004", reason)]


async def test_imports_and_requests_at_once_stay_within_the_plan(api: ClientOf) -> None:
    member = await make_limited_member(contacts_limit=10)
    async with api(member) as client:
        text = "numero\n" + "".join(f"1190000{n:04d}\n" for n in range(8))
        singles = [client.post("/api/contacts", json={"number": f"2190000{n:04d}"}) for n in range(1, 7)]
        await asyncio.gather(run_import(client, text), *singles)
        total = (await client.get("/api/contacts")).json()["meta"]["total"]

    assert total == 10


async def test_nobody_is_subscribed_again(tenant: httpx.AsyncClient, user: Member) -> None:
    await add(tenant, "block-contacts", number="11900000001")
    gone, quiet = await add_contact(tenant, number="11900000002"), await add_contact(tenant, number="11900000003")
    await database.execute("UPDATE contacts SET blocked_at = now() WHERE user_id = $1", user.id)
    await tenant.patch(f"/api/contacts/{quiet['id']}", json={"status": 2})
    await tenant.delete(f"/api/contacts/{gone['id']}")
    await run_import(tenant, "nome;numero\nA;11900000001\nB;11900000002\nC;11900000003\n")
    contacts = await _contacts(tenant)

    assert [contacts[f"551190000000{n}"]["blocked"] for n in (1, 2, 3)] == [True, True, True]
    assert contacts["5511900000003"]["status"] == 2


async def test_a_label_that_went_away_is_left_out(tenant: httpx.AsyncClient) -> None:
    label = await add(tenant, "labels", name="breve")
    answer = await upload(tenant, "numero\n11900000001\n", labels=str(label["id"]), start="true")
    await tenant.delete(f"/api/labels/{label['id']}")
    await leasing.run_job(answer.json()["data"]["job_id"])

    assert [contact["labels"] for contact in (await _contacts(tenant)).values()] == [[]]


async def test_a_canceled_import_keeps_its_batches_and_goes_on_when_started_again(
    tenant: httpx.AsyncClient, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", 100)
    text = "numero\n" + "".join(f"119{90000000 + n}\n" for n in range(1000))
    started = (await upload(tenant, text, start="true")).json()["data"]
    work = asyncio.create_task(leasing.run_job(started["job_id"]))
    await _until_done(started["job_id"], 1)
    await cancel_job(user.id, started["job_id"])
    await work
    canceled = await show(tenant, f"imports/{started['id']}")
    again = (await tenant.post(f"/api/imports/{started['id']}/start")).json()["data"]
    await leasing.run_job(again["job_id"])
    done = await show(tenant, f"imports/{started['id']}")

    assert canceled["status"] == "canceled"
    assert 0 < canceled["rows_created"] < 1000
    assert again["job_id"] != started["job_id"]
    assert (done["status"], counts(done)) == ("done", (1000, 0, 0, 0))


@pytest.mark.parametrize("kill_after", [1, 2000, 4000])
async def test_a_killed_import_goes_on_without_losing_or_doubling_a_row(
    api: ClientOf, config: PlatformConfig, kill_after: int
) -> None:
    user = await make_limited_member(contacts_limit=10_000)
    tenant = api(user)
    rows = [f"{f'Nome {n}' if n % 2 else ''};{'12' if n % 10 == 0 else 11990000000 + n // 2}" for n in range(6000)]
    text = "\n".join(["nome;numero", *rows])
    started = (await upload(tenant, text, start="true", public_name="Arquivo")).json()["data"]
    process = _start(started["job_id"], config)
    await _until_done(started["job_id"], kill_after)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    interrupted = await _done(started["job_id"])
    await database.execute("UPDATE jobs SET lease_until = now() WHERE id = $1", started["job_id"])
    await leasing.sweep()
    resumed = _start(started["job_id"], config)
    assert await asyncio.to_thread(resumed.wait, 60) == 0

    done = await show(tenant, f"imports/{started['id']}")
    numbers = {row.split(";")[1] for row in rows} - {"12"}
    kept = await database.fetch("SELECT number FROM contacts WHERE user_id = $1", user.id)
    assert kill_after <= interrupted < 6000
    assert done["status"] == "done"
    assert sorted(row["number"] for row in kept) == sorted(f"55{number}" for number in numbers)
    assert sum(counts(done)) == 6000
    assert (done["rows_created"], done["rows_failed"]) == (len(numbers), 600)
    assert len(await _failures(done["id"])) == 600
    assert (await show(tenant, f"publics/{done['public_id']}"))["contacts_count"] == len(numbers)


@pytest.mark.parametrize("batch", [1, 7, 1000])
async def test_titles_and_empty_rows_of_a_workbook_are_passed_over_wherever_the_import_goes_on(
    tenant: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", batch)
    contacts: list[list[str | int]] = [[f"Nome {n}", 11900000000 + n] for n in range(20)]
    book = workbook(table(["Clientes da feira"], [], ["Nome", "Celular"], [], *contacts, ["Curto", 12]))
    answer = await upload(tenant, book, start="true")
    started = answer.json()["data"]
    steps = 0

    async def checkpoint(self: JobContext, *args: Any, **more: Any) -> None:
        nonlocal steps
        await saved(self, *args, **more)
        steps += 1
        if steps == 3:
            raise JobInterruptedError

    saved = JobContext.checkpoint
    monkeypatch.setattr(JobContext, "checkpoint", checkpoint)
    for _ in range(2):
        await database.execute("UPDATE jobs SET lease_until = now() WHERE id = $1", started["job_id"])
        await leasing.run_job(started["job_id"])
    done = await show(tenant, f"imports/{started['id']}")

    assert (done["status"], done["rows_total"], counts(done)) == ("done", 21, (20, 0, 0, 1))
    assert [failure[:3] for failure in await _failures(done["id"])] == [(25, "Celular", "12")]


async def test_the_file_is_removed_once_it_is_imported(tenant: httpx.AsyncClient, config: PlatformConfig) -> None:
    answer = await upload(tenant, "numero\n11900000001\n", start="true")
    started = answer.json()["data"]
    path = await database.fetch_value("SELECT path FROM imports WHERE id = $1", started["id"])
    kept = config.data_folder / str(path)
    before = (kept.exists(), kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777)
    await leasing.run_job(started["job_id"])

    assert before == (True, 0o600, 0o700)
    assert not kept.exists()


async def test_a_file_that_is_not_there_fails_the_import_with_the_reason(
    tenant: httpx.AsyncClient, config: PlatformConfig
) -> None:
    started = (await upload(tenant, "numero\n11900000001\n", start="true")).json()["data"]
    path = await database.fetch_value("SELECT path FROM imports WHERE id = $1", started["id"])
    (config.data_folder / str(path)).unlink()
    await leasing.run_job(started["job_id"])
    failed = await show(tenant, f"imports/{started['id']}")

    assert failed["status"] == "failed"
    assert failed["error"].endswith("all must share the folder of [paths] data.")


async def test_the_example_comes_in_as_it_should(tenant: httpx.AsyncClient, user: Member) -> None:
    done = await run_import(tenant, EXAMPLE.read_bytes(), public_name="Exemplo")
    failures = await _failures(done["id"])

    assert counts(done) == (250, 1, 3, 12)
    assert [(line, value) for line, _, value, _ in failures] == [
        (62, ""),
        (75, "9000-1234"),
        (88, "(11) 9A000-12B4"),
        (101, "5,51199E+12"),
        (114, "5.51199E+12"),
        (127, "55 11 90000-123456"),
        (140, "(11) 90007-1111 / (11) 90007-2222"),
        (153, "(20) 90000-1234"),
        (166, "não tem"),
        (179, "000000000"),
        (192, "11 9*000-1234"),
        (205, "+55 11"),
    ]
    assert {label["name"] for label in await show(tenant, "labels")} == {
        "atacado",
        "clientes",
        "interessados",
        "revenda",
    }
    assert (
        await database.fetch_value("SELECT count(*) FROM contacts WHERE user_id = $1 AND number LIKE '%0000'", user.id)
        == 5
    )


def test_every_number_of_the_example_comes_out_right_line_by_line() -> None:
    form = detect_form(EXAMPLE)
    columns = [Column("telefone" if place == 1 else str(place), NUMBER if place == 1 else IGNORE) for place in range(5)]
    records = list(read_records(EXAMPLE, form))[1:]
    expected = [line.split("\t") for line in NUMBERS.read_text(encoding="utf-8").splitlines()]
    found = [read_row(record, columns, "BR") for record in records]

    # Digits, or the code of the reason why there are none.
    assert len(found) == 266
    for record, row, (line, number) in zip(records, found, expected, strict=True):
        told = row.number if isinstance(row, Row) else _code(row.value)
        assert (str(record.line), told) == (line, number), record.cells


def _code(written: str) -> str:
    with pytest.raises(UnusableNumberError) as refused:
        normalize_number(written)
    return refused.value.code


def _start(job_id: int, config: PlatformConfig) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(Path(__file__).with_name("import_process.py")), str(job_id), config.paths.data]
    environment = {**os.environ, **server_variables(config), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment)


async def _until_done(job_id: int, rows: int) -> None:
    async with asyncio.timeout(30):
        while await _done(job_id) < rows:  # noqa: ASYNC110 - another process does the work
            await asyncio.sleep(0.001)


async def _done(job_id: int) -> int:
    done = await database.fetch_value("SELECT done FROM jobs WHERE id = $1", job_id)
    assert isinstance(done, int)
    return done
