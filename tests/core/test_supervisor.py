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

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        (self.folder / "platform.toml").write_text("[plugins.waha]\n")
        self.log.write_text("")
        clean = {key: value for key, value in os.environ.items() if key not in {"RECADO_CONFIG", *OVERRIDES}}
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "core.cli", "up", "--port", str(self.port), *more],
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


EXAMPLE = """
import os
import sys
from pathlib import Path

from core.plugin import Settings, hookimpl


class Plugin:
    Settings = Settings
    requires = ">=1.0,<2"
    version = "one"

    def __init__(self, settings):
        with Path(__file__).with_name("loaded.txt").open("a") as file:
            file.write(f"{self.version} {sys.argv[-1]}\\n")
"""


def _holders(platform: Platform) -> set[int]:
    """The processes that hold plugins."""
    return {found.pid for name in ("api", "worker", "scheduler") for found in platform.processes(f"core.cli {name}")}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_plugin_that_is_written_is_loaded_again(platform: Platform) -> None:
    example = platform.folder / "elsewhere" / "example"
    example.mkdir(parents=True)
    (example / "__init__.py").write_text(EXAMPLE)
    loaded = example / "loaded.txt"
    process = platform.start("--plugin", str(example))
    platform.wait_until_ready()
    platform.wait_for(lambda: all(f"one {name}" in loaded.read_text() for name in ("api", "worker", "scheduler")))
    first = _holders(platform)

    (example / "__init__.py").write_text(EXAMPLE.replace('"one"', '"two"'))

    platform.wait_for(lambda: loaded.read_text().count("two worker") == 2)
    platform.wait_for(lambda: all(f"two {name}" in loaded.read_text() for name in ("api", "scheduler")))
    told = "example/__init__.py changed: restarting API, workers and scheduler"
    assert platform.told().count(told) == 1
    platform.wait_for(lambda: len(_holders(platform)) == 4)
    second = _holders(platform)
    assert first.isdisjoint(second)
    asyncio.run(_answers(platform.port))

    (example / "part.py").write_text("")
    (example / "__init__.py").write_text("def (")

    platform.wait_for(lambda: "and cannot be loaded, so the processes from before go on" in platform.told())
    broken = platform.told().splitlines()
    place = broken.index(
        "example/__init__.py, example/part.py changed, and cannot be loaded, so the processes from before go on:"
    )
    assert broken[place + 1].startswith("recado: [plugins.example]: cannot be imported: SyntaxError: ")
    assert _holders(platform) == second
    asyncio.run(_answers(platform.port))

    (example / "__init__.py").write_text(EXAMPLE.replace('"one"', '"three"'))

    platform.wait_for(lambda: loaded.read_text().count("three worker") == 2)
    assert "ended (" not in platform.told()
    process.terminate()
    assert process.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (["nowhere"], "recado: nowhere is no plugin: a folder with an __init__.py is one.\n"),
        (
            ["a/same", "b/same"],
            "recado: --plugin: two of the folders have the same name, so their plugins would too.\n",
        ),
        (["a/bad"], "recado: [plugins.bad]: cannot be imported: NameError: name 'oops' is not defined;"),
    ],
)
def test_a_plugin_that_cannot_be_written_on(tmp_path: Path, folders: list[str], told: str) -> None:
    for name, text in (("a/same", ""), ("b/same", ""), ("a/bad", "oops")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__init__.py").write_text(text)
    options = [part for folder in folders for part in ("--plugin", folder)]

    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "up", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(told)
