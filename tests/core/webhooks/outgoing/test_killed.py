"""Workers that are killed while they deliver: every event arrives all the same, under its one id."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core import announcing, database
from core.config import PlatformConfig, server_variables
from core.events.catalogue import ContactOptedOut
from tests.core.numbers.messaging import eventually
from tests.core.webhooks.outgoing.receiver import PATH, Receiver, add_endpoint
from tests.factories import Member

pytestmark = [pytest.mark.slow, pytest.mark.chaos, pytest.mark.usefixtures("installation")]

COMMAND = (sys.executable, "-c", "from core.cli import main; main()", "worker")
EVENTS = 40


@asynccontextmanager
async def worker(config: PlatformConfig, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process of its own, which may call loopback; killed at the end, whatever it does."""
    (folder / "platform.toml").write_text('[outbound]\nallowed_networks = ["127.0.0.0/8"]\n', encoding="utf-8")
    environment = {
        **os.environ,
        **server_variables(config),
        "RECADO_DATA": config.paths.data,
        "PYTHONPATH": str(Path.cwd()),
    }
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*COMMAND, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def open_deliveries(endpoint: Any) -> int:
    count = await database.fetch_value(
        "SELECT count(*) FROM webhook_deliveries WHERE endpoint_id = $1 AND status <> 'delivered'", endpoint["id"]
    )
    assert isinstance(count, int)
    return count


async def test_nothing_is_lost_between_claim_and_answer(
    shop: httpx.AsyncClient, user: Member, receiver: Receiver, url: str, installation: PlatformConfig, tmp_path: Path
) -> None:
    endpoint = await add_endpoint(shop, f"{url}/hook")
    async with database.unit_of_work():
        told = [ContactOptedOut(contact_id=None, number=str(place), source="word") for place in range(EVENTS)]
        await announcing.emit_all([(user.id, event) for event in told])
    receiver.hanging.add("/hook")
    async with worker(installation, tmp_path):
        held = {heard.id for heard in await receiver.until("/hook", 3)}
    receiver.hanging.clear()
    receiver.released.set()
    assert await open_deliveries(endpoint) == EVENTS
    # Their leases are over.
    await database.execute(
        "UPDATE webhook_deliveries SET due_at = now(), lease_until = now() WHERE endpoint_id = $1 AND"
        " lease_until IS NOT NULL",
        endpoint["id"],
    )

    async def over() -> bool:
        return await open_deliveries(endpoint) == 0

    async with worker(installation, tmp_path):
        await eventually(over, seconds=30)
    ids = [heard.id for heard in receiver.at("/hook")]
    assert len(set(ids)) == EVENTS
    assert all(ids.count(one) >= 2 for one in held)
    numbers = {heard.id: int(heard.event["data"]["number"]) for heard in receiver.at("/hook")}
    assert sorted(numbers.values()) == list(range(EVENTS))
    assert all(heard.signatures() == [heard.expected(endpoint["secret"])] for heard in receiver.heard)
    await shop.delete(f"{PATH}/{endpoint['id']}")
