"""The platform as real processes: API, workers, scheduler and the WAHA simulator, each to be killed at will."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from playwright.async_api import Browser
from redis.asyncio import Redis

from core import database
from core.accounts.services import create_user
from core.accounts.tables import Profile
from core.config import DatabaseConfig, PlatformConfig, RedisConfig
from core.embedded import EmbeddedServers
from core.migrate import migrate
from core.piccolo_conf import DB
from core.plugin.secret import Secret
from core.runtime import Runtime
from tests.e2e.browser import launch
from tests.factories import PASSWORD

WAIT_SECONDS = 50.0
PHONE = "5511987650001"


class Platform:
    """Every process of one installation."""

    def __init__(self, config: PlatformConfig, folder: Path) -> None:
        self.port, self.simulator_port = _free_port(), _free_port()
        self._settings = folder / "platform.toml"
        self._settings.write_text(
            "[plugins.waha]\ntext_timeout_seconds = 2.0\nmedia_timeout_seconds = 2.0\nunknown_grace_seconds = 1.0\n"
            "[limits]\nper_minute = 1000000\nsign_in_per_minute = 10000\n"
        )
        if config.database.url is None or config.redis.url is None:
            raise RuntimeError("the tests have no servers")
        self._environment = os.environ | {
            "RECADO_CONFIG": str(self._settings),
            "RECADO_DATABASE_URL": config.database.url.reveal(),
            "RECADO_REDIS_URL": config.redis.url.reveal(),
            "RECADO_DATA": config.paths.data,
            "RECADO_PORT": str(self.port),
            "RECADO_LOG_LEVEL": "warning",
        }
        self.redis: Redis = Redis.from_url(config.redis.url.reveal())
        self._log: Path | None = None
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False, timeout=30)
        self.phone = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.simulator_port}", trust_env=False, timeout=30)

    def keep_log(self, file: Path, level: str) -> None:
        """Write what processes log that are started later, from ``level`` on, to a file."""
        self._log = file
        self._environment["RECADO_LOG_LEVEL"] = level

    def configure(self, table: str, **texts: str) -> None:
        """Add a table to platform.toml, for processes that are started later."""
        lines = "".join(f'{key} = "{text}"\n' for key, text in texts.items())
        with self._settings.open("a") as file:
            file.write(f"[{table}]\n{lines}")

    async def start(self, name: str, *arguments: str) -> None:
        """Start one process of the product."""
        await self.start_program(name, sys.executable, "-m", "core.cli", *(arguments or (name,)))

    async def start_program(self, name: str, *command: str) -> None:
        """Start any program with the environment of the product's."""
        with ExitStack() as opened:
            log = None if self._log is None else opened.enter_context(self._log.open("ab"))
            self._processes[name] = await asyncio.create_subprocess_exec(*command, env=self._environment, stderr=log)

    async def stop(self, name: str) -> None:
        """Stop a process in its tracks and return once it stands: the signal alone is only on its way."""
        process = self._processes[name]
        process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process: to let it go on, or to have it end."""
        self._processes[name].send_signal(number)

    async def kill(self, name: str) -> None:
        """End a process as a power cut would."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        await process.wait()

    async def close(self) -> None:
        """End everything."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self.http.aclose()
        await self.phone.aclose()
        await self.redis.aclose()

    async def until(
        self, ask: Callable[[], Any], fits: Callable[[Any], bool], what: str, seconds: float = WAIT_SECONDS
    ) -> Any:
        """Ask until the answer fits; the last answer is told when the time is over."""
        answer: Any = None
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            with suppress(httpx.TransportError):
                answer = await ask()
                if fits(answer):
                    return answer
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}: {answer}")

    async def get(self, path: str) -> Any:
        """GET a resource."""
        answer = await self.http.get(path)
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def post(self, path: str, body: Any = None) -> Any:
        """POST and return the resource."""
        answer = await self.http.post(path, **({} if body is None else {"json": body}))
        assert answer.is_success, answer.text
        return answer.json()["data"]

    async def sign_in(self, address: str) -> None:
        """Sign the client in, whatever sign-ins other tests failed from the one address that all share."""
        await database.execute("DELETE FROM sign_in_failures")
        answer = await self.http.post("/api/auth/login", json={"email": address, "password": PASSWORD})
        assert answer.is_success, answer.text
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    async def add_simulator(self) -> int:
        """Add the simulator as a server."""
        url = str(self.phone.base_url).rstrip("/")
        body = {"name": f"simulator {self.port}", "provider": "waha", "url": url}
        return int((await self.post("/api/admin/servers", body))["id"])

    async def pair(self, server_id: int, phone: str = PHONE) -> int:
        """Add a number and scan its QR code."""
        number = await self.post("/api/numbers", {"server_id": server_id})
        path = f"/api/numbers/{number['id']}"
        await self.post(f"{path}/connect")
        await self.until(lambda: self.get(path), lambda found: found["connection"] == "sign_in", "the QR code")
        scanned = await self.phone.post(f"/simulator/sessions/{number['instance']}/scan", json={"phone": phone})
        assert scanned.is_success, scanned.text
        await self.until(lambda: self.get(path), lambda found: found["status_connection"], "the connection")
        return int(number["id"])

    async def audience(self, contacts: int) -> int:
        """Import ``contacts`` people into an audience."""
        audience = await self.post("/api/publics", {"name": "People", "type": 3})
        rows = "\n".join(f"Pessoa {row},55119{60000000 + row * 7 + 1}" for row in range(contacts))
        answer = await self.http.post(
            "/api/imports",
            files={"file": ("people.csv", f"nome,telefone\n{rows}\n".encode(), "text/csv")},
            data={"public_id": str(audience["id"]), "start": "true"},
        )
        assert answer.is_success, answer.text
        path = f"/api/imports/{answer.json()['data']['id']}"
        found = await self.until(
            lambda: self.get(path), lambda row: row["status"] in {"done", "failed"}, "the import", 300
        )
        assert (found["status"], found["rows_created"]) == ("done", contacts)
        return int(audience["id"])


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests; each opens pages in a profile of its own."""
    async with launch() as browser:
        yield browser


