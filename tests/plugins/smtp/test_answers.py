"""What replies mean, in the words of those who give them."""

from datetime import UTC, datetime

import pytest

from core.plugin import LimitReachedError, MisconfiguredError, ProviderError, RefusedError, UnavailableError
from plugins.smtp.answers import Step, explain, until_next_day

NOON = datetime(2030, 5, 6, 12, 0, tzinfo=UTC)
HALF_A_DAY = 12 * 3600.0
HOUR = 3600.0


def _explained(code: int, text: str, step: Step) -> ProviderError:
    return explain(code, text, step, "mail.example.org:587", now=lambda: NOON)


LIMITS: list[tuple[int, str, Step, float]] = [
    (550, "5.4.5 Daily user sending limit exceeded. gsmtp", "content", HALF_A_DAY),
    (550, "5.4.5 Daily user sending quota exceeded.", "recipient", HALF_A_DAY),
    (550, "Daily user sending limit exceeded", "sender", HALF_A_DAY),
    (550, "5.4.5 Daily SMTP relay limit exceeded for customer.", "sender", HALF_A_DAY),
    (454, "Throttling failure: Daily message quota exceeded.", "content", HALF_A_DAY),
    (554, "5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", "content", HALF_A_DAY),
    (550, "5.1.90 Your message can't be sent because you've reached your daily limit", "content", HALF_A_DAY),
    (450, "4.2.1 Peak SMTP relay limit exceeded for customer.", "recipient", HOUR),
    (421, "4.7.0 Our system has detected an unusual rate of unsolicited mail", "content", HOUR),
    (421, "4.7.28 unusual rate of mail", "connect", HOUR),
    (454, "4.7.0 Too many login attempts, please try again later.", "sign_in", HOUR),
    (421, "Too many messages from this account, daily@limitless.invalid", "recipient", HOUR),
    (550, "5.1.90 <x@y.com>: daily limit for message recipients", "recipient", HALF_A_DAY),
    (550, "5.2.1 Daily SMTP relay limit exceeded", "recipient", HALF_A_DAY),
    (554, "5.7.1 <x@y.com>: Recipient address rejected: You have exceeded your Outmail quota", "recipient", HOUR),
    (451, "4.7.1 <x@y.com>: Recipient address rejected: You have exceeded your Outmail quota", "recipient", HOUR),
    (550, "Hourly sending limit exceeded", "recipient", HOUR),
    (550, "5.7.1 Hourly sending limit exceeded", "content", HOUR),
    (550, "5.7.0 Your quota of messages was exceeded", "sender", HOUR),
    (552, "5.2.2 Hourly sending limit exceeded", "content", HOUR),
    (554, "The hourly sending rate is limited: quota exceeded", "content", HOUR),
]


@pytest.mark.parametrize(("code", "text", "step", "seconds"), LIMITS)
def test_the_account_waits(code: int, text: str, step: Step, seconds: float) -> None:
    found = _explained(code, text, step)

    assert isinstance(found, LimitReachedError)
    assert found.retry_after == seconds


LATER: list[tuple[int, str, Step, float]] = [
    # A second's allowance of Amazon SES: a pause of an hour would hold back everybody's mail for nothing.
    (454, "Throttling failure: Maximum sending rate exceeded.", "content", 60),
    (554, "Throttling failure: Maximum sending rate exceeded.", "content", 60),
    (421, "4.7.0 mail.example.org Error: too many errors", "recipient", 60),
    (452, "4.3.4 Message size limit exceeded", "content", 1800),
    (452, "4.2.2 Quota exceeded", "content", HOUR),
    (421, "4.3.0 Temporary System Problem. Try again later.", "connect", 60),
    (450, "4.2.1 The user you are trying to contact is receiving mail too quickly.", "recipient", HOUR),
    (450, "4.2.1 The user is receiving mail at a rate that prevents additional messages", "recipient", HOUR),
    (450, "Greylisted", "recipient", 300),
    (451, "4.3.0 Mail server temporarily rejected message.", "content", 300),
    (452, "4.2.2 The email account that you tried to reach is over quota.", "recipient", HOUR),
    (452, "4.3.1 Insufficient system storage", "sender", 1800),
    (452, "4.5.3 Your message has too many recipients.", "recipient", 1800),
    (454, "4.7.0 Cannot authenticate due to temporary system problem.", "sign_in", 600),
    (454, "4.7.0 TLS not available", "connect", 600),
    (432, "4.3.2 something", "content", 300),
]


