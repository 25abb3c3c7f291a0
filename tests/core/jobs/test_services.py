"""Jobs: making them, saving where they stand, cancelling them."""

import asyncio
import contextlib
from typing import Any

import httpx
import pytest

from core import database
from core.jobs import leasing
from core.jobs.services import (
    JobCanceledError,
    JobContext,
    JobInterruptedError,
    LeaseLostError,
    cancel_job,
    create_job,
    find_handler,
    get_job,
    job_handler,
    latest_job,
)
from core.jobs.tables import JobStatus
from tests.conftest import ClientOf
from tests.factories import Member


class _Trouble(Exception):  # noqa: N818 - what goes wrong around a job
    """What rolls a unit of work back."""


async def _make(user: Member, kind: str = "tests.none", **more: Any) -> int:
    async with database.unit_of_work():
        return await create_job(kind, user_id=user.id, **more)


async def _hold(job_id: int, stopping: asyncio.Event | None = None) -> JobContext:
    """Claim a job as a worker does and return what its handler gets."""
    row = await database.fetch_row(leasing.CLAIM, job_id, leasing.holder_name(), 20)
    assert row is not None
    return JobContext(row, stopping or asyncio.Event())


async def test_a_job_is_made_with_the_rows_of_its_cause_or_not_at_all(user: Member) -> None:
    with contextlib.suppress(_Trouble):
        async with database.unit_of_work():
            await create_job("tests.none", user_id=user.id)
            raise _Trouble

    assert await database.fetch_value("SELECT count(*) FROM jobs WHERE user_id = $1", user.id) == 0


async def test_a_handler_gets_what_the_job_was_made_with(user: Member) -> None:
    context = await _hold(await _make(user, subject_id=7, params={"a": [1]}))

    assert (context.user_id, context.subject_id, context.params, context.state) == (user.id, 7, {"a": [1]}, {})


async def test_a_checkpoint_commits_with_the_work_around_it(user: Member) -> None:
    job_id = await _make(user)
    context = await _hold(job_id)
    async with database.unit_of_work():
        await context.checkpoint({"row": 5}, done=5, total=20)
    with contextlib.suppress(_Trouble):
        async with database.unit_of_work():
            await context.checkpoint({"row": 9}, done=9)
            raise _Trouble

    job = await get_job(user.id, job_id)
    stored = await database.fetch_value("SELECT checkpoint FROM jobs WHERE id = $1", job_id)
    assert (job.done, job.total, job.progress, stored) == (5, 20, 25, '{"row": 5}')


async def test_a_checkpoint_starts_the_count_of_attempts_again(user: Member) -> None:
    job_id = await _make(user)
    await database.execute("UPDATE jobs SET attempts = 3 WHERE id = $1", job_id)
    context = await _hold(job_id)
    assert (await get_job(user.id, job_id)).attempts == 4
    await context.checkpoint({})

    assert (await get_job(user.id, job_id)).attempts == 1


async def test_who_lost_the_lease_cannot_save(user: Member) -> None:
    job_id = await _make(user)
    first = await _hold(job_id)
    await database.execute("UPDATE jobs SET status = 'waiting' WHERE id = $1", job_id)
    second = await _hold(job_id)

    with pytest.raises(LeaseLostError):
        await first.checkpoint({"from": "first"})
    await second.checkpoint({"from": "second"})
    assert await database.fetch_value("SELECT checkpoint FROM jobs WHERE id = $1", job_id) == '{"from": "second"}'


async def test_a_running_job_ends_at_its_next_checkpoint(user: Member) -> None:
    job_id = await _make(user)
    context = await _hold(job_id)
    asked = await cancel_job(user.id, job_id)

    assert asked.status == "running"
    assert asked.cancel_requested_at is not None
    with pytest.raises(JobCanceledError):
        await context.checkpoint({})


async def test_a_process_that_ends_stops_at_the_next_checkpoint(user: Member) -> None:
    stopping = asyncio.Event()
    context = await _hold(await _make(user), stopping)
    await context.checkpoint({})
    stopping.set()

    with pytest.raises(JobInterruptedError):
        await context.checkpoint({})


async def test_a_kind_without_handler_is_told() -> None:
    with pytest.raises(LookupError, match=r"'tests\.unheard'"):
        find_handler("tests.unheard")


async def test_a_handler_registers_itself() -> None:
    @job_handler("tests.registered")
    async def handler(_context: JobContext) -> None: ...

    assert find_handler("tests.registered") is handler


class TestRoutes:
    async def test_jobs_are_listed_newest_first_and_filtered(self, api: ClientOf, user: Member) -> None:
        first, second = await _make(user, "tests.a"), await _make(user, "tests.b")
        await cancel_job(user.id, first)
        async with api(user) as client:
            everything = (await client.get("/api/jobs")).json()
            canceled = (await client.get("/api/jobs?status=canceled")).json()
            of_kind = (await client.get("/api/jobs?kind=tests.b")).json()
            wrong = await client.get("/api/jobs?status=asleep")

        assert [job["id"] for job in everything["data"]] == [second, first]
        assert everything["meta"]["total"] == 2
        assert [job["id"] for job in canceled["data"]] == [first]
        assert [job["id"] for job in of_kind["data"]] == [second]
        assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["status"])

    async def test_a_waiting_job_is_canceled_at_once_and_again(self, api: ClientOf, user: Member) -> None:
        job_id = await _make(user)
        async with api(user) as client:
            answers = [await client.post(f"/api/jobs/{job_id}/cancel") for _ in range(2)]
            shown = (await client.get(f"/api/jobs/{job_id}")).json()["data"]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert [answer.json()["data"]["status"] for answer in answers] == ["canceled", "canceled"]
        assert shown["finished_at"] == answers[0].json()["data"]["finished_at"]

    async def test_what_has_ended_or_belongs_to_another_thing_is_not_canceled(
        self, api: ClientOf, user: Member
    ) -> None:
        ended, part = await _make(user), await _make(user, cancelable=False)
        await database.execute("UPDATE jobs SET status = 'done' WHERE id = $1", ended)
        async with api(user) as client:
            answers = [await client.post(f"/api/jobs/{job_id}/cancel") for job_id in (ended, part)]

        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
            (409, "job_ended"),
            (409, "job_not_cancelable"),
        ]

    async def test_another_tenants_job_does_not_exist(self, api: ClientOf, user: Member, other_user: Member) -> None:
        job_id = await _make(other_user)
        async with api(user) as client:
            answers: list[httpx.Response] = [
                await client.get(f"/api/jobs/{job_id}"),
                await client.post(f"/api/jobs/{job_id}/cancel"),
            ]

        assert [answer.status_code for answer in answers] == [404, 404]
        assert (await get_job(other_user.id, job_id)).status == "waiting"


async def test_the_latest_job_about_a_row_is_the_newest_that_was_asked_for(user: Member, other_user: Member) -> None:
    first = await _make(user, subject_id=7, params={"version": 1, "more": 2})
    second = await _make(user, subject_id=7, params={"version": 2})
    await _make(user, subject_id=8)
    await _make(user, "tests.other", subject_id=7)
    await _make(other_user, subject_id=7)

    async def latest(**wanted: Any) -> int | None:
        job = await latest_job(user.id, "tests.none", 7, **wanted)
        return None if job is None else job.id

    assert await latest() == second
    assert await latest(params={"version": 1}) == first
    assert await latest(params={"version": 3}) is None
    await cancel_job(user.id, second)
    assert (await latest(), await latest(statuses=(JobStatus.WAITING,))) == (second, first)
    assert await latest(statuses=(JobStatus.DONE, JobStatus.FAILED)) is None
