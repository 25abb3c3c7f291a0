"""What administrators see and do of everybody's jobs."""

from collections.abc import Sequence

from core import database
from core.audit import services as audit
from core.errors import ConflictError, NotFoundError
from core.jobs.schemas import JobAdministrationRead
from core.jobs.services import ACTOR, COLUMNS, HINT_SECONDS, SORTS, read_job
from core.jobs.tables import JobStatus
from core.live import progress
from core.pagination import PageQuery
from core.queue import JOBS, enqueue

_FILTER = (
    "($1::text IS NULL OR kind = $1) AND ($2::text IS NULL OR status = $2) AND ($3::bigint IS NULL OR user_id = $3)"
)


async def list_all(
    query: PageQuery, kind: str | None, status: str | None, user_id: int | None
) -> tuple[Sequence[JobAdministrationRead], int]:
    """Return one page of all jobs, the newest first, and how many there are."""
    rows = await database.fetch(
        f"SELECT user_id, {COLUMNS} FROM jobs WHERE {_FILTER} ORDER BY {query.order_by(SORTS, '-created_at')}"
        " LIMIT $4 OFFSET $5",
        kind,
        status,
        user_id,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM jobs WHERE {_FILTER}", kind, status, user_id)
    return [JobAdministrationRead(user_id=row["user_id"], job=read_job(row)) for row in rows], int(str(total))


async def retry(actor_id: int, job_id: int) -> JobAdministrationRead:
    """Have a failed job go on from its last checkpoint.

    Raises:
        NotFoundError: There is no such job.
        ConflictError: It did not fail.
    """
    async with database.unit_of_work():
        row = await database.fetch_row("SELECT status FROM jobs WHERE id = $1 FOR UPDATE", job_id)
        if row is None:
            raise NotFoundError("job", job_id)
        if row["status"] != JobStatus.FAILED:
            raise ConflictError(f"Job {job_id} has not failed.", code="job_not_failed", id=job_id)
        changed = await database.fetch_row(
            "UPDATE jobs SET status = 'waiting', attempts = 0, error = '', finished_at = NULL, holder = NULL,"
            " lease_until = clock_timestamp() + make_interval(secs => $2), updated_at = clock_timestamp()"
            f" WHERE id = $1 RETURNING user_id, {COLUMNS}",
            job_id,
            HINT_SECONDS,
        )
        if changed is None:
            raise NotFoundError("job", job_id)
        enqueue(ACTOR, job_id, queue=JOBS)
        progress.changed("job", job_id)
        await audit.record(
            "job.retried",
            user_id=actor_id,
            account_id=changed["user_id"],
            facts={"job_id": job_id, "kind": changed["kind"]},
        )
    return JobAdministrationRead(user_id=changed["user_id"], job=read_job(changed))
