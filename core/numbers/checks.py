"""Whether phone numbers use a service, asked once and remembered."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from core import database
from core.clock import synced_clock
from core.errors import ConflictError, TooManyRequestsError
from core.numbers import budget, services
from core.numbers.calls import calling
from core.numbers.phones import parse_phone
from core.numbers.schemas import CheckRead
from core.numbers.senders import SenderRoute, load_route
from core.plugin import NumberCheck, NumberChecking

FOUND_FOR = "30 days"
ABSENT_FOR = "1 day"
"""People join; a number that is not there is asked about again soon."""


class CheckBudgetSpentError(TooManyRequestsError):
    """The number has looked up as many phone numbers as it may for now."""

    code = "check_budget_spent"

    def __init__(self, retry_after: float) -> None:
        seconds = max(1, round(retry_after))
        super().__init__(
            f"This number has looked up as many phone numbers as it may for now: try again in {seconds} seconds.",
            seconds=seconds,
        )
        self.retry_after = retry_after


async def check_cached(route: SenderRoute, numbers: Sequence[str], now: datetime) -> Mapping[str, NumberCheck]:
    """Return what is known of E.164 ``numbers``, asking the route's server for the rest; unanswered ones are left out.

    Raises:
        CheckBudgetSpentError: Some had to be asked for, and the number may not ask for as many now.
        ProviderError: The server had to be asked and did not answer.
    """
    wanted = list(dict.fromkeys(numbers))
    found = await _recall(route.provider.name, wanted)
    missing = [number for number in wanted if number not in found]
    asks = isinstance(route.provider, NumberChecking) and route.sender.capabilities.number_check != "none"
    if missing and asks and isinstance(route.provider, NumberChecking):
        wait = await budget.take(route.sender.number_id, len(missing), now)
        if wait is not None:
            raise CheckBudgetSpentError(wait.total_seconds())
        answers = await route.provider.check_numbers(route.sender, missing)
        fresh = {number: answers[number] for number in missing if number in answers}
        await _remember(route.provider.name, fresh)
        found.update(fresh)
    return found


async def check_phone(user_id: int, number_id: int, phone: str) -> CheckRead:
    """Look one phone number up from a tenant's number.

    Raises:
        NotFoundError: No such number.
        InvalidInputError: ``phone`` is no phone number.
        ConflictError: The number is not connected, or its server offers no look-up.
        CheckBudgetSpentError: It has checked as many as it may for now.
        ProviderFailedError: The server did not answer.
    """
    digits = parse_phone(phone)
    number = await services.get_number(user_id, number_id)
    route = await load_route(number_id)
    if route.sender.capabilities.number_check == "none":
        raise ConflictError("The server of this number cannot look numbers up.", code="check_unsupported")
    if not number.status_connection:
        raise ConflictError("The number is not connected: connect it first.", code="not_connected")
    async with calling(route.provider.name, "checking a number"):
        answers = await check_cached(route, [digits], (await synced_clock()).now())
    answer = answers.get(digits)
    if answer is None:
        raise ConflictError("The server did not say anything about this number: try again.", code="check_unanswered")
    return CheckRead(phone=digits, exists=answer.exists, address=answer.address)


async def _recall(provider: str, numbers: Sequence[str]) -> dict[str, NumberCheck]:
    rows = await database.fetch(
        "SELECT number, found, address FROM number_checks WHERE provider = $1 AND number = ANY($2::text[])"
        f" AND checked_at > now() - CASE WHEN found THEN interval '{FOUND_FOR}' ELSE interval '{ABSENT_FOR}' END",
        provider,
        numbers,
    )
    return {row["number"]: NumberCheck(row["number"], row["found"], row["address"]) for row in rows}


async def _remember(provider: str, answers: Mapping[str, NumberCheck]) -> None:
    ordered = [answers[number] for number in sorted(answers)]
    await database.execute(
        "INSERT INTO number_checks (provider, number, found, address, checked_at)"
        " SELECT $1, a.number, a.found, a.address, now()"
        " FROM unnest($2::text[], $3::bool[], $4::text[]) AS a(number, found, address)"
        " ON CONFLICT (provider, number) DO UPDATE SET found = excluded.found, address = excluded.address,"
        " checked_at = excluded.checked_at",
        provider,
        [answer.number for answer in ordered],
        [answer.exists for answer in ordered],
        [answer.address[:120] for answer in ordered],
    )


async def forget_old() -> int:
    """Delete answers that are too old to be believed; return how many."""
    return await database.execute(f"DELETE FROM number_checks WHERE checked_at < now() - interval '{FOUND_FOR}'")
