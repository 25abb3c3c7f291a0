"""A process of its own that changes the contacts of one job, as a worker would: ``python bulk_process.py JOB_ID``."""

import asyncio
import sys

from core.config import load_config
from core.contacts import bulk
from core.jobs import leasing
from core.jobs.services import find_handler
from core.startup import running_process


async def main(job_id: int) -> None:
    """Do the job in a process that is configured by its environment."""
    assert find_handler(bulk.KIND) is bulk.change_contacts
    async with running_process(load_config()):
        await leasing.run_job(job_id)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
