"""Taking a deleted number off its server, now or when the server answers again."""

import structlog

from core import database
from core.errors import ProviderFailedError
from core.numbers import senders
from core.numbers.calls import calling
from core.numbers.event_polling import forget_cursor
from core.plugin import SignIn

GIVE_UP_AFTER = "7 days"
RETRY_AFTER = "10 minutes"

_log = structlog.get_logger(__name__)


async def remove(number_id: int) -> None:
    """Delete a deleted number from its server and write down that it is gone.

    Raises:
        ProviderFailedError: The server did not do it; the number stays due.
    """
    senders.forget([number_id])
    try:
        route = await senders.load_route(number_id, deleted=True)
        if isinstance(route.provider, SignIn):
            async with calling(route.provider.name, "removing a number"):
                await route.provider.remove(route.sender)
    except ProviderFailedError:
        await _postpone(number_id)
        raise
    await forget_cursor(number_id)
    await database.execute("UPDATE numbers SET removed_at = now(), poll_at = NULL WHERE id = $1", number_id)


async def _postpone(number_id: int) -> None:
    """Try again later; after a week the server is taken for gone."""
    given_up = await database.fetch_value(
        f"UPDATE numbers SET poll_at = now() + interval '{RETRY_AFTER}',"
        f" removed_at = CASE WHEN deleted_at < now() - interval '{GIVE_UP_AFTER}' THEN now() END"
        " WHERE id = $1 RETURNING removed_at IS NOT NULL",
        number_id,
    )
    if given_up:
        _log.error("number_left_on_server", number_id=number_id)
