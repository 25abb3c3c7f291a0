"""Who does a job, and who goes on with it."""

import asyncio
import importlib
import itertools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import dramatiq
import pytest

from core import database
from core.errors import ConflictError
from core.jobs import leasing
from core.jobs.schemas import JobRead
from core.jobs.services import (
    ACTOR,
    JobContext,
    JobFailedError,
    cancel_job,
    create_job,
    get_job,
    job_handler,
)
from core.queue import JOB_TIME_LIMIT_MS, JOBS
from core.runtime import Runtime
from core.texts import text
from tests.factories import Member

_numbers = itertools.count()

Work = Callable[[JobContext], Awaitable[Mapping[str, Any] | None]]


async def _make(user: Member, work: Work, **more: Any) -> int:
    """Make a job that ``work`` does."""
    kind = f"tests.work-{next(_numbers)}"
    job_handler(kind)(work)
    async with database.unit_of_work():
        return await create_job(kind, user_id=user.id, **more)


async def _expire(job_id: int) -> None:
    await database.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1", job_id)


async def _run_until_ended(user: Member, job_id: int, rounds: int) -> tuple[JobRead, int]:
    """Run a job until it ends; returns it and how many runs that took."""
    for number in range(1, rounds + 1):
        await leasing.run_job(job_id)
        job = await get_job(user.id, job_id)
        if job.status not in {"waiting", "running"}:
            return job, number
    raise AssertionError("the job did not end")


async def test_a_job_is_done_once_and_keeps_its_result(user: Member) -> None:
    seen: list[int] = []

    async def work(context: JobContext) -> Mapping[str, Any]:
        seen.append(context.id)
        return {"rows": 3}

    job_id = await _make(user, work)
    await leasing.run_job(job_id)
    await leasing.run_job(job_id)

    job = await get_job(user.id, job_id)
    assert seen == [job_id]
    assert (job.status, job.progress, job.result, job.error) == ("done", 100, {"rows": 3}, "")
    assert job.started_at is not None
    assert job.finished_at is not None


async def test_of_many_who_try_at_once_one_does_it(user: Member) -> None:
    seen: list[str] = []

    async def work(context: JobContext) -> None:
        seen.append(context.holder)
        await asyncio.sleep(0.05)

    job_id = await _make(user, work)
    claims = [database.fetch_row(leasing.CLAIM, job_id, f"holder-{n}", 20) for n in range(6)]
    won = [row for row in await asyncio.gather(*claims) if row is not None]

    assert len(won) == 1
    await leasing.run_job(job_id)
    assert seen == []


async def test_a_failure_is_retried_from_the_last_checkpoint_and_its_text_stays_in_the_log(user: Member) -> None:
    async def work(context: JobContext) -> None:
        if not context.state:
            await context.checkpoint({"row": 1})
            raise ValueError("secret-in-a-message")

    job_id = await _make(user, work)
    await leasing.run_job(job_id)
    between = await get_job(user.id, job_id)
    await leasing.run_job(job_id)

    assert between.status == "waiting"
    assert between.error == "It stopped on an unexpected ValueError; the log has the details."
    assert (await get_job(user.id, job_id)).status == "done"


async def test_attempts_without_progress_are_limited(user: Member) -> None:
    async def work(_context: JobContext) -> None:
        raise ValueError

    job, runs = await _run_until_ended(user, await _make(user, work), 20)

    assert (job.status, runs, job.attempts) == ("failed", leasing.MAX_ATTEMPTS, leasing.MAX_ATTEMPTS)
    assert job.error == "It stopped on an unexpected ValueError; the log has the details."


async def test_attempts_with_progress_are_not(user: Member) -> None:
    async def work(context: JobContext) -> None:
        row = context.state.get("row", 0) + 1
        await context.checkpoint({"row": row})
        if row < 12:
            raise ValueError

    job, runs = await _run_until_ended(user, await _make(user, work), 20)

    assert (job.status, runs) == ("done", 12)


@pytest.mark.parametrize("refusal", [JobFailedError("Is already taken."), ConflictError(text("taken"))])
async def test_what_cannot_succeed_is_not_tried_again(user: Member, refusal: Exception) -> None:
    async def work(_context: JobContext) -> None:
        raise refusal

    job, runs = await _run_until_ended(user, await _make(user, work), 2)

    assert (job.status, runs, job.error) == ("failed", 1, "Is already taken.")


async def test_a_kind_nobody_knows_fails_in_the_end(user: Member) -> None:
    async with database.unit_of_work():
        job_id = await create_job("tests.unheard", user_id=user.id)

    job, _ = await _run_until_ended(user, job_id, 20)
    assert (job.status, job.error) == ("failed", "It stopped on an unexpected LookupError; the log has the details.")


async def test_a_canceled_job_keeps_what_it_did(user: Member) -> None:
    async def work(context: JobContext) -> None:
        await context.checkpoint({"row": 1}, done=1, total=9)
        await cancel_job(user.id, context.id)
        await context.checkpoint({"row": 2}, done=2)

    job, _ = await _run_until_ended(user, await _make(user, work), 1)

    assert (job.status, job.done, job.result) == ("canceled", 2, {})


