"""Texts outside any campaign: test messages of a tenant, and the one answer to whoever opts out."""

import structlog

from core import database
from core.audit import services as audit
from core.clock import synced_clock
from core.errors import ConflictError, TooManyRequestsError
from core.numbers import services
from core.numbers.calls import calling
from core.numbers.checks import check_cached
from core.numbers.phones import parse_phone
from core.numbers.schemas import TrialMessageCreate, TrialMessageRead
from core.numbers.senders import SenderRoute, load_route, mark_stopped
from core.plugin import (
    Accepted,
    MessageKind,
    Outcome,
    OutgoingMessage,
    Rejected,
    Retryable,
    SenderStopped,
    Unknown,
)
from core.runtime import runtime

PER_HOUR = 20
"""Test messages pass by the plan's caps and the pacing, so there are few of them."""
HOUR_SECONDS = 3600

_log = structlog.get_logger(__name__)


class TooManyTrialsError(TooManyRequestsError):
    """The number has sent its test messages of this hour."""

    code = "too_many_test_messages"


async def send_test_message(user_id: int, number_id: int, wanted: TrialMessageCreate) -> TrialMessageRead:
    """Send a text now and return what became of it; it is never repeated.

    Raises:
        NotFoundError: No such number.
        InvalidInputError: ``phone`` is no phone number.
        ConflictError: The number is not connected, or the phone is on the block list.
        TooManyTrialsError: The hour's test messages are used up.
        CheckBudgetSpentError: So are the number's checks.
        ProviderFailedError: The plugin is not enabled, or the number check failed.
    """
    phone = parse_phone(wanted.phone)
    number = await services.get_number(user_id, number_id)
    if not number.status_connection:
        raise ConflictError("The number is not connected: connect it first.", code="not_connected")
    await _ensure_allowed(user_id, phone)
    route = await load_route(number_id)
    await _count(number_id)
    await audit.record("number.test_message_sent", user_id=user_id, entity_id=number_id)
    return _read(await _send(route, phone, wanted.text))


async def _ensure_allowed(user_id: int, phone: str) -> None:
    blocked = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM block_contacts WHERE user_id = $1 AND number = $2) OR EXISTS"
        " (SELECT FROM contacts WHERE user_id = $1 AND number = $2 AND blocked_at IS NOT NULL AND deleted_at IS NULL)",
        user_id,
        phone,
    )
    if blocked:
        raise ConflictError("This phone is on the block list: nothing is sent to it.", code="blocked")


async def _count(number_id: int) -> None:
    key = f"recado:test-messages:{number_id}"
    redis = runtime().redis
    used = await redis.incr(key)
    if used == 1:
        await redis.expire(key, HOUR_SECONDS)
    if used > PER_HOUR:
        raise TooManyTrialsError(f"A number sends at most {PER_HOUR} test messages an hour.", allowed=PER_HOUR)


async def _send(route: SenderRoute, phone: str, content: str) -> Outcome:
    address = phone
    if route.sender.capabilities.number_check != "none":
        async with calling(route.provider.name, "checking a number"):
            answer = (await check_cached(route, [phone], (await synced_clock()).now())).get(phone)
        if answer is not None and not answer.exists:
            return Rejected("no_whatsapp")
        address = answer.address if answer is not None and answer.address else phone
    return await send_text(route, address, content)


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


def _read(outcome: Outcome) -> TrialMessageRead:
    match outcome:
        case Accepted(ids=ids, address=address):
            return TrialMessageRead(outcome="accepted", code="", ids=ids, address=address)
        case Retryable(code=code):
            return TrialMessageRead(outcome="retryable", code=code, ids=(), address="")
        case Unknown(code=code):
            return TrialMessageRead(outcome="unknown", code=code, ids=(), address="")
        case Rejected(code=code):
            return TrialMessageRead(outcome="rejected", code=code, ids=(), address="")
        case SenderStopped(code=code):
            return TrialMessageRead(outcome="sender_stopped", code=code, ids=(), address="")
