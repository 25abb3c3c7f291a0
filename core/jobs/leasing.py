"""Who does a job: claiming it, renewing the lease, ending it, and taking over what a dead process left."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg
import structlog

from core import database
from core.errors import PlatformError
from core.jobs.ending import tell_ended
from core.jobs.services import (
    ACTOR,
    LEASE_SECONDS,
    JobCanceledError,
    JobContext,
    JobFailedError,
    JobInterruptedError,
    LeaseLostError,
    find_handler,
)
from core.jobs.tables import JobStatus
from core.live import progress
from core.problems import detail_of
from core.queue import JOBS, send
from core.runtime import runtime
from core.texts import localize, negotiate, text

MAX_ATTEMPTS = 5
"""Tries without a checkpoint in between before a job is given up."""

MAX_RUNNING = 4
"""Jobs that one process works on at once, so that its other threads stay free for messages."""

RETRY_SECONDS = 5
"""Pause after the first failure; it doubles with each further one."""

BEAT_SECONDS = LEASE_SECONDS / 4
SWEEP_LIMIT = 100

CLAIM = """
UPDATE jobs SET status = 'running', holder = $2, attempts = attempts + 1,
    lease_until = clock_timestamp() + make_interval(secs => $3),
    started_at = coalesce(started_at, clock_timestamp()), updated_at = clock_timestamp()
WHERE id = $1 AND status = 'waiting'
RETURNING id, user_id, kind, subject_id, params, checkpoint, done, attempts, holder, cancel_requested_at
"""

SWEEP = """
UPDATE jobs SET
    error = CASE WHEN status = 'running' AND attempts >= $1 AND cancel_requested_at IS NULL
        THEN 'The process that worked on it ended ' || attempts || ' times without progress.' ELSE error END,
    finished_at = CASE WHEN status = 'running' AND (attempts >= $1 OR cancel_requested_at IS NOT NULL)
        THEN clock_timestamp() END,
    status = CASE WHEN status = 'waiting' THEN status
        WHEN cancel_requested_at IS NOT NULL THEN 'canceled'
        WHEN attempts >= $1 THEN 'failed' ELSE 'waiting' END,
    holder = NULL,
    -- The longer a job waits, the rarer its hints: they pile up where all workers are busy.
    lease_until = clock_timestamp() + least(interval '15 s', greatest(interval '2 s',
        (clock_timestamp() - updated_at) / 2)),
    updated_at = CASE WHEN status = 'waiting' THEN updated_at ELSE clock_timestamp() END
WHERE id IN (
    SELECT id FROM jobs WHERE status IN ('waiting', 'running') AND lease_until <= clock_timestamp()
    ORDER BY lease_until LIMIT $2 FOR UPDATE SKIP LOCKED
) RETURNING id, status, kind
"""

_log = structlog.get_logger(__name__)
_running: set[int] = set()


async def run_job(job_id: int) -> None:
    """Do a job, if it waits to be done; harmless when it does not, or when another process was faster."""
    if len(_running) >= MAX_RUNNING or job_id in _running:
        return
    _running.add(job_id)
    try:
        row = await database.fetch_row(CLAIM, job_id, holder_name(), LEASE_SECONDS)
        if row is not None:
            progress.changed("job", job_id)
            await _work(row)
    finally:
        _running.discard(job_id)


async def sweep() -> int:
    """Hint at jobs that wait and take over those whose holder fell silent; returns how many were hinted at.

    Call it every second or so; several processes may.
    """
    async with database.unit_of_work():
        rows = await database.fetch(SWEEP, MAX_ATTEMPTS, SWEEP_LIMIT)
        await tell_ended(row for row in rows if row["status"] != JobStatus.WAITING)
    waiting = [row["id"] for row in rows if row["status"] == JobStatus.WAITING]
    for job_id in waiting:
        await send(ACTOR, job_id, queue=JOBS)
    progress.changed("job", *(row["id"] for row in rows if row["status"] != JobStatus.WAITING))
    return len(waiting)


def holder_name() -> str:
    """Return a name that no other run shares, readable in the table: machine, process and a random part."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{secrets.token_hex(4)}"


