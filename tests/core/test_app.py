"""The application as a whole: every domain is in it, and a served process works."""

import ast
import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from litestar import Litestar, get

from core.app import CONTROLLERS, create_app
from core.config import PlatformConfig
from core.runtime import Runtime
from tests.conftest import ClientOf, Serve
from tests.factories import Member
from tests.outages import free_port

CORE = Path(__file__).parents[2] / "core"


def test_every_controller_is_listed() -> None:
    defined = {
        node.name
        for path in CORE.rglob("*controllers.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Controller" for base in node.bases)
    }
    assert defined - {controller.__name__ for controller in CONTROLLERS} == set()


def test_two_applications_do_not_share_state(runtime: Runtime) -> None:
    assert create_app(runtime.config) is not create_app(runtime.config)


async def test_limit_of_a_body_holds_without_a_declared_length(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(2000):
            yield b"x" * 1024

    answer = await client.post(
        "/api/auth/login",
        content=endless(),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_order_of_the_chain(api: ClientOf, user: Member, client: httpx.AsyncClient) -> None:
    """A foreign origin before the token, the token before the administrator, all of them before the body."""
    foreign = {"Origin": "https://evil.example"}
    broken = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    assert (await client.post("/api/admin/plans", headers=foreign)).json()["code"] == "foreign_origin"
    assert (await client.post("/api/admin/plans", **broken)).status_code == 401  # type: ignore[arg-type]
    assert (await api(user).post("/api/admin/plans", **broken)).status_code == 403  # type: ignore[arg-type]


async def test_served_over_a_socket(app: Litestar, serve: Serve) -> None:
    base_url = await serve(app)
    async with httpx.AsyncClient(base_url=base_url) as client:
        answer = await client.get("/health/ready")
        refused = await client.post("/api/auth/login", content=b"x" * (2**20 + 1))
    assert answer.status_code == 200
    assert refused.status_code in {413, 415}


async def test_two_servers_at_once(serve: Serve) -> None:
    @get("/", sync_to_thread=False)
    def name() -> str:
        return "simulator"

    first, second = await serve(Litestar([name])), await serve(Litestar([name]))
    assert first != second
    async with httpx.AsyncClient() as client:
        assert [(await client.get(url)).text for url in (first, second)] == ["simulator"] * 2


async def test_process_of_its_own(config: PlatformConfig, tmp_path: Path) -> None:
    """What `uvicorn --factory core.asgi:create` serves starts with nothing but its environment, and ends on SIGTERM."""
    assert config.database.url is not None
    assert config.redis.url is not None
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "--factory", "core.asgi:create", "--port", str(port)),
        env={
            **os.environ,
            "RECADO_DATABASE_URL": config.database.url.reveal(),
            "RECADO_REDIS_URL": config.redis.url.reveal(),
            "RECADO_DATA": str(tmp_path),
        },
        cwd=CORE.parent,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert await answers(f"http://127.0.0.1:{port}/health/ready") == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) in {0, -signal.SIGTERM}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def answers(url: str) -> int:
    """Ask until somebody listens."""
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        while True:
            try:
                return (await client.get(url)).status_code
            except httpx.ConnectError:
                await asyncio.sleep(0.1)
