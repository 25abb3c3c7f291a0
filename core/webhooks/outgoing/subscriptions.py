"""Who wants the events that happen many times a second: remembered for some seconds, so that asking costs nothing."""

import time
from collections.abc import Set as AbstractSet

from core import database

REMEMBERED_SECONDS = 5.0
"""For so long after a subscription began or ended, some of these events may be missed, or prepared for nobody."""

_SUBSCRIBERS = "SELECT DISTINCT user_id FROM webhook_endpoints WHERE status = 'active' AND events ? $1"
_known: dict[str, tuple[float, frozenset[int]]] = {}


async def subscribers_of(event_type: str) -> AbstractSet[int]:
    """Return the ids of users with an active endpoint for ``event_type``, as of some seconds ago at most."""
    kept = _known.get(event_type)
    if kept is not None and kept[0] > time.monotonic():
        return kept[1]
    rows = await database.fetch(_SUBSCRIBERS, event_type)
    found = frozenset(row["user_id"] for row in rows)
    _known[event_type] = (time.monotonic() + REMEMBERED_SECONDS, found)
    return found


def forget() -> None:
    """Ask anew the next time; every process does so by itself after ``REMEMBERED_SECONDS``."""
    _known.clear()
