"""What counts as a change of a plugin; the processes themselves are restarted in test_supervisor.py."""

import asyncio
import os
from pathlib import Path

import pytest

from core import plugin_reload
from core.plugin_reload import PluginWatch

WORKING = """
from core.plugin import Settings


class Plugin:
    Settings = Settings
    requires = ">=1.0,<2"

    def __init__(self, settings):
        pass
"""


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(plugin_reload, "POLL_SECONDS", 0.02)
    made = tmp_path / "example"
    made.mkdir()
    (made / "__init__.py").write_text(WORKING)
    return made


async def changes(example: Path, *writes: tuple[str, str]) -> int:
    """Write files one after the other while they are watched; return how often was restarted."""
    restarts = 0
    restarted = asyncio.Event()

    async def restart() -> None:
        nonlocal restarts
        restarts += 1
        restarted.set()

    watch = PluginWatch([example])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd(), "RECADO_PLUGIN_FOLDERS": str(example)}  # noqa: PTH109
    keeping = asyncio.create_task(watch.keep(env, restart))
    for name, text in writes:
        (example / name).parent.mkdir(exist_ok=True)
        (example / name).write_text(text)
    async with asyncio.timeout(50):
        await restarted.wait()
    keeping.cancel()
    return restarts


async def test_files_that_change_together_restart_once(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await changes(example, ("part.py", "x = 1"), ("settings.toml", "x = 1")) == 1
    assert capsys.readouterr().out == (
        "example/part.py, example/settings.toml changed: restarting API, workers and scheduler\n"
    )


async def test_what_is_no_part_of_a_plugin_is_no_change(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    others = [("notes.txt", "x"), ("__pycache__/a.py", "x"), (".hidden/a.py", "x"), (".swap.py", "x")]

    assert await changes(example, *others, ("part.py", "x = 1")) == 1
    assert capsys.readouterr().out == "example/part.py changed: restarting API, workers and scheduler\n"


async def test_a_file_that_is_gone_is_a_change(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (example / "part.py").write_text("x = 1")
    watch = PluginWatch([example])
    (example / "part.py").unlink()

    assert await watch._change() == ["example/part.py"]
    assert await watch._change() == []
    assert capsys.readouterr().out == ""
