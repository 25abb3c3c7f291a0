import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.processes import ask_to_end, end, end_orphan, spawn

PYTHON = sys.executable
PARENT = """
import asyncio, signal, sys
from core.processes import spawn

async def main():
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = await spawn(command, death_signal=signal.Signals(int(sys.argv[1])))
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def _wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        await asyncio.sleep(0.02)


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("death_signal", [signal.SIGKILL, signal.SIGTERM])
async def test_a_child_does_not_outlive_a_killed_parent(death_signal: signal.Signals) -> None:
    command = [PYTHON, "-c", PARENT, str(int(death_signal))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(await asyncio.to_thread(parent.stdout.readline))
        assert not _is_gone(child)
        parent.kill()

    await _wait_until(lambda: _is_gone(child))


async def test_a_child_has_a_session_of_its_own() -> None:
    process = await spawn([PYTHON, "-c", "import time; time.sleep(60)"])

    session = os.getsid(process.pid)
    await end(process, 5)

    assert session == process.pid
    assert process.returncode == -signal.SIGTERM


async def test_what_a_child_writes_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "written"
    process = await spawn([PYTHON, "-c", f"open({str(path)!r}, 'w')"])

    assert await process.wait() == 0
    assert path.stat().st_mode & 0o077 == 0


async def test_a_program_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        process = await spawn([str(tmp_path / "absent")], output=output)
        code = await process.wait()

    assert code == 126
    assert (tmp_path / "log").read_text() == f"{tmp_path / 'absent'} cannot be started: No such file or directory\n"


async def test_a_child_that_does_not_listen_is_killed() -> None:
    script = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    process = await spawn([PYTHON, "-c", script], output=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()

    assert await ask_to_end(process, 0.2) is False
    await end(process, 0.1)

    assert process.returncode == -signal.SIGKILL


async def test_an_orphan_that_stays_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = tmp_path / "server"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"], cwd=tmp_path) as foreign:
        pid_file.write_text(f"{foreign.pid}\n")

        # Not named after the folder, so it is somebody else's.
        await end_orphan(pid_file, "server", tmp_path, (signal.SIGKILL,))

        assert foreign.poll() is None
        foreign.kill()


async def test_a_pid_file_that_says_nothing_is_passed_over(tmp_path: Path) -> None:
    for content in ("", "no number", "999999999"):
        (tmp_path / "pid").write_text(content)
        await end_orphan(tmp_path / "pid", "server", tmp_path, (signal.SIGKILL,))
    await end_orphan(tmp_path / "absent", "server", tmp_path, (signal.SIGKILL,))
