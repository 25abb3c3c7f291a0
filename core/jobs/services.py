"""Jobs: making, reading and cancelling them, and what their handlers work with."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from core import database
from core.audit import services as audit
from core.errors import ConflictError, NotFoundError
from core.jobs.ending import tell_ended
from core.jobs.schemas import JobRead
from core.jobs.tables import JobStatus
from core.live import progress
from core.pagination import PageQuery
from core.queue import JOBS, enqueue
from core.texts import text

LEASE_SECONDS = 20
"""How long a holder may be silent before another process takes its job over."""

HINT_SECONDS = 2
"""How soon a new job is hinted at again when nobody took it."""

ACTOR = "jobs.run"
SORTS = {"created_at": "id", "finished_at": "finished_at", "status": "status"}
COLUMNS = (
    "id, kind, status, subject_id, done, total, rate, result, error, attempts, cancelable,"
    " cancel_requested_at, created_at, started_at, finished_at"
)


# A moving average: the last checkpoints tell most of how long the rest will take.
_RATE = (
    "CASE WHEN $4::bigint > done AND clock_timestamp() > updated_at THEN"
    " (0.7 * coalesce(rate, ($4 - done) / extract(epoch FROM clock_timestamp() - updated_at))"
    " + 0.3 * ($4 - done) / extract(epoch FROM clock_timestamp() - updated_at))::real ELSE rate END"
)


class JobCanceledError(Exception):
    """The tenant asked for the job to end; handlers let it pass, after tidying up where they must."""


class LeaseLostError(Exception):
    """Another process holds the job now: everything since the last checkpoint is rolled back."""


class JobInterruptedError(Exception):
    """This process is ending; another one goes on from the last checkpoint."""


class JobFailedError(Exception):
    """The job cannot succeed, however often it is tried; ``str(error)`` is shown to its tenant."""


class JobContext:
    """What a handler knows of its job, and how it saves where it stands."""

    def __init__(self, row: Mapping[str, Any], stopping: asyncio.Event) -> None:
        self.id: int = row["id"]
        self.user_id: int | None = row["user_id"]
        self.params: dict[str, Any] = msgspec.json.decode(row["params"])
        self.state: dict[str, Any] = msgspec.json.decode(row["checkpoint"])
        """The last checkpoint; empty on the first run."""
        self.done: int = row["done"]
        self.holder: str = row["holder"]
        self._subject_id: int | None = row["subject_id"]
        self._stopping = stopping

    @property
    def subject_id(self) -> int:
        """The row the job is about."""
        if self._subject_id is None:
            raise JobFailedError(text("job_without_row", id=self.id))
        return self._subject_id

    async def checkpoint(self, state: Mapping[str, Any], done: int | None = None, total: int | None = None) -> None:
        """Save ``state`` and the progress, and renew the lease.

        Call it inside the unit of work that holds the rows of the step: both commit, or neither does. The row of the
        job stays locked until then, so that nobody can take it over in between.

        Raises:
            JobCanceledError: The tenant asked for the end.
            LeaseLostError: Another process took the job.
            JobInterruptedError: This process is ending.
        """
        row = await database.fetch_row(
            f"UPDATE jobs SET checkpoint = $3, rate = {_RATE}, done = coalesce($4, done), total = coalesce($5, total),"
            " attempts = 1,"
            " lease_until = clock_timestamp() + make_interval(secs => $6), updated_at = clock_timestamp()"
            " WHERE id = $1 AND holder = $2 AND status = 'running' RETURNING cancel_requested_at",
            self.id,
            self.holder,
            database.encode_json(state),
            done,
            total,
            LEASE_SECONDS,
        )
        if row is None:
            raise LeaseLostError(f"Job {self.id} is held by another process.")
        if row["cancel_requested_at"] is not None:
            raise JobCanceledError
        if self._stopping.is_set():
            raise JobInterruptedError
        progress.changed("job", self.id)
        self.state = dict(state)
        self.done = self.done if done is None else done


Handler = Callable[[JobContext], Awaitable[Mapping[str, Any] | None]]
_H = TypeVar("_H", bound=Handler)

_handlers: dict[str, Handler] = {}


def job_handler(kind: str) -> Callable[[_H], _H]:
    """Register the function that does the jobs of ``kind``; what it returns is kept as the job's result.

    It may be started any number of times and goes on from ``context.state``.
    """

    def register(handler: _H) -> _H:
        _handlers[kind] = handler
        return handler

    return register


def find_handler(kind: str) -> Handler:
    """Return the handler of ``kind``; ``LookupError`` when this process has none."""
    try:
        return _handlers[kind]
    except KeyError:
        raise LookupError(f"no handler is registered for jobs of kind {kind!r}") from None


async def create_job(
    kind: str,
    *,
    user_id: int | None,
    subject_id: int | None = None,
    params: Mapping[str, Any] | None = None,
    cancelable: bool = True,
) -> int:
    """Store a job in the present unit of work and have it started after the commit; returns its id.

    With ``cancelable`` false the tenant cannot end it through ``POST /api/jobs/{id}/cancel``.
    """
    job_id = await database.fetch_value(
        "INSERT INTO jobs (user_id, kind, status, subject_id, params, checkpoint, result, error, done, attempts,"
        " cancelable, lease_until, created_at, updated_at)"
        " VALUES ($1, $2, 'waiting', $3, $4, '{}', '{}', '', 0, 0, $5,"
        " clock_timestamp() + make_interval(secs => $6), clock_timestamp(), clock_timestamp()) RETURNING id",
        user_id,
        kind,
        subject_id,
        database.encode_json(params or {}),
        cancelable,
        HINT_SECONDS,
    )
    if not isinstance(job_id, int):
        raise TypeError("INSERT gave no id")
    enqueue(ACTOR, job_id, queue=JOBS)
    progress.changed("job", job_id)
    return job_id


async def set_total(job_id: int, total: int) -> None:
    """Say how many parts a job has that was made in this unit of work."""
    await database.execute("UPDATE jobs SET total = $2 WHERE id = $1", job_id, total)


async def get_job(user_id: int, job_id: int) -> JobRead:
    """Return a job of this tenant."""
    row = await database.fetch_row(f"SELECT {COLUMNS} FROM jobs WHERE id = $1 AND user_id = $2", job_id, user_id)
    if row is None:
        raise NotFoundError("job", job_id)
    return read_job(row)


async def list_jobs(user_id: int, query: PageQuery, kind: str | None, status: str | None) -> tuple[list[JobRead], int]:
    """Return one page of this tenant's jobs and how many there are."""
    where = "user_id = $1 AND ($2::text IS NULL OR kind = $2) AND ($3::text IS NULL OR status = $3)"
    order = query.order_by(SORTS, "-created_at")
    rows = await database.fetch(
        f"SELECT {COLUMNS} FROM jobs WHERE {where} ORDER BY {order} LIMIT $4 OFFSET $5",
        user_id,
        kind,
        status,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM jobs WHERE {where}", user_id, kind, status)
    return [read_job(row) for row in rows], total if isinstance(total, int) else 0


async def latest_job(
    user_id: int,
    kind: str,
    subject_id: int,
    *,
    statuses: Collection[JobStatus] = tuple(JobStatus),
    params: Mapping[str, Any] | None = None,
) -> JobRead | None:
    """Return the tenant's newest job of a kind about a row, of those in one of ``statuses`` and with ``params``.

    Other parameters than the named ones may be anything.
    """
    row = await database.fetch_row(
        f"SELECT {COLUMNS} FROM jobs WHERE kind = $1 AND subject_id = $2 AND user_id = $3 AND status = ANY($4::text[])"
        " AND params @> $5::jsonb ORDER BY id DESC LIMIT 1",
        kind,
        subject_id,
        user_id,
        list(statuses),
        database.encode_json(params or {}),
    )
    return None if row is None else read_job(row)


async def cancel_job(user_id: int, job_id: int) -> JobRead:
    """End a job of this tenant: at once while it waits, at its next checkpoint while it runs; repeatable.

    Raises:
        ConflictError: It is done or failed already, or is part of something that has to be canceled itself.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(
            f"SELECT {COLUMNS} FROM jobs WHERE id = $1 AND user_id = $2 FOR UPDATE", job_id, user_id
        )
        if row is None:
            raise NotFoundError("job", job_id)
        if row["status"] in {JobStatus.DONE, JobStatus.FAILED}:
            raise ConflictError(f"Job {job_id} has ended already.", code="job_ended", id=job_id)
        if not row["cancelable"]:
            raise ConflictError(
                f"Job {job_id} belongs to something else: cancel that instead.", code="job_not_cancelable", id=job_id
            )
        await database.execute(
            "UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp()),"
            " finished_at = CASE WHEN status = 'running' THEN finished_at"
            " ELSE coalesce(finished_at, clock_timestamp()) END,"
            " status = CASE WHEN status = 'waiting' THEN 'canceled' ELSE status END, updated_at = clock_timestamp()"
            " WHERE id = $1",
            job_id,
        )
        progress.changed("job", job_id)
        if row["status"] == JobStatus.WAITING:
            await tell_ended([row])
        if row["cancel_requested_at"] is None:
            await audit.record("job.canceled", user_id=user_id, entity_id=job_id, facts={"kind": row["kind"]})
    return await get_job(user_id, job_id)


async def forget_jobs(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` jobs that ended before a moment; return how many. Those of imports tell their outcome."""
    return await database.execute(
        "DELETE FROM jobs WHERE id IN (SELECT j.id FROM jobs j WHERE j.finished_at < $1"
        " AND j.status IN ('done', 'failed', 'canceled') AND NOT EXISTS (SELECT FROM imports i WHERE i.job_id = j.id)"
        " AND NOT EXISTS (SELECT FROM imports i WHERE i.undo_job_id = j.id)"
        " ORDER BY j.finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        before,
        limit,
    )


def seconds_left(parts: int, rate: float | None) -> int | None:
    """Return how long ``parts`` will take at ``rate`` a second, rounded up; nothing where no rate is known yet."""
    return None if not rate else math.ceil(parts / rate)


def read_job(row: Mapping[str, Any]) -> JobRead:
    """Turn a row of ``COLUMNS`` into what the API shows."""
    total: int | None = row["total"]
    done: int = row["done"]
    finished = row["status"] == JobStatus.DONE
    rate: float | None = row["rate"] if row["status"] == JobStatus.RUNNING else None
    return JobRead(
        id=row["id"],
        kind=row["kind"],
        status=row["status"],
        subject_id=row["subject_id"],
        done=done,
        total=total,
        progress=100 if finished else min(99, done * 100 // total) if total else 0,
        rate=None if rate is None else round(rate, 1),
        seconds_left=None if total is None else seconds_left(max(0, total - done), rate),
        result=msgspec.json.decode(row["result"]),
        error=row["error"],
        attempts=row["attempts"],
        cancelable=row["cancelable"],
        cancel_requested_at=row["cancel_requested_at"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