@pytest.fixture
async def platform(installation: PlatformConfig, tmp_path: Path) -> AsyncIterator[Platform]:
    """A running platform with an administrator signed in and the simulator beside it."""
    async with _running(installation, tmp_path) as running:
        yield running


@pytest.fixture
async def shakeable(runtime: Runtime, tmp_path: Path) -> AsyncIterator[tuple[Platform, EmbeddedServers]]:
    """A running platform on servers of its own, which a test may stop; this process reads their database too."""
    servers = EmbeddedServers(tmp_path / "servers")
    urls = await servers.start()
    config = msgspec.structs.replace(
        runtime.config,
        database=DatabaseConfig(url=Secret(urls.database_url)),
        redis=RedisConfig(url=Secret(urls.redis_url)),
    )
    used, DB.pool = DB.pool, None
    try:
        await migrate(config)
        await database.open_pool(config, size=4)
        # People's phones that exist all, and do not tell when they were read: less to do for each message.
        async with _running(config, tmp_path, "missing_suffix=", "read_share=0") as running:
            yield running, servers
    finally:
        await database.close_pool()
        DB.pool = used
        await servers.stop()


@asynccontextmanager
async def _running(config: PlatformConfig, folder: Path, *options: str) -> AsyncIterator[Platform]:
    running = Platform(config, folder)
    given = [word for option in ("ack_seconds=0.05", *options) for word in ("--option", option)]
    try:
        await running.start("api")
        await running.start("scheduler")
        await running.start("simulator", "simulate", "waha", "--port", str(running.simulator_port), *given)
        await running.until(lambda: running.http.get("/health/ready"), lambda found: found.is_success, "the API")
        await running.until(lambda: running.phone.get("/ping"), lambda found: found.is_success, "the simulator")
        address = f"e2e-{os.urandom(6).hex()}@example.com"
        await create_user(address, "E2E", PASSWORD, profile=Profile.ADMINISTRATOR)
        await running.sign_in(address)
        yield running
    finally:
        await running.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
