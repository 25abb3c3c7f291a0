"""A process of its own that does one job, as a worker would: ``python import_process.py JOB_ID DATA_FOLDER``."""

import asyncio
import sys

import msgspec

from core.config import PathsConfig, load_config
from core.contacts.importing import importer
from core.contacts.importing import undo as import_undo
from core.jobs import leasing
from core.startup import running_process


async def main(job_id: int, folder: str) -> None:
    """Do the job in a process that is configured by its environment."""
    config = msgspec.structs.replace(load_config(), paths=PathsConfig(data=folder))
    importer.BATCH_ROWS = 200
    import_undo.PORTION = 200
    async with running_process(config):
        await leasing.run_job(job_id)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
