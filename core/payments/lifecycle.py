"""The life of a subscription: one pure function from what was known and what a gateway says to what is true now.

It knows no database, no gateway and no clock. Whatever order the reports of a gateway arrive in, each is fetched as a
whole, so the last snapshot alone decides the state; of payments, what was seen once stays.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

import msgspec

from core.plugin import Money, PaymentFact, Snapshot, SubscriptionStatus

ALIVE = frozenset(SubscriptionStatus) - {SubscriptionStatus.PENDING, SubscriptionStatus.CANCELED}
"""A user has one subscription in these states, no more."""


EndedReason = Literal["", "canceled", "refunded", "disputed"]
"""Why core cut the access before its time."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the administrator decided."""

    grace: timedelta
    """How long access goes on while the gateway tries to collect a renewal."""
    refund_ends_access: bool
    """A payment of the present period that is paid back whole ends the access it paid for."""
    dispute_ends_access: bool
    """So does one that the payer's bank wants back."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as core knows it; the columns of ``subscriptions`` that change."""

    status: SubscriptionStatus
    raw_status: str
    auto_renew: bool
    access_until: datetime | None
    refunded_amount: Decimal
    plan_id: int
    next_plan_id: int | None
    next_plan_at: datetime | None
    price: Money
    action_url: str
    grace_until: datetime | None
    ended_at: datetime | None
    ended_reason: EndedReason
    cancel_now_at: datetime | None
    """When somebody asked for an end at once: once the gateway has ended it, the access counts no longer."""
    closed_at: datetime | None


class KnownPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that is recorded already."""

    status: Literal["pending", "completed", "failed"]
    refunded: Decimal
    disputed: bool


class PaymentChange(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that is new, or of which something new is known."""

    payment: PaymentFact
    """As it is to be recorded: what was final stays."""
    completed: bool
    """It has just become a completed one, and ``failed`` a failed one."""
    failed: bool
    refunded: bool
    """More of it was paid back than was known."""
    disputed: bool


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What is true now, and what is new about it."""

    after: State
    payments: tuple[PaymentChange, ...]
    plan_changed: bool
    access_changed: bool
    """The end of the access, or the plan it is for, is another one."""
    ends: bool
    """It is certain since now that the access ends: nothing renews it."""
    closed: bool
    """It is over since now, and the access with it."""
    strange: bool
    """The gateway gave a state that its plugin does not know."""


def access_end(state: State, grace: timedelta) -> datetime | None:
    """Return until when a subscription gives access, ``None`` for not at all.

    While it renews itself the grace comes on top, since gateways collect a renewal some hours after the period's end.
    """
    until = state.access_until
    if until is None or state.status is SubscriptionStatus.PENDING:
        return None
    if state.status is SubscriptionStatus.PAST_DUE:
        until = max(until, state.grace_until or until)
    elif state.auto_renew and state.status in {SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIAL}:
        until += grace
    return until if state.ended_at is None else min(until, state.ended_at)


def apply(  # noqa: PLR0913 - each is a different thing that decides
    before: State | None,
    snapshot: Snapshot,
    known: Mapping[str, KnownPayment],
    *,
    offer: State,
    plan_id: int | None,
    now: datetime,
    policy: Policy,
) -> Applied:
    """Return the state that a snapshot leads to.

    ``before`` is ``None`` the first time; ``offer`` then says what was sold. ``plan_id`` is the plan that the
    snapshot's price belongs to, ``None`` where that is not known. ``known`` are the subscription's recorded payments by
    their ids.
    """
    start = before or offer
    changes = tuple(
        change for payment in snapshot.payments if (change := _compare(known.get(payment.transaction_id), payment))
    )
    recorded = {
        **known,
        **{one.payment.transaction_id: _known(one.payment) for one in changes},
    }
    after = msgspec.structs.replace(
        start,
        raw_status=snapshot.raw_status,
        auto_renew=snapshot.auto_renew,
        access_until=snapshot.access_until,
        refunded_amount=sum((one.refunded for one in recorded.values()), Decimal(0)),
        price=snapshot.price or start.price,
        action_url=snapshot.action_url,
        **_plan(start, plan_id),
    )
    strange = snapshot.status is SubscriptionStatus.UNKNOWN
    if strange:
        # Nobody loses access because a gateway has a new word.
        after = msgspec.structs.replace(after, auto_renew=start.auto_renew, access_until=start.access_until)
    else:
        after = msgspec.structs.replace(after, status=snapshot.status, grace_until=_grace(start, snapshot, now, policy))
    after = msgspec.structs.replace(after, **_ended(start, snapshot, now, policy))
    return elapse(before, after, now=now, policy=policy, payments=changes, strange=strange)


def elapse(
    before: State | None,
    after: State,
    *,
    now: datetime,
    policy: Policy,
    payments: tuple[PaymentChange, ...] = (),
    strange: bool = False,
) -> Applied:
    """Let the time do its work on ``after``: a planned plan, the end of a grace, the end of access.

    Without anything from the gateway it is called with ``before`` as ``after``.
    """
    if after.next_plan_id is not None and after.next_plan_at is not None and after.next_plan_at <= now:
        after = msgspec.structs.replace(after, plan_id=after.next_plan_id, next_plan_id=None, next_plan_at=None)
    if after.status is SubscriptionStatus.PAST_DUE and after.grace_until is not None and after.grace_until <= now:
        after = msgspec.structs.replace(after, status=SubscriptionStatus.SUSPENDED)
    end = access_end(after, policy.grace)
    is_over = after.status is SubscriptionStatus.CANCELED and (end is None or end <= now)
    closed_at = (after.closed_at or now) if is_over else None
    after = msgspec.structs.replace(after, closed_at=closed_at)
    end_before = None if before is None else access_end(before, policy.grace)
    return Applied(
        after=after,
        payments=payments,
        plan_changed=before is not None and before.plan_id != after.plan_id,
        access_changed=end != end_before or (before is not None and before.plan_id != after.plan_id),
        ends=end is not None and end > now and not _renews(after) and (before is None or _renews(before)),
        closed=is_over and before is not None and before.closed_at is None,
        strange=strange,
    )


def _renews(state: State) -> bool:
    """Say whether access may go on by itself."""
    failing = {SubscriptionStatus.SUSPENDED, SubscriptionStatus.CANCELED, SubscriptionStatus.PAUSED}
    return state.auto_renew and state.status not in failing


def _plan(start: State, plan_id: int | None) -> dict[str, int | datetime | None]:
    """Return which plan counts: the price at the gateway may run ahead of it until the next period begins."""
    if plan_id is None or plan_id in {start.plan_id, start.next_plan_id}:
        return {}
    return {"plan_id": plan_id, "next_plan_id": None, "next_plan_at": None}


def _grace(start: State, snapshot: Snapshot, now: datetime, policy: Policy) -> datetime | None:
    """Return when the grace ends; it is counted once for each renewal that fails."""
    if snapshot.status is not SubscriptionStatus.PAST_DUE:
        return None
    if start.grace_until is not None:
        return start.grace_until
    return (snapshot.access_until or now) + policy.grace


def _ended(start: State, snapshot: Snapshot, now: datetime, policy: Policy) -> dict[str, datetime | str | None]:
    """Return when and why core cut the access: the last payment, which the present period rests on, was taken back."""
    if start.cancel_now_at is not None and snapshot.status is SubscriptionStatus.CANCELED:
        return {"ended_at": start.cancel_now_at, "ended_reason": "canceled"}
    paid = [one for one in snapshot.payments if one.status == "completed"]
    last = max(paid, key=lambda one: (one.at, one.transaction_id), default=None)
    reason = ""
    if last is not None and policy.dispute_ends_access and last.disputed:
        reason = "disputed"
    elif last is not None and policy.refund_ends_access and last.refunded >= last.price.amount:
        reason = "refunded"
    return {"ended_at": (start.ended_at or now) if reason else None, "ended_reason": reason}


def _compare(known: KnownPayment | None, payment: PaymentFact) -> PaymentChange | None:
    """Return what is new about a payment, or nothing."""
    kept = payment
    if known is not None:
        kept = msgspec.structs.replace(
            payment,
            status=payment.status if known.status == "pending" else known.status,
            refunded=max(payment.refunded, known.refunded),
        )
    change = PaymentChange(
        payment=kept,
        completed=kept.status == "completed" and (known is None or known.status != "completed"),
        failed=kept.status == "failed" and (known is None or known.status != "failed"),
        refunded=kept.refunded > (Decimal(0) if known is None else known.refunded),
        disputed=kept.disputed and (known is None or not known.disputed),
    )
    won_back = known is not None and known.disputed and not kept.disputed
    is_new = known is None or change.completed or change.failed or change.refunded or change.disputed or won_back
    return change if is_new else None


def _known(payment: PaymentFact) -> KnownPayment:
    return KnownPayment(status=payment.status, refunded=payment.refunded, disputed=payment.disputed)
