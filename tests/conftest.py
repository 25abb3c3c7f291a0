"""One PostgreSQL and one Valkey for the whole run; every test works as a tenant of its own, with real commits."""

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import msgspec
import pytest
import uvicorn
from litestar import Litestar
from litestar.types import ASGIApp

from core import database
from core.accounts.tables import Profile
from core.app import create_app
from core.config import DatabaseConfig, LimitsConfig, PathsConfig, PlatformConfig, RedisConfig
from core.embedded import EmbeddedUrls, embedded_servers
from core.live.connection import HttpProtocol
from core.migrate import migrate
from core.piccolo_conf import DB
from core.plugin.secret import Secret
from core.runtime import Runtime
from core.startup import running_process
from tests.factories import Member, make_member
from tests.whole_run import secrets_left

TEMPLATE = "recado_template"
UNLIMITED = LimitsConfig(
    per_minute=1_000_000,
    dashboard_per_minute=1_000_000,
    sign_in_per_minute=10_000,
    refused_webhooks_per_minute=1_000_000,
)
"""All tests come from one address; those of the limits set their own."""

ClientOf = Callable[[Member], httpx.AsyncClient]
Serve = Callable[[ASGIApp], Awaitable[str]]


@pytest.fixture(scope="session")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[logging.FileHandler]:
    """Writes what this process logs."""
    handler = logging.FileHandler(tmp_path_factory.mktemp("log") / "run.log", encoding="utf-8")
    yield handler
    logging.getLogger().removeHandler(handler)
    handler.close()


@pytest.fixture(autouse=True)
def whole_log(log_file: logging.FileHandler) -> Path:
    """The file that holds what this process has logged since the run began; tests that set logging up take it off."""
    logging.getLogger().addHandler(log_file)
    return Path(log_file.baseFilename)


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedUrls]:
    """The run's own servers; commits are not flushed to disk."""
    async with embedded_servers(tmp_path_factory.mktemp("servers"), durable=False) as urls:
        yield urls


@pytest.fixture(scope="session")
async def template(servers: EmbeddedUrls, tmp_path_factory: pytest.TempPathFactory) -> PlatformConfig:
    """A migrated database that nobody connects to, to be copied."""
    await administrate(servers, f'CREATE DATABASE "{TEMPLATE}"')
    config = PlatformConfig(
        database=DatabaseConfig(url=Secret(with_name(servers.database_url, TEMPLATE))),
        redis=RedisConfig(url=Secret(servers.redis_url)),
        limits=UNLIMITED,
        paths=PathsConfig(data=str(tmp_path_factory.mktemp("data"))),
    )
    await migrate(config)
    return config


@pytest.fixture(scope="session")
async def config(servers: EmbeddedUrls, template: PlatformConfig) -> PlatformConfig:
    """The configuration of the run's process, also for processes that a test starts."""
    return await _copy(servers, template, "recado_tests")


@pytest.fixture(scope="session")
async def runtime(config: PlatformConfig, log_file: logging.FileHandler) -> AsyncIterator[Runtime]:
    """This process, started as the API's is; at the end, no secret of anybody stands in what it left behind."""
    async with running_process(config) as started:
        yield started
    log_file.flush()
    assert await secrets_left(config, Path(log_file.baseFilename)) == []


@pytest.fixture(scope="session")
def app(runtime: Runtime) -> Litestar:
    return create_app(runtime.config)


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not signed in."""
    async with client_for(app) as opened:
        yield opened


@pytest.fixture
async def user(runtime: Runtime) -> Member:
    """A tenant, signed in."""
    del runtime  # needed, since it opens the pool
    return await make_member()


@pytest.fixture
async def other_user(runtime: Runtime) -> Member:
    """Another tenant, signed in."""
    del runtime  # needed, since it opens the pool
    return await make_member()


@pytest.fixture
async def administrator(runtime: Runtime) -> Member:
    """An administrator, signed in."""
    del runtime  # needed, since it opens the pool
    return await make_member(profile=Profile.ADMINISTRATOR)


@pytest.fixture
def api(app: Litestar) -> ClientOf:
    """A signed-in client: ``api(user)``."""
    return lambda member: client_for(app, member.token)


@pytest.fixture
async def empty_installation(
    servers: EmbeddedUrls, template: PlatformConfig, runtime: Runtime
) -> AsyncIterator[PlatformConfig]:
    """A database without any user, which the test's process uses meanwhile."""
    del runtime  # needed, since the swap returns to its pool
    async with empty_database(servers, template) as config:
        yield config


@pytest.fixture
async def installation(empty_installation: PlatformConfig, runtime: Runtime) -> PlatformConfig:
    """What processes that a test starts need for themselves: a database without any user, and nothing in Valkey.

    On the run's own, a worker or a scheduler would first do what hundreds of tests have left to do. A user of the
    test has to come after it: name it in ``usefixtures`` as well.
    """
    await runtime.redis.flushall()
    return empty_installation


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve an ASGI application on a port of loopback in this event loop: ``base_url = await serve(app)``."""
    running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def start(application: ASGIApp) -> str:
        # asyncio sends without delay only where the protocol is named: 40 ms for each answer on a kept connection.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        server = _Server(uvicorn.Config(application, http=HttpProtocol, log_config=None, access_log=False))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        running.append((server, task))
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    yield start
    for server, task in running:
        server.should_exit = True
        await task


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Leave the signals to pytest."""
        return nullcontext()


def client_for(app: ASGIApp, token: str = "", address: str = "") -> httpx.AsyncClient:
    """A client of ``app`` in this process; an error the application does not answer is raised.

    It comes from an address of its own, or the sign-ins that one test fails would lock out another.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    address = address or ".".join(("127", *map(str, secrets.token_bytes(3))))
    transport = httpx.ASGITransport(app=app, client=(address, 50000))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://recado.test", headers=headers)


@asynccontextmanager
async def empty_database(servers: EmbeddedUrls, template: PlatformConfig) -> AsyncIterator[PlatformConfig]:
    """Have this process use a fresh copy of the migrated database while the block runs."""
    config = await _copy(servers, template, f"empty_{secrets.token_hex(4)}")
    used, DB.pool = DB.pool, None
    await database.open_pool(config, size=4)
    try:
        yield config
    finally:
        await database.close_pool()
        DB.pool = used


async def _copy(servers: EmbeddedUrls, template: PlatformConfig, name: str) -> PlatformConfig:
    await administrate(servers, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    url = Secret(with_name(servers.database_url, name))
    return msgspec.structs.replace(template, database=DatabaseConfig(url=url))


async def administrate(servers: EmbeddedUrls, statement: str) -> None:
    """Run a statement that belongs to no database of the tests."""
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def with_name(url: str, name: str) -> str:
    """Return the address of the database ``name`` on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
