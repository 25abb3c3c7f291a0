"""The start and end of a process, each in a process of its own."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from core.config import PlatformConfig

SCRIPT = """
import asyncio
from core import database
from core.config import load_config
from core.runtime import runtime
from core.startup import running_process

async def main():
    async with running_process(load_config()) as started:
        print(await database.fetch_value("SELECT 1"), (await started.redis.ping()), len(started.secret_key))
        assert runtime() is started and not started.stopping.is_set()
    assert started.stopping.is_set()
    try:
        runtime()
    except RuntimeError as error:
        print(error)

asyncio.run(main())
"""


async def run(config: PlatformConfig, tmp_path: Path, **environment: str) -> tuple[int | None, str]:
    assert config.database.url is not None
    assert config.redis.url is not None
    known = {
        "RECADO_DATABASE_URL": config.database.url.reveal(),
        "RECADO_REDIS_URL": config.redis.url.reveal(),
        "RECADO_DATA": str(tmp_path),
        "PYTHONPATH": str(Path.cwd()),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        SCRIPT,
        cwd=tmp_path,
        env={**os.environ, **known, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_start_and_stop(config: PlatformConfig, tmp_path: Path) -> None:
    code, output = await run(config, tmp_path)
    assert output.splitlines() == ["1 True 32", "the process has not been started: see core.startup"]
    assert code == 0


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("RECADO_DATABASE_URL", "No database is configured: set [database] url"),
        ("RECADO_REDIS_URL", "No Redis is configured: set [redis] url"),
    ],
)
async def test_what_is_missing_is_named(config: PlatformConfig, tmp_path: Path, variable: str, message: str) -> None:
    code, output = await run(config, tmp_path, **{variable: ""})
    assert code == 1
    assert message in output.splitlines()[-1]


async def test_unknown_plugin_stops_the_start(config: PlatformConfig, tmp_path: Path) -> None:
    (tmp_path / "platform.toml").write_text("[plugins.nosuch]\n", encoding="utf-8")
    code, output = await run(config, tmp_path)
    assert code == 1
    assert "[plugins.nosuch]: no folder plugins/nosuch" in output
