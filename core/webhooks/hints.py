"""Telling the workers that there is something, without a queue message for each."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import structlog

from core import queue

ACTOR = "webhooks.apply"
INBOUND = "inbound"
EVENTS = "events"
QUEUES = {INBOUND: queue.INBOUND, EVENTS: queue.EVENTS}
"""The two lines of work: what people wrote goes ahead of acknowledgements, an opt-out among it."""
INTERVAL_SECONDS = 0.05

_log = structlog.get_logger(__name__)


def line_of(kind: str) -> str:
    """Return the line of work that events of ``kind`` belong to."""
    return INBOUND if kind == "message_in" else EVENTS


async def send_apply(line: str) -> None:
    """Have a worker apply the open events of ``line``."""
    await queue.send(ACTOR, line, queue=QUEUES[line])


class Hints:
    """Sends the first hint at once and then at most one for each line every ``INTERVAL_SECONDS``.

    A hint that is lost costs a second: somebody looks at the rows that often. ``send`` sends one for a line.
    """

    def __init__(self, send: Callable[[str], Awaitable[None]] = send_apply) -> None:
        self._send_one = send
        self._wanted: set[str] = set()
        self._sender: asyncio.Task[None] | None = None

    def want(self, line: str) -> None:
        """See to it that a worker looks at ``line``; call it after the commit."""
        self._wanted.add(line)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send(), context=contextvars.Context())

    async def _send(self) -> None:
        while self._wanted:
            lines, self._wanted = self._wanted, set()
            for line in sorted(lines):
                try:
                    await self._send_one(line)
                except Exception as error:  # noqa: BLE001 - the rows are stored, and found all the same
                    _log.warning("hint_lost", line=line, error=type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)
