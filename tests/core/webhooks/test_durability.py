"""What was acknowledged is there after kill -9 of the process that acknowledged it."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.config import PlatformConfig, server_variables
from core.webhooks import applying
from tests.core.numbers.messaging import Waha, add_number, add_server, eventually
from tests.core.webhooks.deliveries import Hook, acknowledgement, deliver, hook_of, status, stored


@pytest.fixture
async def process(config: PlatformConfig, tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An API process of its own, with the run's database and key."""
    (tmp_path / "platform.toml").write_text("[plugins.waha]\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        **os.environ,
        **server_variables(config),
        "RECADO_DATA": config.paths.data,
        "PYTHONPATH": str(Path.cwd()),
    }
    command = (sys.executable, "-m", "uvicorn", "--factory", "core.asgi:create", "--port", str(port))
    with (tmp_path / "log").open("wb") as log:
        started = await asyncio.create_subprocess_exec(
            *command, "--log-level", "warning", cwd=tmp_path, env=variables, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url) as http:

        async def answers() -> bool:
            try:
                return (await http.get("/health/live")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, seconds=20)
    yield started, url
    if started.returncode is None:
        started.kill()
    await started.wait()


async def test_nothing_acknowledged_is_lost_on_kill(
    process: tuple[asyncio.subprocess.Process, str],
    admin: httpx.AsyncClient,
    tenant: httpx.AsyncClient,
    waha: Waha,
) -> None:
    started, url = process
    hook = await hook_of(await add_number(tenant, (await add_server(admin, waha))["id"]))
    acknowledged: list[str] = []

    async def keep_delivering(http: httpx.AsyncClient, lane: int) -> None:
        for number in range(10_000):
            message_id = f"3EB0{lane:02X}{number:06X}"
            try:
                answer = await deliver(http, hook, acknowledgement(message_id))
            except httpx.TransportError:
                return
            if answer.status_code == 200:
                acknowledged.append(message_id)

    async with httpx.AsyncClient(base_url=url) as http:
        lanes = [asyncio.create_task(keep_delivering(http, lane)) for lane in range(8)]

        async def enough() -> bool:
            return len(acknowledged) >= 200

        await eventually(enough, seconds=20)
        started.send_signal(signal.SIGKILL)
        await asyncio.gather(*lanes)
    kept = {message_id for event in await stored(hook) for message_id in _ids(event["event"])}
    assert set(acknowledged) <= kept


async def test_an_event_stored_by_a_killed_process_is_applied(
    process: tuple[asyncio.subprocess.Process, str],
    admin: httpx.AsyncClient,
    tenant: httpx.AsyncClient,
    waha: Waha,
) -> None:
    started, url = process
    number = await add_number(tenant, (await add_server(admin, waha))["id"])
    hook: Hook = await hook_of(number)
    async with httpx.AsyncClient(base_url=url) as http:
        assert (await deliver(http, hook, status("WORKING"))).status_code == 200
    started.send_signal(signal.SIGKILL)
    await started.wait()
    await applying.apply("events")
    assert (await tenant.get(f"/api/numbers/{number['id']}")).json()["data"]["status_connection"] is True


def _ids(event: str) -> list[str]:
    import msgspec

    return list(msgspec.json.decode(event).get("ids", ()))
