"""Who wants to know when a job is over, however it ended and whichever process saw it."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

Listener = Callable[[Collection[int]], Awaitable[None]]
_L = TypeVar("_L", bound=Listener)

_listeners: dict[str, Listener] = {}


def end_listener(kind: str) -> Callable[[_L], _L]:
    """Register a coroutine function called with the ids of jobs of ``kind`` in the unit of work that ends them.

    Their rows say by then whether they are done, failed or canceled.
    """

    def register(listener: _L) -> _L:
        _listeners[kind] = listener
        return listener

    return register


async def tell_ended(jobs: Iterable[Mapping[str, Any]]) -> None:
    """Tell the listeners of jobs that have just ended: rows with ``id`` and ``kind``."""
    ended: dict[str, list[int]] = {}
    for job in jobs:
        ended.setdefault(job["kind"], []).append(job["id"])
    for kind, job_ids in ended.items():
        if kind in _listeners:
            await _listeners[kind](job_ids)
