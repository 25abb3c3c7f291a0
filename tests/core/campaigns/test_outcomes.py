from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.campaigns.claims import Claimed
from core.campaigns.outcomes import (
    ACKNOWLEDGEMENT_TIMER,
    BACK_OFF_SECONDS,
    CODE_LENGTH,
    ID_LENGTH,
    MAX_AGE,
    Context,
    Settled,
    settle,
)
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_LEASED, FROM_NOT_TAKEN
from core.plugin import Accepted, Outcome, Rejected, Retryable, SenderStopped, Unknown

NOW = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
LEASE_UNTIL = NOW + timedelta(seconds=40)
GRACE = timedelta(seconds=30)


def _row(failures: int = 0, age: timedelta = timedelta(0)) -> Claimed:
    return Claimed(
        id=7,
        attempt=3,
        number_id=1,
        campaign_id=2,
        message_id=4,
        contact_id=5,
        version=1,
        address="5511900000000",
        provider_address=None,
        variables=None,
        client_id="abc",
        failures=failures,
        first_attempt_at=NOW - age,
    )


def _settle(outcome: Outcome, row: Claimed | None = None, *, receipts: bool = True) -> Settled:
    context = Context(now=NOW, lease_until=LEASE_UNTIL, receipts=receipts, unknown_grace=GRACE)
    return settle(row or _row(), outcome, context)


class TestAccepted:
    def test_waits_for_its_acknowledgement(self) -> None:
        settled = _settle(Accepted(("id-1", "id-2")))
        assert settled.transition.state is RecipientState.ACCEPTED
        assert settled.transition.provider_id == "id-1"
        assert settled.transition.look_at == NOW + ACKNOWLEDGEMENT_TIMER
        assert (settled.transition.accepted_at, settled.transition.sent_at) == (NOW, None)
        assert not settled.certain_non_send

    def test_counts_as_sent_where_nothing_is_acknowledged(self) -> None:
        settled = _settle(Accepted(("id-1",)), receipts=False)
        assert settled.transition.state is RecipientState.SENT
        assert settled.transition.look_at is None
        assert settled.transition.sent_at == NOW

    def test_comes_late_for_a_row_in_doubt_or_one_that_waits_to_go_again(self) -> None:
        assert _settle(Accepted(())).transition.allowed == FROM_NOT_TAKEN


class TestUnknown:
    def test_is_looked_up_after_the_grace_that_follows_the_lease(self) -> None:
        settled = _settle(Unknown("timeout"))
        assert settled.transition.state is RecipientState.UNKNOWN
        assert settled.transition.allowed == FROM_LEASED
        assert settled.transition.look_at == LEASE_UNTIL + GRACE
        assert settled.transition.reason == "timeout"
        assert not settled.certain_non_send
        assert settled.fault == "lost_answer"

    def test_is_the_senders_fault_when_the_sender_may_be_gone(self) -> None:
        assert _settle(Unknown("connection_closed", sender_stopped=True)).fault == "sender"


class TestRejected:
    def test_fails_for_good(self) -> None:
        settled = _settle(Rejected("refused"))
        assert settled.transition.state is RecipientState.FAILED
        assert settled.transition.reason == "refused"
        assert settled.certain_non_send

    @pytest.mark.parametrize("code", ["duplicate_address", "no_whatsapp"])
    def test_where_there_is_nobody_to_send_to_is_skipped(self, code: str) -> None:
        assert _settle(Rejected(code)).transition.state is RecipientState.SKIPPED


class TestSenderStopped:
    def test_gives_the_row_back_and_burns_no_try(self) -> None:
        outcome = SenderStopped("logged_out")
        settled = _settle(outcome, _row(failures=4, age=timedelta(days=3)))
        assert settled.transition.state is RecipientState.PENDING
        assert (settled.transition.due_at, settled.transition.burnt) == (NOW, 0)
        assert settled.transition.release_number
        assert settled.certain_non_send
        assert settled.stopped is outcome


class TestRetryable:
    @pytest.mark.parametrize("failures", range(4))
    def test_backs_off_and_burns_a_try(self, failures: int) -> None:
        settled = _settle(Retryable("busy"), _row(failures=failures))
        usual = BACK_OFF_SECONDS[failures]
        assert settled.transition.state is RecipientState.PENDING
        assert settled.transition.burnt == 1
        assert settled.transition.due_at is not None
        assert 0.8 * usual <= (settled.transition.due_at - NOW).total_seconds() <= 1.2 * usual
        assert settled.certain_non_send
        assert settled.transition.not_sent
        assert settled.fault == ""

    def test_fails_at_the_fifth(self) -> None:
        settled = _settle(Retryable("busy"), _row(failures=4))
        assert settled.transition.state is RecipientState.FAILED
        assert settled.transition.reason == "busy"
        assert settled.certain_non_send

    def test_fails_after_a_day(self) -> None:
        almost = _settle(Retryable("busy"), _row(age=MAX_AGE - timedelta(seconds=1)))
        assert almost.transition.state is RecipientState.PENDING
        assert _settle(Retryable("busy"), _row(age=MAX_AGE)).transition.state is RecipientState.FAILED

    @pytest.mark.parametrize(
        ("scope", "fault"), [("sender", "sender"), ("server", "server"), ("new_contacts", "sender")]
    )
    def test_of_more_than_the_recipient_is_a_fault_and_burns_no_try(self, scope: Any, fault: str) -> None:
        settled = _settle(Retryable("unreachable", scope=scope), _row(failures=4, age=timedelta(days=2)))
        assert settled.transition.state is RecipientState.PENDING
        assert (settled.transition.due_at, settled.transition.burnt) == (NOW, 0)
        assert (settled.fault, settled.pause_seconds) == (fault, 0)

    def test_what_the_service_asks_for_is_done(self) -> None:
        assert _settle(Retryable("slow", 7, "server")).pause_seconds == 7
        assert _settle(Retryable("slow", 7)).transition.due_at == NOW + timedelta(seconds=7)

    @pytest.mark.parametrize("asked", [float("inf"), 1e300])
    def test_but_not_for_ever(self, asked: float) -> None:
        assert _settle(Retryable("slow", asked)).transition.due_at == NOW + timedelta(days=1)
        assert _settle(Retryable("slow", asked, "server")).pause_seconds == 24 * 3600

    @pytest.mark.parametrize("asked", [float("nan"), -5.0, 0.0])
    def test_a_pause_that_is_none_is_the_usual(self, asked: float) -> None:
        due_at = _settle(Retryable("slow", asked)).transition.due_at
        assert due_at is not None
        assert due_at - NOW >= timedelta(seconds=8)
        assert _settle(Retryable("slow", asked, "server")).pause_seconds == 0


class TestForeignWords:
    @pytest.mark.parametrize(
        "outcome",
        [
            Unknown("x\0\ud800" * 100),
            Rejected("x\0\ud800" * 100),
            Retryable("x\0\ud800" * 100),
            SenderStopped("x\0\ud800" * 100),
            Accepted(("x\0\ud800" * 100,)),
        ],
    )
    def test_fit_their_columns(self, outcome: Outcome) -> None:
        transition = _settle(outcome).transition
        for text, length in (
            (transition.reason, CODE_LENGTH),
            (transition.code, CODE_LENGTH),
            (transition.provider_id or "", ID_LENGTH),
        ):
            assert len(text) <= length
            assert "\0" not in text
            text.encode()