async def test_a_process_that_ends_gives_its_job_back_at_once(user: Member, runtime: Runtime) -> None:
    async def work(context: JobContext) -> None:
        if context.state:
            return
        await context.checkpoint({"row": 1})
        runtime.stopping.set()
        async with database.unit_of_work():
            await context.checkpoint({"row": 2})

    job_id = await _make(user, work)
    try:
        await leasing.run_job(job_id)
    finally:
        runtime.stopping.clear()

    row = await database.fetch_row("SELECT status, holder, checkpoint, attempts FROM jobs WHERE id = $1", job_id)
    assert row is not None
    assert tuple(row) == ("waiting", None, '{"row": 1}', 0)
    await leasing.run_job(job_id)
    assert (await get_job(user.id, job_id)).status == "done"


async def test_a_run_that_is_interrupted_gives_its_job_back(user: Member) -> None:
    started = asyncio.Event()

    async def work(_context: JobContext) -> None:
        started.set()
        await asyncio.sleep(60)

    job_id = await _make(user, work)
    running = asyncio.create_task(leasing.run_job(job_id))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert (await get_job(user.id, job_id)).status == "waiting"


async def test_the_lease_is_renewed_while_a_step_takes_long(user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "BEAT_SECONDS", 0.02)
    renewed: list[bool] = []

    async def work(context: JobContext) -> None:
        await _expire(context.id)
        async with asyncio.timeout(10):
            while not renewed:
                await asyncio.sleep(0.01)
                if await database.fetch_value("SELECT lease_until > now() FROM jobs WHERE id = $1", context.id):
                    renewed.append(True)

    job, _ = await _run_until_ended(user, await _make(user, work), 1)
    assert (job.status, renewed) == ("done", [True])


async def test_a_process_works_on_a_few_jobs_only(user: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "MAX_RUNNING", 1)
    inner: list[str] = []

    async def nothing(_context: JobContext) -> None: ...

    second = await _make(user, nothing)

    async def work(_context: JobContext) -> None:
        await leasing.run_job(second)
        inner.append((await get_job(user.id, second)).status)

    await leasing.run_job(await _make(user, work))
    assert inner == ["waiting"]


@pytest.mark.usefixtures("runtime")
class TestSweep:
    @pytest.fixture(autouse=True)
    def _empty_queue(self) -> Iterator[None]:
        broker = dramatiq.get_broker()
        broker.flush(JOBS)
        yield
        broker.flush(JOBS)

    def _hinted(self) -> list[int]:
        """Take every message of the jobs queue and return the jobs it names."""
        consumer = dramatiq.get_broker().consume(JOBS, prefetch=1000, timeout=50)
        found: list[int] = []
        while (message := next(consumer)) is not None:
            found += message.args
            consumer.ack(message)
        consumer.close()
        return found

    async def test_a_new_job_is_hinted_at_after_the_commit(self, user: Member) -> None:
        job_id = await _make(user, _nothing)

        assert await asyncio.to_thread(self._hinted) == [job_id]

    async def test_a_lost_hint_is_repeated_and_ever_more_rarely(self, user: Member) -> None:
        job_id = await _make(user, _nothing)
        await asyncio.to_thread(self._hinted)
        await leasing.sweep()
        assert job_id not in await asyncio.to_thread(self._hinted)
        await database.execute("UPDATE jobs SET updated_at = now() - interval '10 min' WHERE id = $1", job_id)
        await _expire(job_id)
        await leasing.sweep()
        pause = await database.fetch_value(
            "SELECT round(extract(epoch FROM lease_until - now()))::int FROM jobs WHERE id = $1", job_id
        )

        assert job_id in await asyncio.to_thread(self._hinted)
        assert pause == 15

    async def test_a_job_whose_holder_fell_silent_waits_again(self, user: Member) -> None:
        job_id = await _make(user, _nothing)
        row = await database.fetch_row(leasing.CLAIM, job_id, "dead", 20)
        assert row is not None
        await leasing.sweep()
        assert (await get_job(user.id, job_id)).status == "running"
        await _expire(job_id)
        await leasing.sweep()

        assert (await get_job(user.id, job_id)).status == "waiting"
        assert job_id in await asyncio.to_thread(self._hinted)

    async def test_a_job_that_keeps_killing_its_process_is_given_up(self, user: Member) -> None:
        job_id = await _make(user, _nothing)
        for number in range(leasing.MAX_ATTEMPTS):
            assert await database.fetch_row(leasing.CLAIM, job_id, f"dead-{number}", 20) is not None
            await _expire(job_id)
            await leasing.sweep()

        job = await get_job(user.id, job_id)
        assert (job.status, job.error) == ("failed", "The process that worked on it ended 5 times without progress.")
        assert job.finished_at is not None

    async def test_a_canceled_job_of_a_dead_process_ends(self, user: Member) -> None:
        job_id = await _make(user, _nothing)
        await database.fetch_row(leasing.CLAIM, job_id, "dead", 20)
        await cancel_job(user.id, job_id)
        await _expire(job_id)
        await leasing.sweep()

        assert (await get_job(user.id, job_id)).status == "canceled"


@pytest.mark.usefixtures("runtime")
async def test_the_actor_is_declared_for_the_queue_of_jobs() -> None:
    # An actor belongs to the broker that is there when its module is imported, so not before the process has started.
    importlib.import_module("core.jobs.actors")
    actor = dramatiq.get_broker().get_actor(ACTOR)

    assert (actor.queue_name, actor.options["max_retries"]) == (JOBS, 0)
    assert actor.options["time_limit"] == JOB_TIME_LIMIT_MS


async def _nothing(_context: JobContext) -> None: ...
