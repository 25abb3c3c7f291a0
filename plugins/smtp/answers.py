"""What the replies of mail servers mean; no error repeats their text, which may name people.

Codes are of RFC 5321, enhanced ones of RFC 3463. Gmail's are at https://support.google.com/a/answer/3726730, those
of Microsoft 365 at https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online,
those of Postfix in its ``smtpd_check.c``; it refuses senders, clients and relays not before ``RCPT``, as it is shipped.

Whoever registers chooses an address, and with it a part of many replies. So what counts for everybody's mail is read
from what the server says itself, and only where it names the account: a doubt costs one mail, not all.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from core.plugin import LimitReachedError, MisconfiguredError, ProviderError, RefusedError, UnavailableError

Step = Literal["connect", "sign_in", "sender", "recipient", "content"]
"""How far a mail came: to the greeting and encryption, the sign-in, ``MAIL``, ``RCPT``, or ``DATA``."""

_FLAGS = re.IGNORECASE | re.DOTALL
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\d)")
_REPEATED = re.compile(r"<[^<>]*>|\u2039[^\u2039\u203a]*\u203a|\b(said|response):.*|recipient address rejected", _FLAGS)
"""Addresses, the words of the server that one leads to (Postfix, Exim), and how Postfix begins to refuse one."""
_PUNCTUATION = "\"'`()[]{}.,:;!=/"
_SHORTEST = 4
"""Signs of a part of an address that could be taken for a word which counts."""
_DAILY = re.compile(
    r"(daily|24.?hour|per day).{0,60}(limit|quota)|(limit|quota).{0,60}(per day|24.?hour|daily)|submissionquota", _FLAGS
)
_RATE = re.compile(r"\brate\b|too many (?!errors|hops|recipients)|throttl|sending limit", _FLAGS)
_EXCEEDED = re.compile(r"exceeded.{0,40}(quota|limit)|(quota|limit).{0,40}exceeded", _FLAGS)
_PER_SECOND = re.compile(r"sending rate", _FLAGS)
"""Amazon SES: so many mails a second, which is over as soon."""
_LONGER = re.compile(r"hour|day|daily", _FLAGS)
_SENDING = re.compile(r"\b(relay|sending|outgoing|outbound|submission)\b.{0,40}(limit|quota|rate)", _FLAGS)
_MAILBOX = re.compile(r"receiving|mailbox|inbox|over quota|storage|\bthe recipient\b|user you are trying", _FLAGS)
"""A limit of the person's mailbox, not of our account."""
_MAIL_ITSELF = re.compile(r"\b(size|length|lines?|hops?|headers?|attachments?|recipients|recursion)\b", _FLAGS)
"""A limit that one mail is beyond."""
_ACCOUNT = re.compile(
    r"relay(ing)? (is )?(access )?(denied|prohibited|not (allowed|permitted))|(unable|not (allowed|permitted)) to relay"
    r"|(do|does) not relay|originating from your ip|address is not verified"
    r"|\bclient( host)?( \[[^\]]*\])? (blocked|rejected)|(helo command|sender address)( \[[^\]]*\])? (blocked|rejected)"
    r"|bad outbound sender|permissions? to send as|sendasdenied"
    r"|authentication (is )?required|requires authentication|must authenticate",
    _FLAGS,
)
"""The account, its address or this machine may send nothing, whoever the recipient is."""
_MEMBERS_ONLY = re.compile(r"\A5\.7\.13[345]|sendernotauthenticated|resolver\.rst\.", _FLAGS)
"""Exchange: a group or mailbox that takes mail of its own organisation alone; it asks for authentication too."""
_PERSON_CODES = ("4.1.", "4.2.", "5.1.", "5.2.")
"""RFC 3463: of the address, and of its mailbox."""
_SENDER_CODES = ("4.1.7", "4.1.8", "5.1.7", "5.1.8")
"""Among them, those of the sender's address."""
_SYSTEM_CODES = {"4.3.1", "4.3.2"}
"""The server has no room, or takes nothing."""
_DAILY_CODES = {"5.4.5", "5.1.90"}
_STORAGE, _CLOSING = 552, 421
_RETRY_SECONDS = {421: 60.0, 450: 300.0, 451: 300.0, 452: 1800.0, 454: 600.0}
_OTHER_RETRY_SECONDS = 300.0
_PER_SECOND_SECONDS = 60.0
_RATE_SECONDS = 3600.0
_TEMPORARY, _FOR_GOOD = range(400, 500), range(500, 600)


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that is no success, with ``said`` for its own words."""

    code: int
    enhanced: str
    said: str
    step: Step

    @property
    def title(self) -> str:
        return f"{self.code} {self.enhanced}".strip()

    @property
    def is_temporary(self) -> bool:
        return self.code in _TEMPORARY

    @property
    def concerns_person(self) -> bool:
        """Whether its enhanced code is about the recipient's address or mailbox."""
        late = self.step in {"recipient", "content"}
        return late and self.enhanced.startswith(_PERSON_CODES) and self.enhanced not in _SENDER_CODES

    @property
    def concerns_account(self) -> bool:
        """Whether it says that the account may send nothing, whoever the recipient is."""
        if self.code == 530:  # noqa: PLR2004 - RFC 4954: authentication required
            return True
        of_person = self.step == "recipient" and self.concerns_person
        members_only = _MEMBERS_ONLY.search(self.enhanced) or _MEMBERS_ONLY.search(self.said)
        return not of_person and not members_only and _ACCOUNT.search(self.said) is not None


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def until_next_day(now: datetime) -> float:
    """Return the seconds until a daily allowance counts as renewed: midnight in UTC, an hour from now at the soonest.

    Services do not say when theirs is: Gmail's window slides, and its help names 1 to 24 hours.
    """
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    return max(_RATE_SECONDS, (midnight - now).total_seconds())


