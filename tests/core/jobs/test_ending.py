"""Who is told that a job is over."""

import secrets
from collections.abc import Collection

import pytest

from core import database
from core.jobs import leasing
from core.jobs.ending import end_listener
from core.jobs.services import JobContext, create_job, get_job, job_handler
from tests.factories import Member


async def _make(user: Member, kind: str) -> int:
    async with database.unit_of_work():
        return await create_job(kind, user_id=user.id)


async def test_the_listener_of_its_kind_sees_how_it_ended(user: Member) -> None:
    kind, heard = f"tests.{secrets.token_hex(4)}", []

    @job_handler(kind)
    async def work(context: JobContext) -> None:
        await context.checkpoint({})

    @end_listener(kind)
    async def hear(job_ids: Collection[int]) -> None:
        assert database.in_unit_of_work()
        heard.extend([(job_id, (await get_job(user.id, job_id)).status) for job_id in job_ids])

    job_id = await _make(user, kind)
    other_id = await _make(user, f"{kind}.other")
    await leasing.run_job(job_id)
    await leasing.run_job(other_id)
    assert heard == [(job_id, "done")]


async def test_a_job_ends_with_what_its_listener_writes_or_not_at_all(user: Member) -> None:
    kind = f"tests.{secrets.token_hex(4)}"

    @job_handler(kind)
    async def work(context: JobContext) -> None:
        await context.checkpoint({})

    @end_listener(kind)
    async def fail(_job_ids: Collection[int]) -> None:
        raise ConnectionError

    job_id = await _make(user, kind)
    with pytest.raises(ConnectionError):
        await leasing.run_job(job_id)
    assert (await get_job(user.id, job_id)).status == "running"
