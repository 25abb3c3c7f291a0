"""Numbers whose messages are accepted and never acknowledged: held back although their server calls them connected.

A session can be dead and still say that it works (WAHA issues 1931 and 552, Evolution issues 2403 and 1153). Such a
number keeps its place and its connection; campaigns pass it over until ``silent_until``.
"""

from core import database
from core.notifications.alarms import clear_alarms
from core.numbers.changes import announce
from core.numbers.states import SILENT
from core.numbers.telling import tell_owners

_HELD = f"""
UPDATE numbers SET silent_until = now() + make_interval(secs => $2), poll_at = now() + make_interval(secs => $2),
    status_connection = false, connection_reason = '{SILENT}', updated_at = now()
WHERE id = $1 AND deleted_at IS NULL AND
"""
_HOLD = f"{_HELD} (status_connection OR silent_until IS NOT NULL) RETURNING id"
_HOLD_LONGER = f"{_HELD} silent_until IS NOT NULL RETURNING id"
_RELEASE = f"""
UPDATE numbers SET silent_until = NULL, status_connection = connection = 'connected',
    connection_reason = CASE WHEN connection_reason = '{SILENT}' THEN '' ELSE connection_reason END, updated_at = now()
WHERE id = $1 AND deleted_at IS NULL AND silent_until IS NOT NULL RETURNING id
"""


async def hold(number_id: int, seconds: float) -> bool:
    """Pass a number over for a while; its state is asked for at the end of it. Return whether it is held."""
    return await _write(_HOLD, number_id, seconds)


async def hold_longer(number_id: int, seconds: float) -> bool:
    """As ``hold``, but for one that is held back still: an owner who released it meanwhile is heeded."""
    return await _write(_HOLD_LONGER, number_id, seconds)


async def release(number_id: int) -> bool:
    """Use a number again; return whether it was held. Its alarm stands until an acknowledgement is seen."""
    return await _write(_RELEASE, number_id)


async def speaks(number_id: int) -> None:
    """End the alarm of a number whose messages are acknowledged again."""
    async with database.unit_of_work():
        # Numbers are locked before their alarms everywhere, so that nobody waits in a circle.
        await database.execute("SELECT FROM numbers WHERE id = $1 FOR UPDATE", number_id)
        if await clear_alarms("number", [number_id], ["number_silent"]):
            await tell_owners([number_id])


async def _write(statement: str, number_id: int, *values: object) -> bool:
    async with database.unit_of_work():
        held = await database.fetch_value(statement, number_id, *values)
        if held is not None:
            await announce([number_id])
    return held is not None
