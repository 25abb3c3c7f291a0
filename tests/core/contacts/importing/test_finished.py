"""What the tenant is told when an import is over: once for each of its jobs, however that ended."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from core import database
from core.events.catalogue import ImportFinished
from core.jobs import leasing
from core.jobs.services import cancel_job
from core.runtime import config
from tests.core.contacts.making import run_import, show, upload
from tests.core.told import told
from tests.factories import Member

ROWS = "nome;numero\nAna;11900000001\nAna;11900000001\nBia;\n"


def _finished(made: dict[str, Any], status: str, *counts: int) -> ImportFinished:
    """Return the event with the counts of created, skipped and failed rows."""
    created, skipped, failed = counts or (0, 0, 0)
    return ImportFinished(
        import_id=made["id"],
        name="contacts.csv",
        status=status,
        rows_total=3,
        rows_created=created,
        rows_updated=0,
        rows_skipped=skipped,
        rows_failed=failed,
    )


async def _upload(tenant: httpx.AsyncClient) -> dict[str, Any]:
    """Upload a file whose import waits to be done."""
    made: dict[str, Any] = (await upload(tenant, ROWS, start="true")).json()["data"]
    return made


async def test_its_end_is_told_once_with_its_counts(
    tenant: httpx.AsyncClient, user: Member, other_user: Member
) -> None:
    done = await run_import(tenant, ROWS)
    await leasing.run_job(done["job_id"])
    assert await told(user.id) == [_finished(done, "done", 1, 1, 1)]
    assert await told(other_user.id) == []


async def test_nothing_is_told_before_it_ends(tenant: httpx.AsyncClient, user: Member) -> None:
    await _upload(tenant)
    assert await told(user.id) == []


async def test_one_that_failed(tenant: httpx.AsyncClient, user: Member) -> None:
    made = await _upload(tenant)
    path = await database.fetch_value("SELECT path FROM imports WHERE id = $1", made["id"])
    (config().data_folder / Path(str(path))).unlink()
    for _ in range(2):
        await leasing.run_job(made["job_id"])
    assert await told(user.id) == [_finished(made, "failed")]


async def test_one_that_was_canceled_before_it_began_and_is_done_later(tenant: httpx.AsyncClient, user: Member) -> None:
    made = await _upload(tenant)
    for _ in range(2):
        assert (await tenant.post(f"/api/jobs/{made['job_id']}/cancel")).status_code == 200
    assert await told(user.id) == [_finished(made, "canceled")]
    again = (await tenant.post(f"/api/imports/{made['id']}/start")).json()["data"]
    await leasing.run_job(again["job_id"])
    assert await told(user.id) == [_finished(made, "canceled"), _finished(made, "done", 1, 1, 1)]


async def test_one_whose_cancellation_its_worker_sees(tenant: httpx.AsyncClient, user: Member) -> None:
    made = await _upload(tenant)
    await database.execute("UPDATE jobs SET cancel_requested_at = now() WHERE id = $1", made["job_id"])
    for _ in range(2):
        await leasing.run_job(made["job_id"])
    assert await told(user.id) == [_finished(made, "canceled")]


@pytest.mark.parametrize(("asked", "status"), [("NULL", "failed"), ("now()", "canceled")])
async def test_one_whose_workers_died(tenant: httpx.AsyncClient, user: Member, asked: str, status: str) -> None:
    made = await _upload(tenant)
    await database.execute(
        f"UPDATE jobs SET status = 'running', holder = 'gone', attempts = $2, cancel_requested_at = {asked},"
        " lease_until = now() - interval '1 s' WHERE id = $1",
        made["job_id"],
        leasing.MAX_ATTEMPTS,
    )
    for _ in range(2):
        await leasing.sweep()
    assert (await show(tenant, f"imports/{made['id']}"))["status"] == status
    assert await told(user.id) == [_finished(made, status)]


async def test_nobody_is_told_of_an_end_that_was_rolled_back(tenant: httpx.AsyncClient, user: Member) -> None:
    made = await _upload(tenant)

    async def cancel_and_fail() -> None:
        async with database.unit_of_work():
            await cancel_job(user.id, made["job_id"])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await cancel_and_fail()
    assert await told(user.id) == []


async def test_another_tenant_ends_nothing(
    tenant: httpx.AsyncClient, stranger: httpx.AsyncClient, user: Member, other_user: Member
) -> None:
    made = await _upload(tenant)
    assert (await stranger.post(f"/api/jobs/{made['job_id']}/cancel")).status_code == 404
    assert (await told(user.id), await told(other_user.id)) == ([], [])


async def test_taking_it_back_is_no_import(tenant: httpx.AsyncClient, user: Member) -> None:
    done = await run_import(tenant, ROWS)
    answer = await tenant.post(f"/api/imports/{done['id']}/undo")
    await leasing.run_job(answer.json()["data"]["undo"]["job_id"])
    assert (await show(tenant, f"imports/{done['id']}"))["undo"]["status"] == "done"
    assert await told(user.id) == [_finished(done, "done", 1, 1, 1)]
