"""A process of its own that does one sync, as a worker would: ``python sync_process.py JOB_ID DATA_FOLDER``."""

import asyncio
import sys

import msgspec

from core.config import PathsConfig, load_config
from core.contacts import sync
from core.jobs import leasing
from core.startup import running_process
from tests.core.campaigns.sink import NAME
from tests.core.contacts.listing import ListingProvider


async def main(job_id: int, folder: str) -> None:
    """Do the job in a process that is configured by its environment."""
    config = msgspec.structs.replace(load_config(), paths=PathsConfig(data=folder))
    sync.BATCH = 20
    async with running_process(config) as runtime:
        plugin = ListingProvider()
        runtime.providers = msgspec.structs.replace(runtime.providers, messaging_by_name={NAME: plugin})
        await leasing.run_job(job_id)
        await plugin.aclose()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
