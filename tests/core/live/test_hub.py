"""Many processes, a Redis that is killed, and readers that do not read."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest

from core.accounts.liveness import living
from core.app import create_app
from core.config import PlatformConfig, RedisConfig, server_variables
from core.embedded import EmbeddedServers
from core.embedded.valkey import Valkey
from core.events.catalogue import MessageReceived, StreamOpened, StreamReset, seal
from core.live import listener, stream
from core.live.controllers import HUB, hub_of
from core.live.hub import Hub
from core.plugin.secret import Secret
from core.runtime import Runtime, set_runtime
from core.runtime import runtime as present
from core.startup import connect_redis
from tests.conftest import Serve
from tests.core.live.listening import happen, listening
from tests.factories import Member
from tests.outages import free_port

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def api_process(config: PlatformConfig, folder: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run ``recado api`` while the block lasts, if it has not ended by itself."""
    port = free_port()
    folder.mkdir()
    (folder / "platform.toml").touch()
    environment = {**os.environ, **server_variables(config), "PYTHONPATH": str(ROOT), "RECADO_DATA": str(folder)}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "core.cli", "api", "--port", str(port)),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/health/live")
                    break
                except httpx.TransportError:
                    assert process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class TestProcesses:
    async def test_all_tell_the_same_event_and_end_at_once(
        self, runtime: Runtime, config: PlatformConfig, tmp_path: Path, user: Member
    ) -> None:
        del runtime  # needed, since the events are published from here
        async with (
            api_process(config, tmp_path / "one") as (first, process),
            api_process(config, tmp_path / "two") as (second, _),
            listening(first, user.token) as one,
            listening(second, user.token) as two,
        ):
            await one.opened()
            await two.opened()
            told = await happen(user.id, 3)
            heard = [await one.next() for _ in told]
            assert [await two.next() for _ in told] == heard
            process.terminate()
            await one.ended()
            # Less than the five seconds after which the server cuts connections off.
            async with asyncio.timeout(4):
                await process.wait()
            missed = await happen(user.id, 2)
            # A position of one process means the same to every other.
            async with listening(second, user.token, headers={"Last-Event-ID": heard[-1].id}) as again:
                assert (await again.opened()).body == StreamOpened(resumed=True)
                assert await again.jobs(2) == missed
        log = (tmp_path / "one" / "log").read_text()
        assert "[error" not in log
        assert "Traceback" not in log


class OwnValkey:
    """A Valkey that a test may kill, and the process's runtime on it."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self._servers = servers

    @property
    def server(self) -> Valkey:
        (found,) = self._servers.running
        assert isinstance(found, Valkey)
        return found

    async def kill(self) -> None:
        self.server.kill()
        assert self.server.process is not None
        await self.server.process.wait()

    async def start(self) -> None:
        await self.server.start()


@pytest.fixture
async def valkey(runtime: Runtime, tmp_path: Path) -> AsyncIterator[OwnValkey]:
    servers = EmbeddedServers(tmp_path / "data", postgres=False)
    urls = await servers.start()
    client = connect_redis(msgspec.structs.replace(runtime.config, redis=RedisConfig(url=Secret(urls.redis_url))))
    set_runtime(msgspec.structs.replace(runtime, redis=client))
    try:
        yield OwnValkey(servers)
    finally:
        set_runtime(runtime)
        await client.aclose()
        await servers.stop()


class TestRedisThatIsKilled:
    async def test_nothing_is_missing_and_nothing_comes_twice(
        self, runtime: Runtime, valkey: OwnValkey, serve: Serve, user: Member
    ) -> None:
        url = await serve(create_app(runtime.config))
        async with listening(url, user.token) as one, listening(url, user.token) as two:
            for connection in (one, two):
                await connection.opened()
            told = await happen(user.id, 20)
            for connection in (one, two):
                assert await connection.jobs(20) == told
            await asyncio.sleep(1.1)  # what Valkey writes to its file every second survives
            for _ in range(2):
                await valkey.kill()
                await happen(user.id)  # lost, and raised to nobody
                await valkey.start()
                # Before the subscription is there again, as far as can be.
                more = await happen(user.id, 130)
                for connection in (one, two):
                    assert await connection.jobs(130) == more
                await asyncio.sleep(1.1)

    async def test_one_that_was_emptied_has_everybody_fetch_again(
        self, runtime: Runtime, serve: Serve, valkey: OwnValkey, user: Member
    ) -> None:
        del valkey  # emptied, which the run's own must not be
        url = await serve(create_app(runtime.config))
        async with listening(url, user.token) as one:
            await one.opened()
            told = await happen(user.id)
            assert await one.jobs(1) == told
            await present().redis.flushall()
            await happen(user.id)
            assert (await one.next()).body == StreamReset()
            after = await happen(user.id)
            assert await one.jobs(1) == after


class TestSlowReader:
    async def test_takes_no_memory_and_learns_that_it_missed_something(
        self, runtime: Runtime, serve: Serve, user: Member, other_user: Member
    ) -> None:
        url = httpx.URL(await serve(create_app(runtime.config)))
        async with listening(str(url), other_user.token) as bystander:
            await bystander.opened()
            reader, writer = await asyncio.open_connection("127.0.0.1", url.port, limit=1024, family=socket.AF_INET)
            request = (
                f"GET /api/events HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nAuthorization: Bearer {user.token}\r\n\r\n"
            )
            writer.write(request.encode())
            await reader.readuntil(b"stream.opened")
            before = psutil.Process().memory_info().rss
            text = "x" * 20_000
            for place in range(100):
                await stream.publish([(user.id, seal(_message(place * 20 + step, text))) for step in range(20)])
            grown = psutil.Process().memory_info().rss - before
            # 40 MB were told.
            assert grown < 12_000_000
            told = await happen(other_user.id)
            assert await bystander.jobs(1) == told
            async with asyncio.timeout(20):
                await _read_past(reader, b"event: stream.reset")
                after = await happen(user.id)
                await _read_past(reader, b'"job_id":%d,' % after[0])
            writer.close()
            await writer.wait_closed()

    async def test_that_takes_nothing_at_all_is_ended(
        self, runtime: Runtime, serve: Serve, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listener, "SEND_SECONDS", 0.3)
        app = create_app(runtime.config)
        app.state[HUB] = Hub(living, beat_seconds=0.1)
        url = httpx.URL(await serve(app))
        reader, writer = await asyncio.open_connection("127.0.0.1", url.port, limit=1024)
        request = (
            f"GET /api/events HTTP/1.1\r\nHost: {url.netloc.decode()}\r\nAuthorization: Bearer {user.token}\r\n\r\n"
        )
        writer.write(request.encode())
        await reader.readuntil(b"stream.opened")
        text = "x" * 20_000
        async with asyncio.timeout(30):
            while hub_of(app).count:
                await stream.publish([(user.id, seal(_message(place, text))) for place in range(20)])
                await asyncio.sleep(0.05)
        writer.transport.abort()


async def _read_past(reader: asyncio.StreamReader, mark: bytes) -> None:
    tail = b""
    while mark not in tail:
        part = await reader.read(65_536)
        assert part, "the stream ended"
        tail = tail[-len(mark) :] + part


def _message(place: int, text: str) -> MessageReceived:
    return MessageReceived(
        number_id=place, contact_id=None, sender="5511900001234", name="Lua", text=text, received_at=datetime.now(UTC)
    )
