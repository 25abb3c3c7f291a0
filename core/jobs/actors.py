"""The actor that does jobs."""

import dramatiq

from core.jobs.leasing import run_job
from core.queue import JOB_TIME_LIMIT_MS, JOBS


# The sweep repeats what is lost, so Dramatiq itself must not.
@dramatiq.actor(actor_name="jobs.run", queue_name=JOBS, max_retries=0, time_limit=JOB_TIME_LIMIT_MS)
async def run(job_id: int) -> None:
    """Do the job ``job_id``, if it waits to be done."""
    await run_job(job_id)
