"""PostgreSQL and Valkey from wheels, for ``recado up`` and for the tests: nothing to install, nothing shared.

Both listen on sockets in a folder that is closed to other users and ask for generated passwords.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from core.embedded.folder import EmbeddedError, is_held, open_folder, sockets_of_holder
from core.embedded.postgres import Postgres, postgres_url, programs
from core.embedded.valkey import Valkey, valkey_url

__all__ = ("EmbeddedError", "EmbeddedServers", "EmbeddedUrls", "embedded_servers", "is_held", "urls_of")

STOP_SECONDS = 8.0


class EmbeddedUrls(msgspec.Struct, frozen=True):
    """Where the embedded servers answer, passwords included; an address is empty when its server is not run."""

    database_url: str
    redis_url: str


class EmbeddedServers:
    """The servers of one data folder, for a caller that watches them itself.

    ``report`` gets a line when a start takes long. ``durable=False`` is for tests: commits are not flushed to disk.
    """

    def __init__(
        self,
        data_folder: Path,
        *,
        postgres: bool = True,
        valkey: bool = True,
        durable: bool = True,
        report: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._path = data_folder.absolute()
        self._chosen = (postgres, valkey)
        self._durable = durable
        self._report = report
        self._held = ExitStack()
        self.running: list[Postgres | Valkey] = []
        """In the order of their start, which is the reverse of the order to stop them in."""

    async def start(self) -> EmbeddedUrls:
        """Lock the data folder, start the servers and wait until they answer; nothing stays behind on an error.

        Raises:
            EmbeddedError: The folder or a server cannot be used; one line says what to do.
        """
        folder = self._held.enter_context(open_folder(self._path, programs()))
        postgres, valkey = self._chosen
        try:
            if postgres:
                await self._start(Postgres(folder, self._report, durable=self._durable))
            if valkey:
                await self._start(Valkey(folder, self._report))
        except BaseException:
            await self.stop(STOP_SECONDS)
            raise
        return EmbeddedUrls(
            database_url=postgres_url(folder.path, folder.sockets) if postgres else "",
            redis_url=valkey_url(folder.path, folder.sockets) if valkey else "",
        )

    async def _start(self, server: Postgres | Valkey) -> None:
        self.running.append(server)
        await server.start()

    async def stop(self, limit: float = STOP_SECONDS) -> None:
        """Stop Valkey, then PostgreSQL, together within ``limit`` seconds, and let the data folder go."""
        until = time.monotonic() + limit
        try:
            for server in reversed(self.running):
                await server.stop(until - time.monotonic())
        finally:
            self.running.clear()
            self._held.close()

    def kill(self) -> None:
        """End the servers at once; the next start recovers."""
        for server in self.running:
            server.kill()


@asynccontextmanager
async def embedded_servers(
    data_folder: Path, *, postgres: bool = True, valkey: bool = True, durable: bool = True
) -> AsyncIterator[EmbeddedUrls]:
    """Run the servers of ``data_folder`` while the block runs; see ``EmbeddedServers``."""
    servers = EmbeddedServers(data_folder, postgres=postgres, valkey=valkey, durable=durable)
    urls = await servers.start()
    try:
        yield urls
    finally:
        await servers.stop()


def urls_of(data_folder: Path) -> EmbeddedUrls:
    """The addresses of servers that another process runs in ``data_folder`` at the moment."""
    path = data_folder.absolute()
    sockets = sockets_of_holder(path)
    return EmbeddedUrls(database_url=postgres_url(path, sockets), redis_url=valkey_url(path, sockets))