async def _work(row: Mapping[str, Any]) -> None:
    job_id, holder = row["id"], row["holder"]
    log = _log.bind(job_id=job_id, kind=row["kind"])
    if row["cancel_requested_at"] is not None:
        await _end(job_id, holder, JobStatus.CANCELED)
        return
    try:
        handler = find_handler(row["kind"])
        async with _heartbeat(job_id, holder):
            result = await handler(JobContext(row, runtime().stopping))
    except JobCanceledError:
        await _end(job_id, holder, JobStatus.CANCELED)
    except LeaseLostError:
        log.warning("job_lease_lost")
    except JobInterruptedError:
        await _release(job_id, holder, refund=True)
    except asyncio.CancelledError:
        await _release(job_id, holder)
        raise
    except (JobFailedError, PlatformError) as refusal:
        await _end(job_id, holder, JobStatus.FAILED, error=await _told(refusal, row["user_id"]))
    except Exception as error:
        log.exception("job_failed")
        await _retry(row, error)
    else:
        await _end(job_id, holder, JobStatus.DONE, result=result or {})


async def _told(refusal: JobFailedError | PlatformError, user_id: int | None) -> str:
    """Return why a job cannot succeed, in the language of its tenant."""
    language = await _language(user_id)
    if isinstance(refusal, PlatformError):
        return detail_of(refusal, language)
    return localize(refusal.args[0], language)


async def _language(user_id: int | None) -> str:
    locale = await database.fetch_value("SELECT locale FROM users WHERE id = $1", user_id)
    return negotiate(locale if isinstance(locale, str) else "")


@contextlib.asynccontextmanager
async def _heartbeat(job_id: int, holder: str) -> AsyncIterator[None]:
    """Renew the lease while a step takes longer than it lasts."""
    beat = asyncio.create_task(_beat(job_id, holder))
    try:
        yield
    finally:
        beat.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beat


async def _beat(job_id: int, holder: str) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            await database.execute(
                "UPDATE jobs SET lease_until = clock_timestamp() + make_interval(secs => $3)"
                " WHERE id = $1 AND holder = $2 AND status = 'running'",
                job_id,
                holder,
                LEASE_SECONDS,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            # The next beat tries again; should the lease run out meanwhile, the next checkpoint notices.
            _log.warning("job_beat_failed", job_id=job_id)


async def _end(
    job_id: int, holder: str, status: JobStatus, *, error: str = "", result: Mapping[str, Any] | None = None
) -> None:
    async with database.unit_of_work():
        ended = await database.fetch(
            "UPDATE jobs SET status = $3, error = $4, result = $5, holder = NULL, lease_until = NULL,"
            " finished_at = clock_timestamp(), updated_at = clock_timestamp()"
            " WHERE id = $1 AND holder = $2 AND status = 'running' RETURNING id, kind",
            job_id,
            holder,
            status.value,
            error,
            database.encode_json(result or {}),
        )
        await tell_ended(ended)
    progress.changed("job", job_id)


async def _retry(row: Mapping[str, Any], error: Exception) -> None:
    """Put a job back for another try; its error names the kind of trouble, never its text, which may hold secrets."""
    job_id, holder = row["id"], row["holder"]
    attempts = await database.fetch_value("SELECT attempts FROM jobs WHERE id = $1 AND holder = $2", job_id, holder)
    message = localize(text("job_stopped", kind=type(error).__name__), await _language(row["user_id"]))
    if isinstance(attempts, int) and attempts < MAX_ATTEMPTS:
        await _release(job_id, holder, delay_seconds=RETRY_SECONDS * 2 ** (attempts - 1), error=message)
    else:
        await _end(job_id, holder, JobStatus.FAILED, error=message)


async def _release(
    job_id: int, holder: str, *, delay_seconds: float = 0, error: str = "", refund: bool = False
) -> None:
    """Let another process go on from the last checkpoint; ``refund`` takes this try off the count."""
    await database.execute(
        "UPDATE jobs SET status = 'waiting', error = $4, holder = NULL,"
        " attempts = CASE WHEN $5 THEN greatest(attempts - 1, 0) ELSE attempts END,"
        " lease_until = clock_timestamp() + make_interval(secs => $3), updated_at = clock_timestamp()"
        " WHERE id = $1 AND holder = $2 AND status = 'running'",
        job_id,
        holder,
        delay_seconds,
        error,
        refund,
    )
    progress.changed("job", job_id)
