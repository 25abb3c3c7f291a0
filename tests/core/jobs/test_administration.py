"""What administrators see and do of everybody's jobs."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core import database
from core.jobs.services import create_job
from tests.conftest import ClientOf
from tests.factories import Member


@pytest.fixture
async def admin(api: ClientOf, administrator: Member) -> AsyncIterator[httpx.AsyncClient]:
    async with api(administrator) as opened:
        yield opened


async def _job(user: Member, status: str) -> int:
    async with database.unit_of_work():
        job_id = await create_job("nothing.at_all", user_id=user.id)
        await database.execute(
            "UPDATE jobs SET status = $2, attempts = 5, error = 'broken', finished_at = now() WHERE id = $1",
            job_id,
            status,
        )
    return job_id


async def _list(admin: httpx.AsyncClient, **wanted: Any) -> list[tuple[int, int]]:
    answer = await admin.get("/api/admin/jobs", params=wanted)
    assert answer.status_code == 200, answer.text
    return [(one["user_id"], one["job"]["id"]) for one in answer.json()["data"]]


async def test_jobs_of_all_users_are_listed_and_filtered(
    admin: httpx.AsyncClient, user: Member, other_user: Member
) -> None:
    first, second = await _job(user, "failed"), await _job(other_user, "done")
    assert {(user.id, first), (other_user.id, second)} <= set(await _list(admin, kind="nothing.at_all"))
    assert await _list(admin, user_id=user.id) == [(user.id, first)]
    assert await _list(admin, user_id=other_user.id, status="failed") == []


async def test_a_failed_job_is_tried_again(admin: httpx.AsyncClient, user: Member) -> None:
    job_id = await _job(user, "failed")
    answer = await admin.post(f"/api/admin/jobs/{job_id}/retry")
    shown = answer.json()["data"]["job"]
    assert (answer.status_code, shown["status"], shown["error"], shown["finished_at"]) == (200, "waiting", "", None)
    assert await database.fetch_value("SELECT attempts FROM jobs WHERE id = $1", job_id) == 0


@pytest.mark.parametrize("status", ["done", "running", "waiting", "canceled"])
async def test_another_is_not(admin: httpx.AsyncClient, user: Member, status: str) -> None:
    answer = await admin.post(f"/api/admin/jobs/{await _job(user, status)}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "job_not_failed")
    assert (await admin.post(f"/api/admin/jobs/{10**12}/retry")).status_code == 404
