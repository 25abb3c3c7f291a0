"""Texts outside any campaign: one message at once, never repeated."""

import structlog

from core.numbers.calls import calling
from core.numbers.senders import SenderRoute, mark_stopped
from core.plugin import MessageKind, Outcome, OutgoingMessage, SenderStopped, Unknown

_log = structlog.get_logger(__name__)


async def send_text(route: SenderRoute, address: str, content: str) -> Outcome:
    """Send a text to an address once, outside any campaign, and return the outcome; nothing is repeated.

    Raises:
        ProviderFailedError: The plugin could not even prepare it.
    """
    message = OutgoingMessage(address, MessageKind.TEXT, content)
    async with calling(route.provider.name, "preparing a message"):
        prepared = route.provider.prepare(message, route.sender, route.provider.new_client_id())
    try:
        outcome = await route.provider.send(prepared, route.sender)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, also after it has sent
        _log.exception("send_raised", provider=route.provider.name, number_id=route.sender.number_id)
        return Unknown(f"exception_{type(error).__name__}"[:60])
    if isinstance(outcome, SenderStopped):
        await mark_stopped(route.sender.number_id, outcome.code, until=outcome.until, scope=outcome.scope)
    return outcome
