"""Taking imports back: what they made goes, what they changed is as it was, and what people did since stays."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import database
from core.config import PlatformConfig, server_variables
from core.contacts.importing import importer, storing
from core.contacts.importing import undo as import_undo
from core.contacts.importing.rows import Failure, Row
from core.jobs import leasing
from core.jobs.services import JobFailedError
from core.texts import text
from tests.conftest import ClientOf
from tests.core.campaigns.making import insert
from tests.core.contacts.making import add, add_contact, make_limited_member, run_import, show, upload
from tests.factories import Member

ROOT = Path(__file__).parents[4]
TABLES = {
    "contacts": "user_id = $1",
    "labels": "user_id = $1",
    "publics": "user_id = $1",
    "public_by_contacts": "public_id IN (SELECT id FROM publics WHERE user_id = $1)",
}


async def _snapshot(user: Member) -> dict[str, list[str]]:
    """Return every row of the tables of contacts as PostgreSQL writes it."""
    found = {}
    for table, own in TABLES.items():
        rows = await database.fetch(f"SELECT t::text AS row FROM {table} t WHERE {own} ORDER BY t.id", user.id)
        found[table] = [row["row"] for row in rows]
    return found


async def _ask(client: httpx.AsyncClient, import_id: int) -> httpx.Response:
    return await client.post(f"/api/imports/{import_id}/undo")


async def _undo(client: httpx.AsyncClient, import_id: int) -> dict[str, Any]:
    """Take an import back, do the job in this process, and return what the import tells of it."""
    answer = await _ask(client, import_id)
    assert answer.status_code == 200, answer.text
    await leasing.run_job(answer.json()["data"]["undo"]["job_id"])
    undo: dict[str, Any] = (await show(client, f"imports/{import_id}"))["undo"]
    assert (undo["status"], undo["progress"], undo["error"]) == ("done", 100, "")
    return undo


def _counts(undo: Mapping[str, Any]) -> tuple[int, ...]:
    names = ("contacts_removed", "contacts_kept", "contacts_restored", "memberships_removed", "labels_removed")
    return tuple(undo[name] for name in names)


async def _by_number(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    return {contact["number"]: contact for contact in await show(client, "contacts?per_page=100")}


@pytest.mark.parametrize("duplicates", ["fill", "skip", "overwrite"])
@pytest.mark.parametrize("batch", [2, 1000])
async def test_undo_restores_every_table_byte_for_byte(
    tenant: httpx.AsyncClient, user: Member, monkeypatch: pytest.MonkeyPatch, batch: int, duplicates: str
) -> None:
    monkeypatch.setattr(importer, "BATCH_ROWS", batch)
    monkeypatch.setattr(import_undo, "PORTION", 1)
    label = await add(tenant, "labels", name="velho")
    await add_contact(
        tenant, number="11900000001", name="Antes", variables={"cidade": "", "z": "1"}, labels=[label["id"]]
    )
    await add_contact(tenant, number="11900000002")
    await add_contact(tenant, number="11900000003", name="Fora")
    before = await _snapshot(user)
    done = await run_import(
        tenant,
        "nome;numero;cidade;etiquetas\n"
        "Um;11900000001;Bonito;novo\nDois;11900000002;;\nQuatro;11900000004;;outro,velho\n"
        "Cinco;11900000005;;\nUm outra vez;11900000001;Rio;mais\nQuatro;11900000004;Recife;\n",
        duplicates=duplicates,
        public_name="Feira",
    )
    between = await _snapshot(user)
    undo = await _undo(tenant, done["id"])

    assert (len(between["contacts"]), len(between["publics"]), len(between["public_by_contacts"])) == (5, 1, 4)
    assert await _snapshot(user) == before
    labels = len(between["labels"]) - len(before["labels"])
    assert (labels > 0, _counts(undo)) == (True, (2, 0, 0 if duplicates == "skip" else 2, 4, labels))
    assert await database.fetch("SELECT FROM import_steps WHERE import_id = $1", done["id"]) == []
    assert await database.fetch("SELECT FROM import_changes WHERE import_id = $1", done["id"]) == []


async def test_replaced_labels_and_an_audience_that_was_there_come_back(
    tenant: httpx.AsyncClient, user: Member
) -> None:
    old, new = [(await add(tenant, "labels", name=name))["id"] for name in ("velho", "novo")]
    contact = await add_contact(tenant, number="11900000001", labels=[old])
    public = await add(tenant, "publics", name="Minha")
    await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [contact["id"]]})
    before = await _snapshot(user)
    done = await run_import(
        tenant,
        "numero\n11900000001\n11900000002\n",
        labels=str(new),
        policies='{"labels": "replace"}',
        public_id=str(public["id"]),
    )
    between = await show(tenant, f"contacts/{contact['id']}")
    undo = await _undo(tenant, done["id"])

    assert between["labels"] == [new]
    assert await _snapshot(user) == before
    assert _counts(undo) == (1, 0, 1, 1, 0)


async def test_later_edits_by_hand_stay_field_by_field(tenant: httpx.AsyncClient) -> None:
    a, b, c = [(await add(tenant, "labels", name=name))["id"] for name in "abc"]
    contact = await add_contact(
        tenant, number="11900000001", name="", variables={"cidade": "", "cor": "", "x": "1"}, labels=[a]
    )
    done = await run_import(
        tenant, "nome;numero;cidade;cor;tamanho\nPlanilha;11900000001;Bonito;azul;M\n", labels=f"[{b}]"
    )
    filled = await show(tenant, f"contacts/{contact['id']}")
    variables = {**filled["variables"], "cidade": "Recife", "nova": "sim"}
    await tenant.patch(f"/api/contacts/{contact['id']}", json={"variables": variables, "labels": [a, b, c]})
    undo = await _undo(tenant, done["id"])
    restored = await show(tenant, f"contacts/{contact['id']}")

    assert (restored["name"], restored["labels"]) == ("", [a, c])
    assert restored["variables"] == {"cidade": "Recife", "cor": "", "x": "1", "nova": "sim"}
    assert restored["updated_at"] > filled["updated_at"]
    assert _counts(undo)[:3] == (0, 0, 1)


async def test_a_name_that_was_changed_since_stays(tenant: httpx.AsyncClient) -> None:
    contact = await add_contact(tenant, number="11900000001", name="Antes")
    done = await run_import(tenant, "nome;numero\nPlanilha;11900000001\n", duplicates="overwrite")
    await tenant.patch(f"/api/contacts/{contact['id']}", json={"name": "Por mim"})
    before = await show(tenant, f"contacts/{contact['id']}")
    undo = await _undo(tenant, done["id"])

    assert await show(tenant, f"contacts/{contact['id']}") == before
    assert _counts(undo)[:3] == (0, 0, 0)


async def test_contacts_in_use_since_stay_and_those_only_written_to_are_deleted(
    tenant: httpx.AsyncClient, user: Member
) -> None:
    public = await add(tenant, "publics", name="Escolhidos")
    done = await run_import(
        tenant,
        "nome;numero;etiquetas\n" + "".join(f"N{n};1190000000{n};feira\n" for n in range(1, 7)),
        public_name="Feira",
    )
    found = {number[-1]: contact["id"] for number, contact in (await _by_number(tenant)).items()}
    await tenant.patch(f"/api/contacts/{found['1']}", json={"name": "Ana"})
    await database.execute("UPDATE contacts SET last_inbound_at = now() WHERE id = $1", found["2"])
    await tenant.post(f"/api/publics/{public['id']}/contacts", json={"ids": [found["3"]]})
    await tenant.delete(f"/api/contacts/{found['4']}")
    now = datetime.now(UTC) + timedelta(seconds=1)
    campaign_id = await insert("campaigns", user_id=user.id, name="Feira", type=3, frozen_at=now)
    message_id = await insert("messages", campaign_id=campaign_id, content="Oi")
    keys = {"user_id": user.id, "campaign_id": campaign_id, "message_id": message_id}
    await insert("message_by_contacts", **keys, contact_id=found["5"], state="sent")
    undo = await _undo(tenant, done["id"])

    assert _counts(undo) == (2, 3, 0, 6, 0)
    assert {number[-1] for number in await _by_number(tenant)} == {"1", "2", "3"}
    rows = await database.fetch(
        "SELECT right(number, 1) AS n FROM contacts WHERE user_id = $1 AND deleted_at IS NOT NULL ORDER BY n", user.id
    )
    assert [row["n"] for row in rows] == ["4", "5"]
    assert [label["name"] for label in await show(tenant, "labels")] == ["feira"]
    assert (await show(tenant, f"imports/{done['id']}"))["public_id"] is None


async def test_whoever_opted_out_stays_so(tenant: httpx.AsyncClient, user: Member) -> None:
    done = await run_import(tenant, "numero\n11900000001\n")
    await database.execute("UPDATE contacts SET blocked_at = now() WHERE user_id = $1", user.id)
    await _undo(tenant, done["id"])
    await run_import(tenant, "numero\n11900000001\n")

    assert [contact["blocked"] for contact in (await _by_number(tenant)).values()] == [True]


async def test_labels_and_audiences_that_somebody_uses_stay(tenant: httpx.AsyncClient) -> None:
    done = await run_import(tenant, "numero;etiquetas\n11900000001;feira\n11900000002;solta\n", public_name="Feira")
    label = next(one for one in await show(tenant, "labels") if one["name"] == "feira")
    await add(tenant, "publics", name="Os da feira", type=2, filters={"labels": {"any": [label["id"]]}})
    await tenant.patch(f"/api/publics/{done['public_id']}", json={"name": "Guardada"})
    undo = await _undo(tenant, done["id"])

    assert _counts(undo) == (2, 0, 0, 2, 1)
    assert [one["name"] for one in await show(tenant, "labels")] == ["feira"]
    assert (await show(tenant, f"publics/{done['public_id']}"))["contacts_count"] == 0


async def test_a_second_import_keeps_what_it_changed(tenant: httpx.AsyncClient) -> None:
    first = await run_import(tenant, "nome;numero\n;11900000001\n;11900000002\n")
    second = await run_import(tenant, "nome;numero\nAna;11900000001\n")
    assert _counts(await _undo(tenant, first["id"]))[:2] == (1, 1)
    assert _counts(await _undo(tenant, second["id"]))[:3] == (0, 0, 1)

    assert [(one["number"], one["name"]) for one in (await _by_number(tenant)).values()] == [("5511900000001", "")]


async def test_an_import_is_taken_back_once_and_never_goes_on_afterwards(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    waiting = (await upload(tenant, "numero\n11900000009\n")).json()["data"]
    running = (await upload(tenant, "numero\n11900000008\n", start="true")).json()["data"]
    done = await run_import(tenant, "numero\n11900000001\n")
    refused = [await _ask(tenant, one["id"]) for one in (waiting, running)]
    foreign = await _ask(stranger, done["id"])
    await _undo(tenant, done["id"])
    refused += [await _ask(tenant, done["id"]), await tenant.post(f"/api/imports/{done['id']}/start")]

    assert [(one.status_code, one.json()["code"]) for one in refused] == [
        (409, "import_not_ended"),
        (409, "import_not_ended"),
        (409, "import_undone"),
        (409, "import_undone"),
    ]
    assert foreign.status_code == 404


async def test_after_thirty_days_an_import_stays_and_what_was_kept_for_it_goes(tenant: httpx.AsyncClient) -> None:
    await add_contact(tenant, number="11900000001", name="")
    old, new = [await run_import(tenant, f"nome;numero\nA;11900000001\nB;1190000000{n}\n") for n in (2, 3)]
    until = datetime.fromisoformat(old["undo_until"]) - datetime.fromisoformat(old["finished_at"])
    await database.execute(
        "UPDATE jobs SET finished_at = finished_at - interval '30 days' WHERE id = $1", old["job_id"]
    )
    refused = await _ask(tenant, old["id"])
    removed = await import_undo.clean_up(datetime.now(UTC) + timedelta(seconds=1))
    kept = await database.fetch("SELECT import_id FROM import_steps WHERE import_id = ANY($1)", [old["id"], new["id"]])

    assert until == timedelta(days=30)
    assert (refused.status_code, refused.json()["code"]) == (409, "import_too_old")
    assert (await show(tenant, f"imports/{old['id']}"))["undo_until"] is None
    assert removed >= 2
    assert [row["import_id"] for row in kept] == [new["id"]]
    assert await database.fetch("SELECT FROM import_changes WHERE import_id = $1", old["id"]) == []


async def test_a_failed_import_is_taken_back_as_far_as_it_came(
    tenant: httpx.AsyncClient, user: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await _snapshot(user)
    monkeypatch.setattr(importer, "BATCH_ROWS", 2)
    started = (await upload(tenant, "numero\n11900000001\n11900000002\n11900000003\n", start="true")).json()["data"]

    async def fail_at_the_last(plan: storing.Plan, batch: list[Row | Failure]) -> None:
        await storing.store_batch(plan, batch)
        if len(batch) == 1:
            raise JobFailedError(text("import_file_missing"))

    monkeypatch.setattr(importer, "store_batch", fail_at_the_last)
    await leasing.run_job(started["job_id"])
    failed = await show(tenant, f"imports/{started['id']}")
    undo = await _undo(tenant, started["id"])

    assert (failed["status"], failed["rows_created"]) == ("failed", 2)
    assert _counts(undo)[0] == 2
    assert await _snapshot(user) == before


@pytest.mark.parametrize("kill_after", [1, 1000])
async def test_a_killed_undo_goes_on_where_it_stopped(
    api: ClientOf, config: PlatformConfig, kill_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await make_limited_member(contacts_limit=10_000)
    tenant = api(user)
    for n in range(3):
        await add_contact(tenant, number=f"1199000000{n}")
    before = await _snapshot(user)
    monkeypatch.setattr(importer, "BATCH_ROWS", 100)
    rows = [f"Nome {n};{11990000000 + n}" for n in range(4000)]
    done = await run_import(tenant, "\n".join(["nome;numero", *rows]), public_name="Arquivo")
    job_id = (await _ask(tenant, done["id"])).json()["data"]["undo"]["job_id"]
    process = _start(job_id, config)
    await _until_done(job_id, kill_after)
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    interrupted = await _done(job_id)
    await database.execute("UPDATE jobs SET lease_until = now() WHERE id = $1", job_id)
    await leasing.sweep()
    await leasing.run_job(job_id)
    undo = (await show(tenant, f"imports/{done['id']}"))["undo"]

    assert kill_after <= interrupted < 4000
    assert (undo["status"], *_counts(undo)) == ("done", 3997, 0, 3, 4000, 0)
    assert await _snapshot(user) == before


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
