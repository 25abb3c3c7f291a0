"""What domains do with stored events: each kind has its handlers, registered when their module is imported."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime

import msgspec

from core.plugin import AnyEvent, GatewayHint


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the inbox keeps it; it may concern the rows of ``number_id`` alone, whatever its content names.

    A payment gateway's belongs to no number: ``number_id`` is 0 then, and its event a ``GatewayHint``.
    """

    id: int
    plugin: str
    number_id: int
    received_at: datetime
    event: AnyEvent | GatewayHint


Handler = Callable[[Sequence[StoredEvent]], Awaitable[Collection[int]]]
"""Applies a batch inside a unit of work and returns the ids that are done.

The others stay open for 24 h and come again. A batch may hold events that were handled before.
"""

_handlers: dict[str, list[Handler]] = {}


def event_handler(kind: str) -> Callable[[Handler], Handler]:
    """Register a coroutine function for events tagged ``kind``; an event is done when all its handlers say so."""

    def register(handler: Handler) -> Handler:
        registered = _handlers.setdefault(kind, [])
        if handler not in registered:
            registered.append(handler)
        return handler

    return register


def handlers_of(kind: str) -> Sequence[Handler]:
    """Return the handlers of ``kind``; events without any are dropped."""
    return tuple(_handlers.get(kind, ()))
