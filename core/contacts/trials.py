"""Test messages: a text to one person at once, outside any campaign."""

from core import database
from core.audit import services as audit
from core.clock import synced_clock
from core.contacts.identities import phone_in
from core.contacts.schemas import TrialMessageCreate, TrialMessageRead
from core.contacts.suppressions import is_suppressed
from core.errors import ConflictError, InvalidInputError, TooManyRequestsError
from core.numbers import services
from core.numbers.calls import calling
from core.numbers.checks import check_cached
from core.numbers.phones import parse_phone
from core.numbers.senders import SenderRoute, load_route
from core.numbers.texting import send_text
from core.plugin import Accepted, Outcome, Rejected, Retryable, SenderStopped, Unknown
from core.runtime import runtime
from core.texts import text

PER_HOUR = 20
"""Test messages pass by the plan's caps and the pacing, so there are few of them."""
HOUR_SECONDS = 3600


class TooManyTrialsError(TooManyRequestsError):
    """The number has sent its test messages of this hour."""

    code = "too_many_test_messages"


async def send_test_message(user_id: int, number_id: int, wanted: TrialMessageCreate) -> TrialMessageRead:
    """Send a text now and return what became of it; it is never repeated.

    Raises:
        NotFoundError: No such number.
        InvalidInputError: ``phone`` is no phone number, ``address`` is one, or there is not exactly one of them.
        ConflictError: The number is not connected, or the person is on the block list or opted out.
        TooManyTrialsError: The hour's test messages are used up.
        CheckBudgetSpentError: So are the number's checks.
        ProviderFailedError: The plugin is not enabled, or the number check failed.
    """
    recipient = _recipient(wanted)
    number = await services.get_number(user_id, number_id)
    if not number.status_connection:
        raise ConflictError("The number is not connected: connect it first.", code="not_connected")
    await _ensure_allowed(user_id, recipient)
    route = await load_route(number_id)
    await _count(number_id)
    await audit.record("number.test_message_sent", user_id=user_id, entity_id=number_id)
    address = recipient if wanted.phone is None else await _address_of(route, recipient)
    return _read(Rejected("no_whatsapp") if address is None else await send_text(route, address, wanted.text))


def _recipient(wanted: TrialMessageCreate) -> str:
    """Return the E.164 digits or the address that the message is for."""
    if wanted.phone is not None and wanted.address is None:
        return parse_phone(wanted.phone)
    if wanted.address is None or wanted.phone is not None:
        raise InvalidInputError({"phone": [text("phone_or_address")]})
    if phone_in(wanted.address):
        raise InvalidInputError({"address": [text("address_is_phone")]})
    return wanted.address


async def _ensure_allowed(user_id: int, recipient: str) -> None:
    blocked = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM block_contacts WHERE user_id = $1 AND number = $2) OR EXISTS"
        " (SELECT FROM contacts WHERE user_id = $1 AND number = $2 AND blocked_at IS NOT NULL AND deleted_at IS NULL)",
        user_id,
        recipient,
    )
    if blocked or await is_suppressed(user_id, (recipient,)):
        raise ConflictError("This person is on the block list or opted out: nothing is sent.", code="blocked")


async def _count(number_id: int) -> None:
    key = f"recado:test-messages:{number_id}"
    redis = runtime().redis
    used = await redis.incr(key)
    if used == 1:
        await redis.expire(key, HOUR_SECONDS)
    if used > PER_HOUR:
        raise TooManyTrialsError(f"A number sends at most {PER_HOUR} test messages an hour.", allowed=PER_HOUR)


async def _address_of(route: SenderRoute, phone: str) -> str | None:
    """Return where the service reaches a phone; None says that it does not."""
    if route.sender.capabilities.number_check == "none":
        return phone
    async with calling(route.provider.name, "checking a number"):
        answer = (await check_cached(route, [phone], (await synced_clock()).now())).get(phone)
    if answer is None:
        return phone
    return (answer.address or phone) if answer.exists else None


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
