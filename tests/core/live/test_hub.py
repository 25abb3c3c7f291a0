"""Many processes, a Redis that is killed, and readers that do not read."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
from litestar.types import HTTPDisconnectEvent, Message

from core.accounts.authentication import authenticate
from core.accounts.liveness import living
from core.app import create_app
from core.config import PlatformConfig, RedisConfig, server_variables
from core.embedded import EmbeddedServers
from core.embedded.valkey import Valkey
from core.events.catalogue import StreamOpened, StreamReset, seal
from core.live import listener, stream
from core.live.controllers import HUB, hub_of
from core.live.hub import Hub
from core.live.listener import Listener
from core.plugin.secret import Secret
from core.runtime import Runtime, set_runtime
from core.runtime import runtime as present
from core.security import Credential
from core.startup import connect_redis
from tests.conftest import Serve
from tests.core.live.listening import happen, listening, message_received
from tests.factories import Member
from tests.outages import free_port, without_redis

ROOT = Path(__file__).parents[3]
PROC_TCP = Path("/proc/net/tcp")
"""Of Linux alone: https://docs.kernel.org/networking/proc_net_tcp.html"""


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
        self, runtime: Runtime, config: PlatformConfig, tmp_path: Path, user: Member, other_user: Member
    ) -> None:
        del runtime  # needed, since the events are published from here
        last_id = await tell_much(other_user)
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
            # Not even one who takes nothing has it wait for the five seconds after which the server ends anyway.
            with deaf(httpx.URL(first), other_user, last_id):
                await stalled(first)
                process.terminate()
                await one.ended()
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
    async def test_nothing_is_missing_unsaid_and_nothing_comes_twice(
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
                await happen(user.id)  # lost, raised to nobody, and told once Redis is there again
                await valkey.start()
                # Before the subscription is there again, as far as can be.
                more = await happen(user.id, 130)
                for connection in (one, two):
                    heard, resets = await connection.jobs_and_resets(130)
                    assert heard == more
                    assert resets > 0
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
                await stream.publish([(user.id, seal(message_received(place * 20 + step, text))) for step in range(20)])
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
                await stream.publish([(user.id, seal(message_received(place, text))) for place in range(20)])
                await asyncio.sleep(0.05)
        writer.transport.abort()

    async def test_is_cut_off_with_all_that_was_not_taken(
        self,
        runtime: Runtime,
        serve: Serve,
        user: Member,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        # The system has its own time, so that nothing but the listener ends the connection here.
        monkeypatch.setattr(listener, "end_unanswered", lambda *_: None)
        monkeypatch.setattr(listener, "SEND_SECONDS", 0.3)
        app = create_app(runtime.config)
        url = httpx.URL(await serve(app))
        last_id = await tell_much(user)
        with deaf(url, user, last_id):
            await until(lambda: hub_of(app).count == 1)
            await until(lambda: hub_of(app).count == 0)
            await until(lambda: held_by(url) == 0, seconds=2)
        # It is no failure of the application, as the server would have it.
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []

    @pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the system has no such setting")
    async def test_whose_system_still_has_room_is_ended_too(
        self, runtime: Runtime, serve: Serve, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listener, "SEND_SECONDS", 0.5)
        app = create_app(runtime.config)
        url = httpx.URL(await serve(app))
        with deaf(url, user):
            await until(lambda: hub_of(app).count == 1)
            # Less than what the server itself would hold back.
            await stream.publish([(user.id, seal(message_received(place, "x" * 5_000))) for place in range(6)])
            await until(lambda: hub_of(app).count == 0)
            await until(lambda: held_by(url) == 0, seconds=2)

    async def test_reads_on_in_parts_that_are_bounded(self, user: Member) -> None:
        text = "x" * 60_000
        begun = await stream.read_after(user.id, None)
        await stream.publish([(user.id, seal(message_received(place, text))) for place in range(20)])
        sent: list[bytes] = []
        done = asyncio.Event()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                sent.append(message["body"])
                if b'"number_id":19,' in sent[-1]:
                    done.set()

        async def receive() -> HTTPDisconnectEvent:
            await done.wait()
            return {"type": "http.disconnect"}

        one = Listener(await authenticate(Credential(user.token)), (begun.newest, begun.epoch), asyncio.Semaphore(1))
        one.catch_up()
        async with asyncio.timeout(5):
            await one.serve(receive, send)
        assert max(map(len, sent)) < stream.PART_BYTES + 61_000


class TestTrouble:
    async def test_a_message_that_nobody_can_read_ends_nothing(
        self, runtime: Runtime, serve: Serve, user: Member, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = await serve(create_app(runtime.config))
        async with listening(url, user.token) as one:
            await one.opened()
            for message in ("v2 something else", "", "1 2 3 4 5", f"{user.id} 5-0 0a1b2c3d"):
                await runtime.redis.publish(stream.CHANNEL, message)
            told = await happen(user.id)
            assert await one.jobs(1) == told
        assert "live_events_unsubscribed" not in caplog.text

    async def test_after_whatever_breaks_the_subscription_it_is_made_again(
        self, runtime: Runtime, serve: Serve, user: Member, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = await serve(create_app(runtime.config))
        async with listening(url, user.token) as one:
            await one.opened()
            with monkeypatch.context() as broken:
                handled = asyncio.Event()

                def handle(*_: object) -> None:
                    handled.set()
                    raise ZeroDivisionError

                broken.setattr(Hub, "_handle", handle)
                told = await happen(user.id)
                async with asyncio.timeout(5):
                    await handled.wait()
            assert await one.jobs(1) == told

    async def test_a_database_that_hangs_silences_nobody(self, runtime: Runtime, serve: Serve, user: Member) -> None:
        asked = asyncio.Event()

        async def hang(_sessions: object, _keys: object) -> tuple[Collection[int], Collection[int]]:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        app = create_app(runtime.config)
        app.state[HUB] = Hub(hang, beat_seconds=0.1, review_seconds=0.05, review_limit_seconds=60)
        async with listening(await serve(app), user.token) as one:
            await one.opened()
            async with asyncio.timeout(5):
                await asked.wait()
            for _ in range(3):
                await one.comment("still here")

    async def test_a_review_that_hangs_is_given_up_and_made_again(
        self, runtime: Runtime, serve: Serve, user: Member
    ) -> None:
        calls = 0

        async def hang_once(_sessions: object, _keys: object) -> tuple[Collection[int], Collection[int]]:
            nonlocal calls
            calls += 1
            if calls == 1:
                await asyncio.Event().wait()
            return (), ()

        app = create_app(runtime.config)
        app.state[HUB] = Hub(hang_once, review_seconds=0.05, review_limit_seconds=0.1)
        async with listening(await serve(app), user.token) as one:
            await one.ended()

    async def test_events_that_were_lost_are_not_said_to_follow(
        self, runtime: Runtime, serve: Serve, user: Member, other_user: Member
    ) -> None:
        url = await serve(create_app(runtime.config))
        async with listening(url, user.token) as one, listening(url, other_user.token) as two:
            opened, others = await one.opened(), await two.opened()
            async with without_redis(runtime):
                await happen(user.id)
            told = await happen(user.id)
            assert await one.jobs_and_resets(1) == (told, 1)
        async with listening(url, user.token, headers={"Last-Event-ID": opened.id}) as again:
            assert (await again.next()).body == StreamReset()
            assert (await again.jobs_and_resets(1))[0] == told
        async with listening(url, other_user.token, headers={"Last-Event-ID": others.id}) as again:
            assert (await again.next()).body == StreamOpened(resumed=True)


async def tell_much(user: Member) -> str:
    """Tell a user more than the system takes in for a connection; return the id from before."""
    begun = await stream.read_after(user.id, None)
    text = "x" * 60_000
    for _ in range(10):
        await stream.publish([(user.id, seal(message_received(place, text))) for place in range(20)])
    return f"{begun.newest}.{begun.epoch.decode()}"


@contextmanager
def deaf(url: httpx.URL, user: Member, last_id: str = "") -> Iterator[None]:
    """Ask for events, with little room for them, and read nothing."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        connection.connect(("127.0.0.1", url.port or 80))
        headers = [f"Host: {url.netloc.decode()}", f"Authorization: Bearer {user.token}"]
        headers += [f"Last-Event-ID: {last_id}"] if last_id else []
        connection.sendall(("GET /api/events HTTP/1.1\r\n" + "\r\n".join(headers) + "\r\n\r\n").encode())
        yield


def held_by(url: httpx.URL) -> int:
    """How many connections this process holds as a server at ``url``."""
    return sum(
        one.laddr.port == url.port and one.status == psutil.CONN_ESTABLISHED and one.fd != -1
        for one in psutil.Process().net_connections("tcp4")
    )


async def stalled(url: str) -> None:
    """Wait until nothing more of what a server sends is taken, as far as the system says."""
    before, held = 0, 0
    async with asyncio.timeout(15):
        while PROC_TCP.exists() and not (before == held > stream.PART_BYTES):
            before = held
            await asyncio.sleep(0.2)
            held = waiting_bytes(url)


def waiting_bytes(url: str) -> int:
    """How much the system holds of what a server of this machine sent and nobody took."""
    local = f":{httpx.URL(url).port:04X}"
    rows = [line.split() for line in PROC_TCP.read_text().splitlines()[1:]]
    return sum(int(row[4].partition(":")[0], 16) for row in rows if row[1].endswith(local))


async def until(holds: Callable[[], bool], *, seconds: float = 15) -> None:
    """Wait for something that nobody tells."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _read_past(reader: asyncio.StreamReader, mark: bytes) -> None:
    tail = b""
    while mark not in tail:
        part = await reader.read(65_536)
        assert part, "the stream ended"
        tail = tail[-len(mark) :] + part