def explain(
    code: int, text: str, step: Step, host: str, *, recipient: str = "", now: Callable[[], datetime] = utc_now
) -> ProviderError:
    """Say in the words of notifiers what a reply means that is no success."""
    if code not in _TEMPORARY and code not in _FOR_GOOD:
        return UnavailableError(f"{host} gave a reply that is not understood.")
    found = _ENHANCED.match(text.strip())
    reply = _Reply(code=code, enhanced=found[0] if found else "", said=_own_words(text, recipient), step=step)
    if _is_too_fast(reply):
        return UnavailableError(
            f"{host} asks for fewer mails a second ({reply.title}).",
            provider_code=reply.title,
            retry_after=_PER_SECOND_SECONDS,
        )
    limit = _limit(reply, now)
    if limit is not None:
        return LimitReachedError(
            f"{host} takes no more mail of this account for now ({reply.title}).",
            provider_code=reply.title,
            retry_after=limit,
        )
    return _later(reply, host) if reply.is_temporary else _refusal(reply, host)


def _own_words(text: str, recipient: str) -> str:
    """Return what a server says by itself, without addresses and their halves, which say what their owner likes."""
    halves = [half for half in recipient.casefold().split("@") if len(half) >= _SHORTEST]

    def is_own(word: str) -> bool:
        bare = word.casefold().strip(_PUNCTUATION)
        return "@" not in word and not any(half in bare or (len(bare) >= _SHORTEST and bare in half) for half in halves)

    return " ".join(filter(is_own, _REPEATED.sub(" ", text).split()))


def _is_too_fast(reply: _Reply) -> bool:
    return _PER_SECOND.search(reply.said) is not None and _LONGER.search(reply.said) is None


def _limit(reply: _Reply, now: Callable[[], datetime]) -> float | None:
    """Return for how many seconds the account may send nothing."""
    if reply.step == "connect" and not reply.is_temporary:
        return None
    if reply.enhanced in _DAILY_CODES:
        return until_next_day(now())
    of_sending = _SENDING.search(reply.said) is not None
    of_mailbox = _MAILBOX.search(reply.said) is not None or (reply.step == "recipient" and reply.concerns_person)
    if of_mailbox and not of_sending:
        return None
    if _DAILY.search(reply.said):
        return until_next_day(now())
    of_mail = reply.concerns_person or reply.code == _STORAGE or _MAIL_ITSELF.search(reply.said) is not None
    if of_mail and not of_sending:
        return None
    # Some give a code that is for good to what is over in an hour.
    exceeded = _EXCEEDED.search(reply.said) is not None and (reply.is_temporary or reply.step != "sign_in")
    return _RATE_SECONDS if exceeded or (reply.is_temporary and _RATE.search(reply.said)) else None


def _later(reply: _Reply, host: str) -> UnavailableError:
    mailbox = reply.enhanced.startswith("4.2.")
    of_recipient = reply.concerns_person or (
        reply.step == "recipient" and not reply.concerns_account and reply.enhanced not in _SYSTEM_CODES
    )
    return UnavailableError(
        f"{host} asks to try later ({reply.title}).",
        provider_code=reply.title,
        retry_after=_RATE_SECONDS if mailbox else _RETRY_SECONDS.get(reply.code, _OTHER_RETRY_SECONDS),
        of_recipient=of_recipient and reply.code != _CLOSING,
    )


def _refusal(reply: _Reply, host: str) -> ProviderError:
    if reply.step == "sign_in":
        means = "refuses the user name or the password: set both anew (Gmail takes app passwords alone)"
    elif reply.step == "connect":
        means = "refuses this machine"
    elif reply.step == "sender":
        means = "does not let this account send as from_address"
    elif reply.concerns_account:
        means = "does not let this account send"
    else:
        what = "mail for this recipient" if reply.step == "recipient" else "this mail"
        return RefusedError(f"{host} does not take {what} ({reply.title}).", provider_code=reply.title)
    return MisconfiguredError(f"{host} {means} ({reply.title}).", provider_code=reply.title)