@pytest.mark.parametrize(("code", "text", "step", "seconds"), LATER)
def test_this_mail_waits(code: int, text: str, step: Step, seconds: float) -> None:
    found = _explained(code, text, step)

    assert type(found) is UnavailableError
    assert found.retry_after == seconds


OF_ONE_PERSON: list[tuple[int, str, Step, bool]] = [
    (450, "4.1.2 <daily@limitless.invalid>: Recipient address rejected: Domain not found", "recipient", True),
    (450, "4.1.2 \u2039daily@limitless.invalid\u203a: Domain not found", "recipient", True),
    (450, "4.1.1 limit exceeded daily: unverified address", "recipient", True),
    (451, "4.3.0 <throttle@x.com>: Temporary lookup failure", "recipient", True),
    (451, "throttle@x.com: Temporary lookup failure", "recipient", True),
    (450, "4.7.1 <x@y.com>: address is held: host mx.y.com said: 450 daily limit exceeded", "recipient", True),
    (452, "4.2.2 The email account that you tried to reach is over quota.", "recipient", True),
    (450, "Greylisted", "recipient", True),
    (452, "4.2.2 <x@y.com>: mailbox full", "content", True),
    (451, "4.1.1 <x@y.com>: cannot be looked up", "content", True),
    (451, "4.3.0 Mail server temporarily rejected message.", "content", False),
    (421, "4.2.1 <x@y.com>: closing connection", "recipient", False),
    (452, "4.3.1 Insufficient system storage", "recipient", False),
    (454, "4.7.1 <x@y.com>: Relay access denied", "recipient", False),
    (450, "4.1.8 <messages@example.com>: Sender address rejected: Domain not found", "recipient", False),
    (450, "4.7.1 Client host rejected: cannot find your hostname, [192.0.2.7]", "recipient", False),
    (450, "4.1.0 Try later", "sender", False),
    (421, "4.2.0 Try later", "connect", False),
    (454, "Throttling failure: Maximum sending rate exceeded.", "recipient", False),
]


@pytest.mark.parametrize(("code", "text", "step", "of_recipient"), OF_ONE_PERSON)
def test_what_concerns_one_person_alone_says_so(code: int, text: str, step: Step, *, of_recipient: bool) -> None:
    found = _explained(code, text, step)

    assert type(found) is UnavailableError
    assert found.of_recipient is of_recipient


MENDING: list[tuple[int, str, Step]] = [
    (535, "5.7.8 Username and Password not accepted", "sign_in"),
    (534, "5.7.9 Application-specific password required.", "sign_in"),
    (530, "5.7.0 Must issue a STARTTLS command first.", "sign_in"),
    (530, "5.7.0 Authentication Required.", "sender"),
    (554, "No SMTP service here", "connect"),
    (550, "5.7.1 Sender address rejected", "sender"),
    (553, "5.7.1 Sender address rejected: not owned by user", "sender"),
    (550, "5.7.0 Mail relay denied.", "recipient"),
    (554, "5.7.1 Relay access denied", "recipient"),
    (554, "Message rejected: Email address is not verified. The identities failed", "content"),
    (550, "5.7.1 Our system has detected an unusual rate of unsolicited mail originating from your IP", "content"),
    (554, "5.7.1 Service unavailable; client blocked using zen.spamhaus.org", "recipient"),
    (554, "5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.spamhaus.org", "recipient"),
    (554, "5.7.1 <unknown[192.0.2.7]>: Client host rejected: Access denied", "recipient"),
    (504, "5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", "recipient"),
    (553, "5.7.1 <messages@example.com>: Sender address rejected: not owned by user ana", "recipient"),
    (550, "5.1.8 <messages@example.com>: Sender address rejected: Domain not found", "recipient"),
    (550, "5.1.8 Access denied, bad outbound sender", "content"),
    (550, "5.7.60 SMTP; Client does not have permissions to send as this sender", "content"),
    (554, "5.7.1 <ana@example.org>: Relay access denied", "recipient"),
    (550, "5.7.1 <ana@example.org>... Relaying denied. Proper authentication required.", "recipient"),
    (550, "relay not permitted", "recipient"),
    (550, "5.7.1 Unable to relay", "recipient"),
    (530, "5.7.57 Client not authenticated to send mail", "content"),
    (550, "5.7.1 Authentication required", "recipient"),
    (550, "5.1.7 Bad address of the sender", "sender"),
]


@pytest.mark.parametrize(("code", "text", "step"), MENDING)
def test_a_person_has_to_mend_it(code: int, text: str, step: Step) -> None:
    assert isinstance(_explained(code, text, step), MisconfiguredError)


