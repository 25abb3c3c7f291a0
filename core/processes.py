"""Start processes that cannot outlive this one, and end them or what a killed predecessor left."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec
import psutil

from core import launcher

POLL_SECONDS = 0.05


class Identity(msgspec.Struct, frozen=True):
    """A system user that a child runs as."""

    name: str
    uid: int
    gid: int
    reach: bool = False
    """Whether the child keeps the right to pass through folders closed to its user."""

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}" + (":reach" if self.reach else "")


async def spawn(
    command: Sequence[str],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    identity: Identity | None = None,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    output: IO[bytes] | int | None = None,
) -> asyncio.subprocess.Process:
    """Start ``command`` in a session of its own; ``death_signal`` reaches it when the calling thread ends.

    Call it on a thread that lives as long as the process should: the kernel watches that thread. ``output`` takes
    both standard output and errors, ``None`` leaves this process's own.
    """
    owner = "-" if identity is None else str(identity)
    start = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(int(death_signal)), owner]
    return await asyncio.create_subprocess_exec(
        *start,
        *command,
        env=env,
        stdin=stdin,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
    )


async def ask_to_end(process: asyncio.subprocess.Process, limit: float, ask: signal.Signals = signal.SIGTERM) -> bool:
    """Ask ``process`` to end and wait ``limit`` seconds; say whether it has ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(ask)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), max(limit, 0))
    return process.returncode is not None


async def end(process: asyncio.subprocess.Process, limit: float, ask: signal.Signals = signal.SIGTERM) -> None:
    """Ask ``process`` to end, and kill it when it is still there after ``limit`` seconds."""
    if not await ask_to_end(process, limit, ask):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def end_orphan(pid_file: Path, program: str, folder: Path, signals: Sequence[signal.Signals]) -> None:
    """Wait for the ``program`` that a killed predecessor left in ``folder``, and end it if it stays.

    The kernel has sent it its death signal already; each of ``signals`` follows after 5 s of waiting. The caller
    holds the lock of the data folder, so a process found here belongs to nobody.
    """
    orphan = _orphan(pid_file, program, folder)
    if orphan is None:
        return
    for next_signal in (None, *signals):
        if next_signal is not None:
            with suppress(psutil.NoSuchProcess):
                orphan.send_signal(next_signal)
        for _ in range(int(5 / POLL_SECONDS)):
            if not _is_alive(orphan):
                return
            await asyncio.sleep(POLL_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _orphan(pid_file: Path, program: str, folder: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(int(pid_file.read_text(encoding="ascii").split()[0]))
        command = process.cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    ours = bool(command) and Path(command[0]).name == program and any(str(folder) in part for part in command[1:])
    return process if ours else None
