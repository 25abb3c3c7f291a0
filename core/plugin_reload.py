"""Watch plugins that are being written (``recado up --plugin``), and restart what holds them once they load again."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from core.children import say
from core.processes import end, spawn

POLL_SECONDS = 0.5
"""How often the files are looked at; a change that goes on at the next look is waited for."""
LOAD_SECONDS = 60.0
"""How long a plugin may take to load."""
SUFFIXES = frozenset({".py", ".toml"})

Files = Mapping[Path, tuple[int, int]]


class PluginWatch:
    """The folders of plugins, and what stands in them."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        # Taken before anything is loaded, so that no change is missed.
        self._seen = self._look()

    async def keep(self, env: Mapping[str, str], restart: Callable[[], Awaitable[None]]) -> None:
        """Call ``restart`` after each change with which all plugins load, and tell what does not; never returns.

        ``env`` is the environment of the processes that hold the plugins.
        """
        while True:
            changed = await self._change()
            if not changed:
                continue
            names = ", ".join(changed)
            problem = await _load(env)
            if problem:
                say(f"{names} changed, and cannot be loaded, so the processes from before go on:\n{problem}")
            else:
                say(f"{names} changed: restarting API, workers and scheduler")
                await restart()

    async def _change(self) -> list[str]:
        """Wait for a look; return the files that changed, once they stay as they are."""
        await asyncio.sleep(POLL_SECONDS)
        found = await asyncio.to_thread(self._look)
        while found != self._seen:
            before, found = found, await self._look_again()
            if before == found:
                changed = sorted(path for path, _ in set(found.items()) ^ set(self._seen.items()))
                self._seen = found
                return [*dict.fromkeys(self._shown(path) for path in changed)]
        return []

    async def _look_again(self) -> Files:
        await asyncio.sleep(POLL_SECONDS)
        return await asyncio.to_thread(self._look)

    def _look(self) -> Files:
        """Return time and size of each file that a plugin is made of."""
        found = {}
        for top in self._folders:
            for folder, below, files in os.walk(top):
                below[:] = [name for name in below if name != "__pycache__" and not name.startswith(".")]
                for path in (Path(folder) / name for name in files):
                    if path.suffix in SUFFIXES and not path.name.startswith("."):
                        try:
                            state = path.stat()
                        except OSError:
                            continue
                        found[path] = (state.st_mtime_ns, state.st_size)
        return found

    def _shown(self, path: Path) -> str:
        folder = next(folder for folder in self._folders if path.is_relative_to(folder))
        return str(path.relative_to(folder.parent))


async def _load(env: Mapping[str, str]) -> str:
    """Load all plugins in a process of its own, for modules stay as they were imported; return what is wrong."""
    process = await spawn([sys.executable, "-m", "core.cli", "plugins"], env=env, output=subprocess.PIPE)
    try:
        told, _ = await asyncio.wait_for(process.communicate(), LOAD_SECONDS)
    except TimeoutError:
        return f"they did not load within {LOAD_SECONDS:g} s"
    finally:
        await end(process, 1)
    return told.decode(errors="replace").strip() if process.returncode else ""
