"""One leased message on its way: render, check the number, check the lease, hand it to the provider."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import asyncpg
import structlog

from core import database
from core.campaigns.attachments import MEDIA_MISSING, pause_without_file
from core.campaigns.claims import Claimed
from core.campaigns.outcomes import CHECK_BUDGET, DUPLICATE_ADDRESS, NO_WHATSAPP, OPTED_OUT
from core.campaigns.tables import MessageType
from core.campaigns.turns import CampaignTurn, Step
from core.clock import Clock
from core.contacts.suppressions import find_person, is_suppressed, suppress
from core.media.delivery import MissingMediaError, attached
from core.media.store import StoreDownError
from core.numbers.checks import CheckBudgetSpentError, check_cached
from core.numbers.senders import SenderRoute
from core.plugin import (
    Media,
    MessageKind,
    Outcome,
    OutgoingMessage,
    Prepared,
    ProviderError,
    Rejected,
    Retryable,
    Unknown,
)

LEASE_MARGIN = timedelta(seconds=20)
"""Between a provider's longest send and the end of the lease; also the room for a number check before it."""

KINDS = {
    MessageType.TEXT: MessageKind.TEXT,
    MessageType.IMAGE: MessageKind.IMAGE,
    MessageType.AUDIO: MessageKind.AUDIO,
    MessageType.DOCUMENT: MessageKind.DOCUMENT,
    MessageType.VIDEO: MessageKind.VIDEO,
}

_log = structlog.get_logger(__name__)


def build_message(
    step: Step, contact_id: int, variables: Mapping[str, str] | None, address: str, media: Media | None = None
) -> OutgoingMessage:
    """Render what goes out; a preview, a retry and the message itself choose the same spintax."""
    text = message_text(step, contact_id, variables)
    return OutgoingMessage(address, KINDS[step.type_message], text, media, step.link_preview)


def message_text(step: Step, contact_id: int, variables: Mapping[str, str] | None) -> str:
    """Return the text of a step for one contact, always the same for the two."""
    return step.template.render(variables or {}, f"{step.id}:{contact_id}")


async def send(row: Claimed, turn: CampaignTurn, route: SenderRoute, clock: Clock, latest_start: float) -> Outcome:
    """Send one leased row and return the outcome; nothing a provider raises escapes.

    ``latest_start`` is the moment (seconds since the epoch) after which the lease leaves no time to send.
    """
    if turn.check_numbers and row.provider_address is None and _checkable(row, route):
        found = await _check(row, route, clock.now())
        if not isinstance(found, str):
            return found
        address = found
    else:
        address = row.provider_address or row.address
    step = turn.steps[row.message_id]

    async def go(media: Media | None) -> Outcome:
        try:
            message = build_message(step, row.contact_id, row.variables, address, media)
            prepared = route.provider.prepare(message, route.sender, row.client_id)
        except Exception:  # noqa: BLE001 - a plugin may raise anything
            _log.exception("prepare_failed", provider=route.provider.name, recipient_id=row.id)
            return Rejected("prepare_failed")
        if clock.now().timestamp() > latest_start:
            return Retryable("lease_ran_out", scope="sender")
        return await _hand_over(prepared, route, row)

    return await (go(None) if step.type_message is MessageType.TEXT else _with_file(turn.id, step, go))


async def _with_file(campaign_id: int, step: Step, go: Callable[[Media], Awaitable[Outcome]]) -> Outcome:
    """Send a message with its file; without it nobody is left out, and the campaign waits for somebody to mend it."""
    try:
        async with attached(step.id, step.media_path) as media:
            return await go(media)
    except MissingMediaError:
        await pause_without_file(campaign_id)
        return Retryable(MEDIA_MISSING)
    except StoreDownError as error:
        return Retryable(error.code, scope="sender")


async def _hand_over(prepared: Prepared, route: SenderRoute, row: Claimed) -> Outcome:
    try:
        return await route.provider.send(prepared, route.sender)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything, also after it has sent
        _log.exception("send_raised", provider=route.provider.name, recipient_id=row.id)
        return Unknown(f"exception_{type(error).__name__}"[:60])


def _checkable(row: Claimed, route: SenderRoute) -> bool:
    return route.sender.capabilities.number_check != "none" and "@" not in row.address


async def _check(row: Claimed, route: SenderRoute, now: datetime) -> str | Outcome:
    """Ask where the number is reached; return the address, or why nothing is sent."""
    try:
        answers = await check_cached(route, [row.address], now)
    except CheckBudgetSpentError as spent:
        return Retryable(CHECK_BUDGET, retry_after=spent.retry_after, scope="sender")
    except ProviderError as error:
        return Retryable(error.code, scope="server")
    except Exception:  # noqa: BLE001 - a plugin may raise anything
        _log.exception("number_check_raised", provider=route.provider.name, recipient_id=row.id)
        return Retryable("number_check_failed", scope="recipient")
    answer = answers.get(row.address)
    if answer is None:
        return Retryable("number_check_failed", scope="recipient")
    if not answer.exists:
        return Rejected(NO_WHATSAPP)
    return await _reserve(row, answer.address or row.address)


async def _reserve(row: Claimed, address: str) -> str | Outcome:
    """Write the address the provider gave; the second row of a message with the same address is not sent.

    The check took its time, and what it found may be the address of somebody who opted out: both are looked at now.
    """
    try:
        found = await database.fetch_row(
            "UPDATE message_by_contacts m SET provider_address = $3 FROM contacts c"
            " WHERE m.id = $1 AND m.attempt = $2 AND m.state = 'leased' AND c.id = m.contact_id"
            " RETURNING m.user_id, c.blocked_at IS NOT NULL AS blocked",
            row.id,
            row.attempt,
            address,
        )
        if found is None:
            return Retryable("lease_ran_out", scope="sender")
        if not found["blocked"] and await is_suppressed(found["user_id"], (address,)):
            await suppress(found["user_id"], await find_person(found["user_id"], (row.address, address)))
            return Rejected(OPTED_OUT)
        return Rejected(OPTED_OUT) if found["blocked"] else address
    except asyncpg.UniqueViolationError:
        return Rejected(DUPLICATE_ADDRESS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        _log.exception("address_not_reserved", recipient_id=row.id)
        return Retryable("number_check_failed", scope="sender")
