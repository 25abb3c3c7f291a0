"""Who wants to know when a number gains or loses its connection."""

from collections.abc import Awaitable, Callable, Collection

from core.numbers.telling import tell_changed, tell_owners

Listener = Callable[[Collection[int]], Awaitable[None]]

_listeners: list[Listener] = []


def connection_listener(listener: Listener) -> Listener:
    """Register a coroutine function called with the ids of changed numbers, inside the unit of work of the change."""
    if listener not in _listeners:
        _listeners.append(listener)
    return listener


async def announce(number_ids: Collection[int]) -> None:
    """Tell the listeners, and who looks at these numbers."""
    await tell_changed(number_ids)
    await tell_owners(number_ids)
    for listener in _listeners:
        await listener(number_ids)
