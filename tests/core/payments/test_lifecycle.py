"""The pure function alone; with gateways and a database see the tests beside it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.payments.lifecycle import Applied, KnownPayment, Policy, State, access_end, apply, elapse
from core.plugin import Money, PaymentFact, Snapshot, SubscriptionStatus

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MONTH = timedelta(days=30)
GRACE = timedelta(days=7)
POLICY = Policy(grace=GRACE, refund_ends_access=True, dispute_ends_access=True)
PRICE = Money(Decimal("49.90"), "BRL")
OFFER = State(
    status=SubscriptionStatus.PENDING,
    raw_status="",
    auto_renew=False,
    access_until=None,
    refunded_amount=Decimal(0),
    plan_id=1,
    next_plan_id=None,
    next_plan_at=None,
    price=PRICE,
    action_url="",
    grace_until=None,
    ended_at=None,
    ended_reason="",
    cancel_now_at=None,
    closed_at=None,
)


def paid(name: str = "ch_1", **more: Any) -> PaymentFact:
    return PaymentFact(**{"transaction_id": name, "status": "completed", "price": PRICE, "at": NOW, **more})


def said(status: SubscriptionStatus = SubscriptionStatus.ACTIVE, **more: Any) -> Snapshot:
    fields = {
        "gateway_id": "sub_1",
        "reference": "recado-1",
        "customer_id": "cus_1",
        "status": status,
        "auto_renew": True,
        "access_until": NOW + MONTH,
        "payments": (paid(),),
    }
    return Snapshot(**{**fields, **more})


def known(*payments: PaymentFact) -> Mapping[str, KnownPayment]:
    return {
        one.transaction_id: KnownPayment(status=one.status, refunded=one.refunded, disputed=one.disputed)
        for one in payments
    }


def see(
    before: State | None,
    snapshot: Snapshot,
    *,
    now: datetime = NOW,
    plan_id: int | None = None,
    policy: Policy = POLICY,
    seen: Mapping[str, KnownPayment] | None = None,
) -> Applied:
    return apply(before, snapshot, seen or {}, offer=OFFER, plan_id=plan_id, now=now, policy=policy)


def active(**more: Any) -> State:
    return msgspec.structs.replace(see(None, said()).after, **more)


def test_the_first_payment_gives_access() -> None:
    applied = see(None, said())

    assert (applied.after.status, applied.after.auto_renew) == (SubscriptionStatus.ACTIVE, True)
    assert access_end(applied.after, GRACE) == NOW + MONTH + GRACE
    assert applied.access_changed
    assert [(one.payment.transaction_id, one.completed) for one in applied.payments] == [("ch_1", True)]


def test_the_same_snapshot_again_says_nothing_new() -> None:
    first = see(None, said())

    again = see(first.after, said(), seen=known(paid()))

    assert again.after == first.after
    assert (again.payments, again.access_changed, again.ends, again.closed) == ((), False, False, False)


def test_authorised_is_not_paid() -> None:
    applied = see(None, said(access_until=None, payments=()))

    assert access_end(applied.after, GRACE) is None
    assert not applied.access_changed


def test_a_declined_first_payment_gives_nothing() -> None:
    failed = paid(status="failed", failure_code="card_declined")

    applied = see(None, said(SubscriptionStatus.PENDING, access_until=None, payments=(failed,)))

    assert access_end(applied.after, GRACE) is None
    assert [one.failed for one in applied.payments] == [True]
    assert not applied.access_changed


def test_a_failed_renewal_keeps_access_for_the_grace_counted_once() -> None:
    late = NOW + MONTH + timedelta(hours=2)
    first = see(active(), said(SubscriptionStatus.PAST_DUE), now=late, seen=known(paid()))
    second = see(first.after, said(SubscriptionStatus.PAST_DUE), now=late + timedelta(days=3), seen=known(paid()))

    assert first.after.grace_until == second.after.grace_until == NOW + MONTH + GRACE
    assert access_end(second.after, GRACE) == NOW + MONTH + GRACE


def test_after_the_grace_it_is_suspended_by_the_time_alone() -> None:
    overdue = see(active(), said(SubscriptionStatus.PAST_DUE), now=NOW + MONTH, seen=known(paid())).after

    applied = elapse(overdue, overdue, now=NOW + MONTH + GRACE, policy=POLICY)

    assert applied.after.status is SubscriptionStatus.SUSPENDED
    assert access_end(applied.after, GRACE) == NOW + MONTH


def test_a_late_payment_brings_it_back() -> None:
    overdue = see(active(), said(SubscriptionStatus.PAST_DUE), now=NOW + MONTH, seen=known(paid())).after
    suspended = elapse(overdue, overdue, now=NOW + MONTH + GRACE, policy=POLICY).after

    after = see(
        suspended, said(access_until=NOW + 2 * MONTH, payments=(paid(), paid("ch_2"))), now=NOW + MONTH + GRACE
    ).after

    assert (after.status, after.grace_until) == (SubscriptionStatus.ACTIVE, None)
    assert access_end(after, GRACE) == NOW + 2 * MONTH + GRACE


@pytest.mark.parametrize("status", [SubscriptionStatus.CANCELED, SubscriptionStatus.ACTIVE])
def test_canceled_for_the_end_keeps_what_is_paid(status: SubscriptionStatus) -> None:
    applied = see(active(), said(status, auto_renew=False), seen=known(paid()))

    assert access_end(applied.after, GRACE) == NOW + MONTH
    assert applied.ends
    assert not applied.closed


def test_it_is_over_when_what_is_paid_has_run_out() -> None:
    canceled = see(active(), said(SubscriptionStatus.CANCELED, auto_renew=False), seen=known(paid())).after

    applied = elapse(canceled, canceled, now=NOW + MONTH, policy=POLICY)

    assert applied.closed
    assert applied.after.closed_at == NOW + MONTH


def test_an_end_at_once_cuts_access_once_the_gateway_confirms() -> None:
    asked = active(cancel_now_at=NOW + timedelta(days=1))
    waiting = see(asked, said(), seen=known(paid())).after
    done = see(
        waiting, said(SubscriptionStatus.CANCELED, auto_renew=False), now=NOW + timedelta(days=1), seen=known(paid())
    )

    assert access_end(waiting, GRACE) == NOW + MONTH + GRACE
    assert access_end(done.after, GRACE) == NOW + timedelta(days=1)
    assert done.closed


REFUNDS = [
    ("full", {"refunded": Decimal("49.90")}, True),
    ("partial", {"refunded": Decimal("10.00")}, False),
    ("dispute", {"disputed": True}, True),
]


@pytest.mark.parametrize(
    ("payment", "ends"), [(payment, ends) for _, payment, ends in REFUNDS], ids=[x[0] for x in REFUNDS]
)
@pytest.mark.parametrize("policy", [True, False])
def test_what_is_taken_back_ends_access_by_the_policy(*, payment: dict[str, Any], ends: bool, policy: bool) -> None:
    decided = Policy(grace=GRACE, refund_ends_access=policy, dispute_ends_access=policy)

    applied = see(
        active(), said(payments=(paid(**payment),)), now=NOW + timedelta(days=2), policy=decided, seen=known(paid())
    )

    expected = NOW + timedelta(days=2) if ends and policy else NOW + MONTH + GRACE
    assert access_end(applied.after, GRACE) == expected
    assert applied.after.auto_renew, "paying back does not cancel"
    assert applied.after.refunded_amount == payment.get("refunded", 0)


def test_a_dispute_that_is_won_gives_access_back() -> None:
    disputed = see(active(), said(payments=(paid(disputed=True),)), seen=known(paid())).after

    after = see(disputed, said(), seen=known(paid(disputed=True))).after

    assert (after.ended_at, after.ended_reason) == (None, "")


def test_the_next_renewal_gives_access_back_after_a_refund() -> None:
    refunded = see(active(), said(payments=(paid(refunded=Decimal("49.90")),)), seen=known(paid())).after
    renewal = paid("ch_2", at=NOW + MONTH)

    after = see(refunded, said(access_until=NOW + 2 * MONTH, payments=(paid(refunded=Decimal("49.90")), renewal))).after

    assert access_end(after, GRACE) == NOW + 2 * MONTH + GRACE


def test_a_dearer_plan_counts_once_the_gateway_has_it() -> None:
    waiting = see(active(), said(), plan_id=1, seen=known(paid()))
    done = see(waiting.after, said(), plan_id=2, seen=known(paid()))

    assert (waiting.plan_changed, waiting.after.plan_id) == (False, 1)
    assert (done.plan_changed, done.after.plan_id) == (True, 2)


def test_a_cheaper_plan_waits_although_the_gateway_has_its_price() -> None:
    planned = active(plan_id=2, next_plan_id=1, next_plan_at=NOW + MONTH)

    before = see(planned, said(), plan_id=1, seen=known(paid()))
    after = elapse(before.after, before.after, now=NOW + MONTH, policy=POLICY)

    assert before.after.plan_id == 2
    assert (after.after.plan_id, after.after.next_plan_id, after.plan_changed) == (1, None, True)


def test_an_unknown_word_takes_nothing_away() -> None:
    applied = see(active(), said(SubscriptionStatus.UNKNOWN, auto_renew=False, access_until=None), seen=known(paid()))

    assert applied.strange
    assert access_end(applied.after, GRACE) == NOW + MONTH + GRACE


def test_a_payment_that_was_completed_stays_so() -> None:
    applied = see(active(), said(payments=(paid(status="failed"),)), seen=known(paid()))

    assert applied.payments == ()


def test_a_pending_payment_moves_on_once() -> None:
    pending = paid(status="pending")
    first = see(None, said(SubscriptionStatus.PENDING, access_until=None, payments=(pending,)))
    done = see(first.after, said(), seen=known(pending))

    assert [(one.completed, one.failed) for one in first.payments] == [(False, False)]
    assert [one.completed for one in done.payments] == [True]


MONTH_ONE = (
    said(SubscriptionStatus.PENDING, access_until=None, payments=(), auto_renew=False),
    said(SubscriptionStatus.PENDING, access_until=None, payments=(paid("ch_0", status="failed"),)),
    said(payments=(paid("ch_0", status="failed"), paid())),
    said(SubscriptionStatus.PAST_DUE, payments=(paid("ch_0", status="failed"), paid(), paid("ch_2", status="failed"))),
)
"""A first month as a gateway lives it: begun, declined, paid, and a renewal that failed."""


def test_every_order_of_a_first_months_reports_ends_in_the_same_state() -> None:
    """Reports are hints: whichever comes, the present is fetched, and an older answer is not applied after a newer."""
    ends = set()
    for order in permutations(range(len(MONTH_ONE))):
        state: State | None = None
        seen: dict[str, KnownPayment] = {}
        present = -1
        for report in order:
            present = max(report, present)
            applied = see(state, MONTH_ONE[present], seen=seen)
            seen = {**seen, **known(*(one.payment for one in applied.payments))}
            state = applied.after
        ends.add((state, tuple(sorted((name, one.status) for name, one in seen.items()))))

    assert len(ends) == 1


SNAPSHOTS = st.builds(
    lambda status, renew, days, refunded, disputed: said(
        status,
        auto_renew=renew,
        access_until=None if days is None else NOW + timedelta(days=days),
        payments=(paid(refunded=refunded, disputed=disputed),),
    ),
    st.sampled_from(SubscriptionStatus),
    st.booleans(),
    st.none() | st.integers(-40, 40),
    st.sampled_from([Decimal(0), Decimal("10.00"), Decimal("49.90")]),
    st.booleans(),
)


@given(st.lists(SNAPSHOTS, min_size=1, max_size=6))
def test_applying_twice_is_applying_once(snapshots: list[Snapshot]) -> None:
    state: State | None = None
    seen: dict[str, KnownPayment] = {}
    for snapshot in snapshots:
        first = see(state, snapshot, seen=seen)
        seen = {**seen, **known(*(one.payment for one in first.payments))}
        again = see(first.after, snapshot, seen=seen)
        assert again.after == first.after
        assert (again.payments, again.plan_changed, again.access_changed, again.closed) == ((), False, False, False)
        state = first.after


@given(st.lists(SNAPSHOTS, min_size=1, max_size=6))
def test_what_was_paid_back_never_shrinks(snapshots: list[Snapshot]) -> None:
    state: State | None = None
    seen: dict[str, KnownPayment] = {}
    most = Decimal(0)
    for snapshot in snapshots:
        applied = see(state, snapshot, seen=seen)
        seen = {**seen, **known(*(one.payment for one in applied.payments))}
        assert applied.after.refunded_amount >= most
        most = applied.after.refunded_amount
        state = applied.after
