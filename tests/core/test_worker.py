import ast
import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from core import database
from core.campaigns.restored import KEY
from core.config import PlatformConfig, server_variables

COMMAND = (sys.executable, "-c", "from core.cli import main; main()", "worker")
ROOT = Path(__file__).parents[2]


async def _worker(config: PlatformConfig, folder: Path, platform_toml: str = "") -> asyncio.subprocess.Process:
    (folder / "platform.toml").write_text(platform_toml)
    environment = {**os.environ, **server_variables(config), "PYTHONPATH": str(ROOT), "RECADO_DATA": str(folder)}
    return await asyncio.create_subprocess_exec(
        *COMMAND, cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )


async def _read_until(process: asyncio.subprocess.Process, word: bytes) -> bytes:
    seen = b""
    assert process.stdout is not None
    async with asyncio.timeout(20):
        while word not in seen:
            line = await process.stdout.readline()
            assert line, seen.decode()
            seen += line
    return seen


def test_a_worker_loads_every_module_that_registers_a_handler() -> None:
    """What no module imports is done where the API asks for it, in tests too, and by no worker."""
    wanted = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "core").rglob("*.py")
        if any(_registers(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    code = "import sys; from core.worker import load_actors; load_actors(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert len(wanted) > 15
    assert wanted - set(done.stdout.split()) == set()


def _registers(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    named = {ast.unparse(one.func) for one in node.decorator_list if isinstance(one, ast.Call)}
    return bool(named & {"job_handler", "event_handler", "dramatiq.actor"})


class TestRun:
    async def test_works_until_it_is_told_to_end(self, installation: PlatformConfig, tmp_path: Path) -> None:
        process = await _worker(installation, tmp_path)
        await _read_until(process, b"worker_started")
        process.send_signal(signal.SIGTERM)
        await _read_until(process, b"worker_stopped")
        assert await process.wait() == 0

    async def test_what_keeps_it_from_starting_ends_it_with_one_line(
        self, installation: PlatformConfig, tmp_path: Path
    ) -> None:
        process = await _worker(installation, tmp_path, "[plugins.nonexistent]\n")
        async with asyncio.timeout(20):
            output, _ = await process.communicate()
        assert process.returncode == 1
        assert output.decode().startswith("recado: [plugins.nonexistent]: no folder plugins/nonexistent")
        assert len(output.splitlines()) == 1

    async def test_remembers_the_server_it_wrote_on(self, installation: PlatformConfig, tmp_path: Path) -> None:
        process = await _worker(installation, tmp_path)
        await _read_until(process, b"worker_started")
        process.send_signal(signal.SIGINT)
        await _read_until(process, b"worker_stopped")
        assert await process.wait() == 0
        present = await database.fetch_value("SELECT system_identifier::text FROM pg_control_system()")
        assert await database.fetch_value("SELECT value FROM settings WHERE key = $1", KEY) == present
