"""Who wants to know when a number gains or loses its connection."""

from collections.abc import Awaitable, Callable, Collection

Listener = Callable[[Collection[int]], Awaitable[None]]

_listeners: list[Listener] = []


def connection_listener(listener: Listener) -> Listener:
    """Register a coroutine function called with the ids of changed numbers, inside the unit of work of the change."""
    if listener not in _listeners:
        _listeners.append(listener)
    return listener


async def announce(number_ids: Collection[int]) -> None:
    """Tell the listeners."""
    for listener in _listeners:
        await listener(number_ids)
