"""Names to addresses, for addresses that tenants give: on threads of their own.

The system's look-up blocks its thread, for half a minute where a name server does not answer. On the few threads that a
process has for everything, some such names would hold up the rest, the queue's messages among it.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 64

Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")


async def look_up(host: str, port: int | None, family: socket.AddressFamily = socket.AF_UNSPEC) -> Found:
    """Return what ``socket.getaddrinfo`` returns for connections to ``host``; raises what it raises."""

    def ask() -> Found:
        return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)

    return await asyncio.get_running_loop().run_in_executor(_threads, ask)


class Resolver(AbstractResolver):
    """Looks names up for aiohttp."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of ``host``; raises ``OSError`` where it has none."""
        return [
            ResolveResult(
                hostname=host,
                host=str(place[0]),
                port=place[1],
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, place in await look_up(host, port, family)
        ]

    async def close(self) -> None:
        """Do nothing: the threads are the process's."""
