"""A number's webhook on its server is kept the way the platform set it: others change it, upgrades lose it."""

from collections.abc import AsyncIterator

import msgspec
import structlog

from core import database
from core.errors import PlatformError
from core.numbers.calls import calling
from core.numbers.connecting import webhook_url
from core.numbers.senders import load_route
from core.plugin import WebhookRepair, WebhookTarget

CHECKED_EVERY = "1 hour"

_DUE = f"""
UPDATE numbers SET webhook_checked_at = now() WHERE id = $1 AND deleted_at IS NULL
    AND (webhook_checked_at IS NULL OR webhook_checked_at < now() - interval '{CHECKED_EVERY}') RETURNING id
"""
_log = structlog.get_logger(__name__)


class Repair(msgspec.Struct, frozen=True):
    """What was found of one number's webhook."""

    number_id: int
    differed: bool
    failure: str = ""
    """Why it could not be compared or set."""


async def repair_if_due(number_id: int) -> None:
    """Compare the webhook of a connected number, and set it again, at most once in ``CHECKED_EVERY``."""
    if await database.fetch_value(_DUE, number_id) is not None:
        await repair(number_id)


async def repair(number_id: int) -> bool:
    """Compare a number's webhook with ours and set it again where it differs; return whether it did.

    Raises:
        ProviderFailedError: The server did not answer.
    """
    route = await load_route(number_id)
    if not isinstance(route.provider, WebhookRepair):
        return False
    token = await database.fetch_value("SELECT webhook_token FROM numbers WHERE id = $1", number_id)
    target = WebhookTarget(webhook_url(route.provider.name, str(token)))
    async with calling(route.provider.name, "comparing a webhook"):
        differed = await route.provider.repair_webhook(route.sender, target)
    if differed:
        _log.warning("webhook_set_again", number_id=number_id, provider=route.provider.name)
    return differed


async def repair_server(server_id: int) -> AsyncIterator[Repair]:
    """Compare the webhooks of all connected numbers of a server, one after the other, and set again what differs."""
    rows = await database.fetch(
        "SELECT id FROM numbers WHERE server_id = $1 AND deleted_at IS NULL AND connection = 'connected' ORDER BY id",
        server_id,
    )
    for row in rows:
        try:
            yield Repair(row["id"], await repair(row["id"]))
        except PlatformError as error:
            yield Repair(row["id"], differed=False, failure=str(error.__cause__ or error))
