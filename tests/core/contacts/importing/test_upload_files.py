"""Files of imports go when nothing needs them any more."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import database
from core.config import PlatformConfig
from core.contacts.importing.upload_files import FOLDER, KEPT, clean_up
from core.jobs import leasing
from tests.core.contacts.making import run_import, show, upload

FILE = "Nome;Celular\nSol;11 90000-1234\n"
SECOND = timedelta(seconds=1)


async def uploaded(client: httpx.AsyncClient, **fields: str) -> dict[str, Any]:
    answer = await upload(client, FILE, **fields)
    made: dict[str, Any] = answer.json()["data"]
    return made


async def file_of(config: PlatformConfig, found: dict[str, Any]) -> Path:
    path = await database.fetch_value("SELECT path FROM imports WHERE id = $1", found["id"])
    return config.data_folder / str(path)


def moment(found: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(found[name])


async def test_an_upload_that_is_not_started_expires_after_a_day(
    tenant: httpx.AsyncClient, config: PlatformConfig
) -> None:
    found = await uploaded(tenant)
    path, created = await file_of(config, found), moment(found, "created_at")
    await clean_up(created + KEPT - SECOND)
    assert path.exists()
    await clean_up(created + KEPT + SECOND)
    assert not path.exists()
    assert (await show(tenant, f"imports/{found['id']}"))["status"] == "expired"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The file of import {id} is no longer kept: upload it again."),
        ("pt-BR", "O arquivo da importação {id} não está mais guardado: envie-o de novo."),
        ("es", "El archivo de la importación {id} ya no se guarda: súbalo de nuevo."),
    ],
)
async def test_an_expired_import_cannot_be_started(tenant: httpx.AsyncClient, language: str, text: str) -> None:
    found = await uploaded(tenant)
    await clean_up(moment(found, "created_at") + KEPT + SECOND)
    answer = await tenant.post(f"/api/imports/{found['id']}/start", headers={"Accept-Language": language})
    assert (answer.status_code, answer.json()["code"]) == (409, "import_expired")
    assert answer.json()["detail"] == text.format(id=found["id"])
    assert (await show(tenant, f"imports/{found['id']}"))["job_id"] is None


async def test_the_day_of_a_canceled_one_begins_with_its_end(tenant: httpx.AsyncClient, config: PlatformConfig) -> None:
    found = await uploaded(tenant, start="true")
    await tenant.post(f"/api/jobs/{found['job_id']}/cancel")
    await database.execute("UPDATE imports SET created_at = created_at - interval '3 days' WHERE id = $1", found["id"])
    path, ended = await file_of(config, found), moment(await show(tenant, f"jobs/{found['job_id']}"), "finished_at")
    await clean_up(ended + KEPT - SECOND)
    assert path.exists()
    await clean_up(ended + KEPT + SECOND)
    assert not path.exists()
    shown = await show(tenant, f"imports/{found['id']}")
    assert shown["status"] == "expired"


async def test_one_that_waits_or_runs_keeps_its_file(tenant: httpx.AsyncClient, config: PlatformConfig) -> None:
    found = await uploaded(tenant, start="true")
    path = await file_of(config, found)
    await clean_up(moment(found, "created_at") + 3 * KEPT)
    assert path.exists()
    await leasing.run_job(found["job_id"])
    assert (await show(tenant, f"imports/{found['id']}"))["status"] == "done"


async def test_a_done_one_stays_done(tenant: httpx.AsyncClient, config: PlatformConfig) -> None:
    found = await run_import(tenant, FILE)
    path = await file_of(config, found)
    path.write_text("left by a crash")
    await clean_up(moment(found, "created_at"))
    assert not path.exists()
    assert (await show(tenant, f"imports/{found['id']}"))["status"] == "done"


async def test_a_file_without_a_row_is_removed_after_a_day(config: PlatformConfig, tenant: httpx.AsyncClient) -> None:
    found = await uploaded(tenant)
    folder = config.data_folder / FOLDER
    now = moment(found, "created_at")
    stray, young, foreign = folder / f"{'a' * 32}.csv", folder / f"{'b' * 32}.csv", folder / "notes.txt"
    cut = folder / f"{'c' * 32}.upload"
    for path, age in ((stray, KEPT + SECOND), (young, KEPT - SECOND), (foreign, 3 * KEPT), (cut, KEPT + SECOND)):
        path.write_text("x")
        os.utime(path, ((now - age).timestamp(),) * 2)
    await clean_up(now)
    assert [path.exists() for path in (stray, young, foreign, cut)] == [False, True, True, False]
    young.unlink()
    foreign.unlink()


async def test_a_file_that_is_needed_stays_however_old_it_is(tenant: httpx.AsyncClient, config: PlatformConfig) -> None:
    found = await uploaded(tenant)
    path, now = await file_of(config, found), moment(found, "created_at")
    os.utime(path, (0, 0))
    await clean_up(now)
    assert path.exists()
