"""Realtime services that a test plugs in: they keep what they are told, hang, or refuse."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec

from core.plugin import Channel, HandingOver, LiveEvent, Notification, Notifier, RefusedError
from core.runtime import Runtime


class Service:
    """A realtime notifier."""

    channel: Channel = "realtime"

    def __init__(self, name: str, trouble: Exception | None = None, *, hangs: bool = False) -> None:
        self.name = name
        self.trouble = trouble
        self.hangs = hangs
        self.tried = asyncio.Event()
        self.tries: list[list[LiveEvent]] = []
        """What was handed over, whatever became of it."""
        self.gate: asyncio.Event | None = None
        """Where it is set, a call waits for it before it is answered."""
        self.poison = ""
        """The id of an event that brings down each call it is in."""
        self.batches: list[list[LiveEvent]] = []
        self._told = asyncio.Condition()

    @property
    def events(self) -> list[LiveEvent]:
        return [event for batch in self.batches for event in batch]

    async def publish(self, events: Sequence[LiveEvent]) -> None:
        self.tried.set()
        async with self._told:
            self.tries.append(list(events))
            self._told.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        if self.hangs:
            await asyncio.Event().wait()
        if self.trouble is not None and (not self.poison or self.poison in {event.id for event in events}):
            raise self.trouble
        async with self._told:
            self.batches.append(list(events))
            self._told.notify_all()

    async def until(self, count: int) -> list[LiveEvent]:
        """Wait for so many events."""
        async with asyncio.timeout(15), self._told:
            await self._told.wait_for(lambda: len(self.events) >= count)
        return self.events

    async def until_tried(self, count: int) -> list[list[LiveEvent]]:
        """Wait for so many calls."""
        async with asyncio.timeout(15), self._told:
            await self._told.wait_for(lambda: len(self.tries) >= count)
        return self.tries

    def connection(self, user_id: int) -> Mapping[str, str]:
        return {"key": f"{self.name}-key", "channel": f"private-user-{user_id}"}

    def authorize(self, user_id: int, socket_id: str, channel: str) -> Mapping[str, str]:
        if channel != f"private-user-{user_id}" or not socket_id.replace(".", "").isdigit():
            raise RefusedError("not yours")
        return {"auth": f"{self.name}:{socket_id}:{channel}"}

    async def send(self, notification: Notification, handing_over: HandingOver) -> None:
        raise NotImplementedError

    async def check(self) -> str:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError


@asynccontextmanager
async def plugged_in(runtime: Runtime, *services: Notifier) -> AsyncIterator[None]:
    """Have the process know these notifiers alone while the block runs."""
    before = runtime.providers
    runtime.providers = msgspec.structs.replace(before, notifiers_by_name={one.name: one for one in services})
    try:
        yield
    finally:
        runtime.providers = before
