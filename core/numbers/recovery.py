"""A number that fails is restarted once; when that is not enough, an administrator is told, and nothing is repeated.

Restarting again and again is what gets numbers banned, so the platform does it by itself once in ``COOL_DOWN``.
"""

from datetime import datetime, timedelta
from typing import Literal

import structlog

from core import database
from core.errors import ConflictError, PlatformError
from core.notifications.alarms import raise_alarm
from core.numbers import services, silence
from core.numbers.calls import calling
from core.numbers.schemas import NumberRead
from core.numbers.senders import SenderRoute, load_route
from core.numbers.states import last_event_at, write_report
from core.numbers.telling import tell_owners
from core.plugin import RefusedError, Restarting, SenderReport, SenderState
from core.texts import text

COOL_DOWN = "6 hours"
STARTS_WITHIN = timedelta(minutes=3)
"""A number that has been starting for longer has failed: WAHA stays in STARTING for ever without a network."""

Cause = Literal["number_failed", "number_silent"]

_CLAIM = f"""
UPDATE numbers SET restarted_at = now() WHERE id = $1 AND deleted_at IS NULL
    AND (restarted_at IS NULL OR restarted_at < now() - interval '{COOL_DOWN}') RETURNING id
"""
_FOUND = "SELECT name, number, connection_reason FROM numbers WHERE id = $1 AND deleted_at IS NULL AND status AND"
_STILL: dict[Cause, str] = {
    "number_failed": f"{_FOUND} (connection = 'failed' OR (connection = 'starting'"
    f" AND connection_since < now() - interval '{STARTS_WITHIN.seconds} seconds')) FOR UPDATE",
    "number_silent": f"{_FOUND} silent_until IS NOT NULL FOR UPDATE",
}
_log = structlog.get_logger(__name__)


async def recover(number_id: int, cause: Cause) -> bool:
    """Restart a number unless that was tried lately; else raise an alarm. Return whether it was restarted.

    Of several processes that see the same failure, one restarts.
    """
    route = await load_route(number_id)
    if isinstance(route.provider, Restarting) and await database.fetch_value(_CLAIM, number_id) is not None:
        try:
            await _restart(route, route.provider)
        except PlatformError as error:
            _log.warning("number_not_restarted", number_id=number_id, cause=cause, reason=str(error))
        else:
            _log.warning("number_restarted", number_id=number_id, cause=cause)
            return True
    async with database.unit_of_work():
        # Locked before its alarm, as everywhere; it may have come back in the seconds that a restart takes.
        named = await database.fetch_row(_STILL[cause], number_id)
        if named is not None:
            called = named["name"] or named["number"] or f"#{number_id}"
            await raise_alarm(cause, "number", number_id, name=called, reason=named["connection_reason"])
            await tell_owners([number_id])
    return False


async def restart_number(user_id: int, number_id: int) -> NumberRead:
    """Restart a number because its owner asks for it; one that was held back is used again.

    Raises:
        NotFoundError: No such number.
        ConflictError: Numbers of this provider cannot be restarted, or this one was never connected.
        ProviderFailedError: The server did not do it.
    """
    await services.get_number(user_id, number_id)
    route = await load_route(number_id)
    if not isinstance(route.provider, Restarting):
        raise ConflictError("Numbers of this provider cannot be restarted.", code="restart_unsupported")
    await _restart(route, route.provider)
    await silence.release(number_id)
    return await services.get_number(user_id, number_id)


async def recover_if_failed(number_id: int, report: SenderReport) -> None:
    """Do what a report calls for: a number that was connected once and has failed, or starts for ever, is recovered."""
    row = await database.fetch_row(
        "SELECT connection, connection_since, now() AS now FROM numbers"
        " WHERE id = $1 AND deleted_at IS NULL AND status AND first_connected_at IS NOT NULL",
        number_id,
    )
    if row is None or row["connection"] != report.state:
        return
    since: datetime | None = row["connection_since"]
    lasting = since is not None and row["now"] - since > STARTS_WITHIN
    if report.state is SenderState.FAILED or (report.state is SenderState.STARTING and lasting):
        await recover(number_id, "number_failed")


async def _restart(route: SenderRoute, provider: Restarting) -> None:
    known_at = await last_event_at(route.sender.number_id)
    async with calling(route.provider.name, "restarting a number"):
        try:
            report = await provider.restart(route.sender)
        except RefusedError as error:
            raise ConflictError(text("number_unknown_there"), code="not_connecting") from error
    await write_report(route.sender.number_id, report, known_at)
