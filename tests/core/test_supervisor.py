import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from core.config import OVERRIDES
from core.supervisor import wait_until_ready

ROOT = Path(__file__).parents[2]


class Platform:
    """A `recado up` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.log = folder / "up.log"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        (self.folder / "platform.toml").write_text("[plugins.waha]\n")
        self.log.write_text("")
        clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "core.cli", "up", "--port", str(self.port)],
                cwd=self.folder,
                env={**clean, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def told(self) -> str:
        return self.log.read_text()

    def processes(self, part: str = "") -> list[psutil.Process]:
        """What runs for this folder: the commands in it, and the servers on its data."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd", "status"]):
            command = " ".join(process.info["cmdline"] or [])
            here = process.info["cwd"] == str(self.folder) or str(self.folder) in command
            if here and process.info["status"] != psutil.STATUS_ZOMBIE and part in command:
                found.append(process)
        return found

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, self.told()
            time.sleep(0.05)

    def wait_until_ready(self) -> None:
        self.wait_for(lambda: "Recado is ready" in self.told())

    def clean(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    found = Platform(tmp_path)
    yield found
    found.clean()
    found.wait_for(lambda: found.processes() == [], 20)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_it_serves_until_ctrl_c_and_leaves_nothing(platform: Platform) -> None:
    process = platform.start()
    platform.wait_until_ready()
    platform.wait_for(lambda: "One-time set-up token" in platform.told())

    answer = httpx.get(f"http://127.0.0.1:{platform.port}/health/ready", trust_env=False)
    commands = [found.cmdline()[3] for found in platform.processes("core.cli")]
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    code = process.wait(timeout=20)

    assert answer.status_code == 200
    assert sorted(commands) == ["api", "scheduler", "up", "worker", "worker"]
    assert code == 0
    assert time.monotonic() - asked < 10
    assert platform.processes() == []
    assert platform.told().endswith("Stopped\n")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_dies_is_started_again(platform: Platform) -> None:
    platform.start()
    platform.wait_until_ready()

    platform.processes("core.cli worker")[0].kill()
    platform.processes("postgres -D")[0].kill()
    platform.processes("valkey-server")[0].kill()

    platform.wait_for(lambda: platform.told().count("starting it again") >= 3)
    platform.wait_for(lambda: len(platform.processes("core.cli worker")) == 2)
    asyncio.run(_answers(platform.port))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_platform_leaves_nothing_and_starts_again(platform: Platform) -> None:
    first = platform.start()
    platform.wait_until_ready()

    first.kill()
    second = platform.start()
    platform.wait_until_ready()

    assert len(platform.processes("postgres -D")) == 1
    assert len(platform.processes("core.cli")) == 5
    second.terminate()
    assert second.wait(timeout=20) == 0
    assert platform.processes() == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_second_ctrl_c_kills(platform: Platform) -> None:
    process = platform.start()
    platform.wait_until_ready()
    for worker in platform.processes("core.cli worker"):
        worker.suspend()

    process.send_signal(signal.SIGINT)
    platform.wait_for(lambda: "Stopping" in platform.told())
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=20)

    assert time.monotonic() - asked < 3
    assert platform.processes() == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_workers_that_do_not_end_do_not_hold_the_stop_up(platform: Platform) -> None:
    process = platform.start()
    platform.wait_until_ready()
    for worker in platform.processes("core.cli worker"):
        worker.suspend()

    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    process.wait(timeout=20)

    assert 8 < time.monotonic() - asked < 10
    assert platform.processes() == []


async def test_ready_is_when_the_api_says_so() -> None:
    answers = [503, 200]
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"HTTP/1.1 {answers.pop(0)} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        await wait_until_ready(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    assert [request.split(b"\r\n")[0] for request in asked] == [b"GET /health/ready HTTP/1.1"] * 2


async def _answers(port: int) -> None:
    async with asyncio.timeout(30):
        await wait_until_ready(f"http://127.0.0.1:{port}")
