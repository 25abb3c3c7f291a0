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
    (454, "Throttling failure: Maximum sending rate exceeded.", "content", HOUR),
]


@pytest.mark.parametrize(("code", "text", "step", "seconds"), LIMITS)
def test_the_account_waits(code: int, text: str, step: Step, seconds: float) -> None:
    found = _explained(code, text, step)

    assert isinstance(found, LimitReachedError)
    assert found.retry_after == seconds


LATER: list[tuple[int, str, Step, float]] = [
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
]


@pytest.mark.parametrize(("code", "text", "step"), MENDING)
def test_a_person_has_to_mend_it(code: int, text: str, step: Step) -> None:
    assert isinstance(_explained(code, text, step), MisconfiguredError)


FOR_GOOD: list[tuple[int, str, Step]] = [
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
