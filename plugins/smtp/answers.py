"""What the replies of mail servers mean; no error repeats their text, which may name people.

Codes are of RFC 5321, enhanced ones of RFC 3463. Gmail's are at https://support.google.com/a/answer/3726730, those
of Microsoft 365 at https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from core.plugin import LimitReachedError, MisconfiguredError, ProviderError, RefusedError, UnavailableError

Step = Literal["connect", "sign_in", "sender", "recipient", "content"]
"""How far a mail came: to the greeting and encryption, the sign-in, ``MAIL``, ``RCPT``, or ``DATA``."""

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\d)")
_DAILY = re.compile(
    r"(daily|24.?hour|per day).{0,60}(limit|quota)|(limit|quota).{0,60}(per day|24.?hour|daily)|submissionquota",
    re.IGNORECASE | re.DOTALL,
)
_RATE = re.compile(r"\brate\b|too many|throttl|limit exceeded|sending limit|quota exceeded", re.IGNORECASE)
_RECEIVING = re.compile(r"receiving|mailbox|recipient|inbox|over quota", re.IGNORECASE)
"""A limit of the person's mailbox, not of our account."""
_ACCOUNT = re.compile(
    r"relay|authenticat|not authori[sz]ed|block ?list|blacklist|spamhaus|(sender|from|identit|account).{0,60}"
    r"(not allowed|not permitted|denied|not owned|suspended|disabled|blocked)|originating from your ip"
    r"|address is not verified",
    re.IGNORECASE | re.DOTALL,
)
"""The account, its address or this machine may send nothing, whoever the recipient is."""
_PERSON_CODES = ("5.1.", "5.2.")
"""RFC 3463: of the address, and of its mailbox."""
_DAILY_CODES = {"5.4.5", "5.1.90"}
_RETRY_SECONDS = {421: 60.0, 450: 300.0, 451: 300.0, 452: 1800.0, 454: 600.0}
_OTHER_RETRY_SECONDS = 300.0
_RATE_SECONDS = 3600.0
_TEMPORARY, _FOR_GOOD = range(400, 500), range(500, 600)


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def until_next_day(now: datetime) -> float:
    """Return the seconds until a daily allowance counts as renewed: midnight in UTC, an hour from now at the soonest.

    Services do not say when theirs is: Gmail's window slides, and its help names 1 to 24 hours.
    """
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return max(_RATE_SECONDS, (midnight - now).total_seconds())


def explain(code: int, text: str, step: Step, host: str, now: Callable[[], datetime] = utc_now) -> ProviderError:
    """Say in the words of notifiers what a reply means that is no success."""
    found = _ENHANCED.match(text.strip())
    enhanced = found[0] if found else ""
    answered = f"{code} {enhanced}".strip()
    limit = _limit(code, text, enhanced, step, now)
    if limit is not None:
        return LimitReachedError(
            f"{host} takes no more mail of this account for now ({answered}).",
            provider_code=answered,
            retry_after=limit,
        )
    if code in _TEMPORARY:
        seconds = _RATE_SECONDS if enhanced.startswith("4.2.") else _RETRY_SECONDS.get(code, _OTHER_RETRY_SECONDS)
        return UnavailableError(f"{host} asks to try later ({answered}).", provider_code=answered, retry_after=seconds)
    if code not in _FOR_GOOD:
        return UnavailableError(f"{host} gave a reply that is not understood.")
    return _refusal(code, text, enhanced, step, host)


def _limit(code: int, text: str, enhanced: str, step: Step, now: Callable[[], datetime]) -> float | None:
    """Return for how many seconds the account may send nothing."""
    if step == "connect" and code not in _TEMPORARY:
        return None
    if enhanced in _DAILY_CODES or _DAILY.search(text):
        return until_next_day(now())
    of_account = not _RECEIVING.search(text) and _RATE.search(text)
    if code in _TEMPORARY and of_account:
        return _RATE_SECONDS
    return None


def _refusal(code: int, text: str, enhanced: str, step: Step, host: str) -> ProviderError:
    answered = f"{code} {enhanced}".strip()
    of_person = step == "recipient" and enhanced.startswith(_PERSON_CODES)
    of_account = answered.startswith("530") or (not of_person and _ACCOUNT.search(text) is not None)
    if step == "sign_in":
        means = "refuses the user name or the password: set both anew (Gmail takes app passwords alone)"
    elif step == "connect":
        means = "refuses this machine"
    elif step == "sender":
        means = "does not let this account send as from_address"
    elif of_account:
        means = "does not let this account send"
    elif step == "recipient":
        return RefusedError(f"{host} does not take mail for this recipient ({answered}).", provider_code=answered)
    else:
        return RefusedError(f"{host} does not take this mail ({answered}).", provider_code=answered)
    return MisconfiguredError(f"{host} {means} ({answered}).", provider_code=answered)