FOR_GOOD: list[tuple[int, str, Step]] = [
    (550, "5.1.1 <daily-limit@example.com>: Recipient address rejected: User unknown", "recipient"),
    (550, "5.1.1 \u2039daily-limit@example.com\u203a User unknown", "recipient"),
    (550, "5.1.1 daily limit exceeded: no such user", "recipient"),
    (550, "No such user: daily-limit@example.com", "recipient"),
    (550, "<daily-limit-exceeded@example.com> unknown user", "content"),
    (554, "5.7.1 <relay@nodomain.com>: Recipient address rejected: Access denied", "recipient"),
    (554, "5.7.1 <relay-denied@nodomain.com>: Recipient address rejected: Access denied", "content"),
    (550, "<authenticate@nodomain.com> unknown user", "recipient"),
    (550, "5.7.1 <x@y.com>: undeliverable: host mx.y.com said: 550 daily limit exceeded, relay denied", "recipient"),
    (550, "Verification failed for <x@y.com>\nResponse: 550 relay access denied", "recipient"),
    (554, "5.7.1 Message contains a URL listed in Spamhaus DBL", "content"),
    (550, "5.7.1 Blacklisted URL in message", "content"),
    (550, "This account has been disabled", "recipient"),
    (550, "5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required", "recipient"),
    (550, "5.7.133 authentication required; Delivery restriction check failed", "content"),
    (550, "5.7.1 RESOLVER.RST.AuthRequired; authentication required", "content"),
    (550, "5.7.26 This mail has been blocked because the sender is unauthenticated.", "content"),
    (552, "5.2.2 Quota exceeded (mailbox for user is full)", "recipient"),
    (550, "5.2.2 Quota exceeded", "content"),
    (552, "Quota exceeded", "content"),
    (550, "Mailbox quota exceeded", "recipient"),
    (550, "The user has exceeded their daily limit for receiving mail", "recipient"),
    (554, "5.4.6 Hop count limit exceeded", "content"),
    (550, "5.1.1 The email account that you tried to reach does not exist.", "recipient"),
    (550, "5.2.1 The email account that you tried to reach is disabled.", "recipient"),
    (550, "No such user here", "recipient"),
    (501, "5.1.3 Bad recipient address syntax", "recipient"),
    (552, "5.2.2 The email account that you tried to reach is over quota.", "recipient"),
    (552, "5.3.4 Your message exceeded size limits.", "content"),
    (554, "5.7.1 Message blocked as likely unsolicited mail.", "content"),
]


@pytest.mark.parametrize(("code", "text", "step"), FOR_GOOD)
def test_this_person_never_gets_it(code: int, text: str, step: Step) -> None:
    assert isinstance(_explained(code, text, step), RefusedError)


@pytest.mark.parametrize(
    ("text", "recipient"),
    [
        ("User daily-limit unknown", "daily-limit@example.com"),
        ("Host 'Daily-Limit.example.com': not found", "ana@daily-limit.example.com"),
        ("No MX found: name=daily-limit.example.com", "ana@daily-limit.example.com"),
        ("No MX found for daily-limit.example.com", "ana@mail.daily-limit.example.com"),
        ("5.7.1 (relay.denied) has no mailbox here", "relay.denied@example.com"),
    ],
)
def test_half_an_address_says_nothing_of_the_account(text: str, recipient: str) -> None:
    found = explain(550, text, "recipient", "mail.example.org:587", recipient=recipient)

    assert isinstance(found, RefusedError)


def test_a_limit_counts_also_for_somebody_who_is_named_like_it() -> None:
    text = "5.4.5 Daily limit"
    found = explain(550, text, "content", "mail.example.org:587", recipient="daily@limit", now=lambda: NOON)

    assert isinstance(found, LimitReachedError)
    assert found.retry_after == HALF_A_DAY


def test_no_error_repeats_the_words_of_a_reply() -> None:
    for step in ("connect", "sign_in", "sender", "recipient", "content"):
        for code in (421, 450, 550, 554):
            found = _explained(code, "5.1.1 ana@example.com said the secret word", step)
            assert "ana" not in f"{found} {vars(found)}"
            assert "secret" not in f"{found} {vars(found)}"


def test_a_code_that_is_none_is_unavailable() -> None:
    assert type(_explained(-1, "Malformed SMTP response line", "sender")) is UnavailableError


def test_the_next_day_is_in_utc_and_an_hour_away_at_the_soonest() -> None:
    assert until_next_day(NOON) == HALF_A_DAY
    assert until_next_day(NOON.replace(hour=23, minute=50)) == HOUR
    assert until_next_day(NOON.replace(hour=0)) == 24 * HOUR
