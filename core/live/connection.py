"""What a stream asks of its connection: that an other side which is gone is noticed, and that it can be cut off.

ASGI has no word for either, so the server's protocol puts its transport into the state of every request. Served in
another way, a stream goes without, and its connection ends when the system gives it up.
"""

import asyncio
import socket
from contextlib import suppress
from typing import Any, Final

from litestar.types import Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

TRANSPORT: Final = "transport"


class HttpProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type] # uvicorn's choice of what is installed
    """One connection of a client; for uvicorn's setting ``http``."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have every request of the connection know its transport."""
        self.app_state = {**self.app_state, TRANSPORT: transport}
        super().connection_made(transport)


def transport_of(scope: Scope) -> asyncio.Transport | None:
    """Return what a request came by, ``None`` where the server does not say."""
    found: asyncio.Transport | None = scope["state"].get(TRANSPORT)
    return found


def end_unanswered(transport: asyncio.Transport, seconds: float) -> None:
    """Have the system end a connection whose other side takes nothing of what is sent for so long, or is gone.

    Without that, Linux goes on for a quarter of an hour where nobody answers, and for ever where the other side says
    that it has no room (https://man7.org/linux/man-pages/man7/tcp.7.html, TCP_USER_TIMEOUT). Other systems have no such
    setting.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    connection = transport.get_extra_info("socket")
    if option is not None and connection is not None:
        # Not of TCP, or closed meanwhile.
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, option, round(seconds * 1000))
