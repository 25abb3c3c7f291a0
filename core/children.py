"""A process of the platform that is started again whenever it ends by itself."""

import asyncio
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from core.errors import OperatorError
from core.processes import end, spawn

STEADY_SECONDS = 20.0
"""A child that once ran this long can run: it is started again for ever, without a long wait."""
ATTEMPTS = 3
"""Starts of a child that never ran that long."""
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0


class Child:
    """One of the product's own commands, kept running; ``env`` is its whole environment."""

    def __init__(self, name: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        self.name = name
        self._command = [sys.executable, "-m", "core.cli", *arguments]
        self._env = env
        self._stopping = False
        self._restarting = False
        self._woken = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Run until ``stop``.

        Raises:
            OperatorError: It never came to run.
        """
        delay, attempts, steady = FIRST_WAIT_SECONDS, 0, False
        while not self._stopping:
            if self._restarting:
                delay, attempts, steady = FIRST_WAIT_SECONDS, 0, False
                self._restarting = False
                self._woken.clear()
            started = time.monotonic()
            self._process = await spawn(self._command, env=self._env)
            if self._stopping:
                await end(self._process, 0)
            code = await self._process.wait()
            if self._stopping:
                return
            if self._restarting:
                continue
            attempts += 1
            if time.monotonic() - started > STEADY_SECONDS:
                delay, steady = FIRST_WAIT_SECONDS, True
            if attempts >= ATTEMPTS and not steady:
                raise OperatorError(f"The {self.name} cannot run ({ending(code)}); its own messages stand above.")
            say(f"The {self.name} ended ({ending(code)}); starting it again in {delay:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), delay)
            delay = min(delay * 2, LONGEST_WAIT_SECONDS)

    async def restart(self, limit: float) -> None:
        """Let it finish within ``limit`` seconds and start it again at once, as if for the first time."""
        self._restarting = True
        self._woken.set()
        if self._process is not None:
            await end(self._process, limit)

    async def stop(self, limit: float) -> None:
        """Let it finish within ``limit`` seconds and do not start it again."""
        self._stopping = True
        self._woken.set()
        if self._process is not None:
            await end(self._process, limit)

    def kill(self) -> None:
        """End it at once."""
        self._stopping = True
        self._woken.set()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()


def ending(code: int) -> str:
    """Say how a process ended."""
    if code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def say(line: str) -> None:
    """Print a line for whoever watches the terminal, if there still is one."""
    with suppress(OSError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
