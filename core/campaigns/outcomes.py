"""From a provider's outcome to what the recipient row becomes; every rule of retries stands here."""

import random
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from core.campaigns.claims import Claimed
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import FROM_IN_DOUBT, FROM_LEASED, FROM_NOT_TAKEN, Transition
from core.plugin import Accepted, Outcome, Rejected, Retryable, SenderStopped, Unknown

MAX_FAILURES = 5
MAX_AGE = timedelta(hours=24)
BACK_OFF_SECONDS = (10.0, 60.0, 300.0, 1800.0)
ACKNOWLEDGEMENT_TIMER = timedelta(minutes=5)
"""An accepted message without acknowledgement is looked up after this long."""
DUPLICATE_ADDRESS = "duplicate_address"
"""Another contact of the campaign turned out to be the same account."""
NO_WHATSAPP = "no_whatsapp"
"""The number has no account."""
OPTED_OUT = "opted_out"
"""Whoever has the address that the check gave opted out."""
CHECK_BUDGET = "check_budget_spent"
"""The number has looked up as many numbers as it may for now, so it waits."""
NOBODY_TO_SEND_TO = frozenset({DUPLICATE_ADDRESS, NO_WHATSAPP, OPTED_OUT})
"""Skipped, as at the freeze, whenever it is found out: no send can mend it."""
LONGEST_PAUSE_SECONDS = 24 * 3600.0
CODE_LENGTH = 60
ID_LENGTH = 160


class Settled(msgspec.Struct, frozen=True):
    """What an outcome means: the row's transition, and what it says of the number."""

    transition: Transition
    certain_non_send: bool
    """The caps it took are given back."""
    fault: Literal["", "sender", "server", "lost_answer"] = ""
    """Whose fault it was, if not the recipient's: a lost answer is the server's once it happens again and again."""
    pause_seconds: float = 0.0
    """How long the service asked to be spared; 0 when it did not say."""
    stopped: SenderStopped | None = None
    """The number cannot send until something changes."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What settling needs beside the outcome."""

    now: datetime
    lease_until: datetime
    receipts: bool
    """The provider reports acknowledgements; without them an accepted message counts as sent."""
    unknown_grace: timedelta


def settle(row: Claimed, outcome: Outcome, context: Context) -> Settled:
    """Translate ``outcome`` of ``row``'s present attempt; pure but for the jitter of the back-off."""
    match outcome:
        case Accepted():
            return Settled(_accepted(row, outcome, context), certain_non_send=False)
        case Unknown():
            return _unknown(row, outcome, context)
        case Rejected():
            return Settled(_failed(row, outcome.code, "rejected"), certain_non_send=True)
        case SenderStopped():
            transition = _again(row, outcome.code, "sender_stopped", context.now, burnt=0)
            return Settled(transition, certain_non_send=True, stopped=outcome)
        case Retryable():
            return _retry(row, outcome, context)


def _accepted(row: Claimed, outcome: Accepted, context: Context) -> Transition:
    return Transition(
        id=row.id,
        attempt=row.attempt,
        allowed=FROM_NOT_TAKEN,
        state=RecipientState.ACCEPTED if context.receipts else RecipientState.SENT,
        outcome="accepted",
        provider_id=storable(outcome.ids[0], ID_LENGTH) if outcome.ids else None,
        look_at=context.now + ACKNOWLEDGEMENT_TIMER if context.receipts else None,
        accepted_at=context.now,
        sent_at=None if context.receipts else context.now,
    )


def _unknown(row: Claimed, outcome: Unknown, context: Context) -> Settled:
    transition = Transition(
        id=row.id,
        attempt=row.attempt,
        allowed=FROM_LEASED,
        state=RecipientState.UNKNOWN,
        reason=storable(outcome.code),
        code=storable(outcome.code),
        outcome="unknown",
        look_at=context.lease_until + context.unknown_grace,
    )
    return Settled(transition, certain_non_send=False, fault="sender" if outcome.sender_stopped else "lost_answer")


def _retry(row: Claimed, outcome: Retryable, context: Context) -> Settled:
    if outcome.scope != "recipient":
        transition = _again(row, outcome.code, "retryable", context.now, burnt=0)
        fault: Literal["sender", "server"] = "server" if outcome.scope == "server" else "sender"
        return Settled(transition, certain_non_send=True, fault=fault, pause_seconds=_asked(outcome.retry_after))
    tries = row.failures + 1
    if tries >= MAX_FAILURES or context.now - row.first_attempt_at >= MAX_AGE:
        return Settled(_failed(row, outcome.code, "retryable"), certain_non_send=True)
    usual = BACK_OFF_SECONDS[min(tries, len(BACK_OFF_SECONDS)) - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    pause = _asked(outcome.retry_after) or usual
    due_at = context.now + timedelta(seconds=pause)
    return Settled(_again(row, outcome.code, "retryable", due_at, burnt=1), certain_non_send=True)


def _failed(row: Claimed, code: str, outcome: str) -> Transition:
    return Transition(
        id=row.id,
        attempt=row.attempt,
        allowed=FROM_IN_DOUBT,
        state=RecipientState.SKIPPED if code in NOBODY_TO_SEND_TO else RecipientState.FAILED,
        reason=storable(code),
        code=storable(code),
        outcome=outcome,
        burnt=1,
        not_sent=True,
    )


def _again(row: Claimed, code: str, outcome: str, due_at: datetime, *, burnt: int) -> Transition:
    return Transition(
        id=row.id,
        attempt=row.attempt,
        allowed=FROM_IN_DOUBT,
        state=RecipientState.PENDING,
        reason=storable(code),
        code=storable(code),
        outcome=outcome,
        due_at=due_at,
        burnt=burnt,
        release_number=True,
        not_sent=True,
    )


def storable(text: str, length: int = CODE_LENGTH) -> str:
    """Cut and clean a plugin's word: one that the database refuses would hold up the record of every other row."""
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:length]


def _asked(seconds: float | None) -> float:
    """Return the pause a service asked for, within reason; 0 when it asked for none."""
    return min(seconds, LONGEST_PAUSE_SECONDS) if seconds is not None and seconds > 0 else 0.0
