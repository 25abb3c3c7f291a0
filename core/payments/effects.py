"""What follows from a subscription's new state, written with it: access, plan, notifications, audit, alarms.

Every notification has a key made of what it is about, so that nothing is told twice however often it is seen.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from core import database, queue
from core.announcing import announce
from core.audit import services as audit
from core.events.catalogue import AccessEnds, PaymentFailed, PaymentRefunded, PaymentSucceeded, PlanChanged
from core.notifications.alarms import raise_alarm
from core.payments import actions
from core.payments.lifecycle import ALIVE, Applied, PaymentChange, Policy, State, access_end
from core.payments.recording import Row
from core.payments.tables import ActionKind
from core.plans.services import default_plan_id
from core.plugin import SubscriptionStatus

_ACCESS = """
UPDATE users SET plan_id = $2, due_access_at = $3, updated_at = now()
WHERE id = $1 AND (plan_id IS DISTINCT FROM $2 OR due_access_at IS DISTINCT FROM $3)
RETURNING id
"""


async def follow(
    row: Row,
    before: Row | None,
    applied: Applied,
    payment_ids: Mapping[str, int],
    *,
    policy: Policy,
    now: datetime,
) -> None:
    """Write every effect of ``applied``, in the unit of work that stores it."""
    for change in applied.payments:
        await _tell_payment(row, change, payment_ids[change.payment.transaction_id])
    if applied.strange:
        await raise_alarm(
            "subscription_strange", "subscription", row.id, gateway=row.gateway, status=row.state.raw_status
        )
    if row.duplicate:
        await _give_back(row, before, applied, payment_ids)
        return
    status_before = None if before is None else before.state.status
    if status_before != row.state.status:
        await _log_status(row, status_before)
    if not await _counts(row):
        return
    end = access_end(row.state, policy.grace)
    if applied.access_changed and (before is not None or (end is not None and end > now)):
        await _grant(row, end)
    if applied.plan_changed and before is not None:
        await _tell_plan(row, before.state)
    if applied.ends and end is not None:
        await announce(
            row.user_id,
            AccessEnds(plan_id=row.state.plan_id, access_until=end, reason=row.state.status),
            f"subscription:{row.id}:ends:{end.isoformat()}",
        )
    if applied.closed:
        await _fall_back(row)


async def _counts(row: Row) -> bool:
    """Say whether the user's access rests on this subscription: the one that is alive, else the latest."""
    if row.state.status in ALIVE:
        return True
    return not await database.fetch_value(
        "SELECT EXISTS (SELECT FROM subscriptions WHERE user_id = $1 AND id <> $2 AND NOT duplicate"
        " AND status <> 'pending' AND (id > $2 OR status <> 'canceled'))",
        row.user_id,
        row.id,
    )


async def _grant(row: Row, end: datetime | None) -> None:
    """Give the user the plan that is paid for, until it is."""
    # Without any paid time the access is over: an empty column would mean that it never ends.
    until = end or row.state.ended_at or row.fetched_at
    before = await database.fetch_row("SELECT plan_id, due_access_at FROM users WHERE id = $1", row.user_id)
    changed = await database.fetch_value(_ACCESS, row.user_id, row.state.plan_id, until)
    if changed is not None and before is not None:
        await audit.record(
            "user.access_changed",
            user_id=None,
            entity_id=row.user_id,
            facts={"subscription_id": row.id},
            changes={
                "plan_id": [before["plan_id"], row.state.plan_id],
                "due_access_at": [_text(before["due_access_at"]), _text(until)],
            },
            account_id=row.user_id,
        )


async def _fall_back(row: Row) -> None:
    """Put a user whose subscription is over on the plan of new users, where that costs nothing.

    Where it does, plan and data stay as they are, to be read and not to grow.
    """
    plan_id = await default_plan_id()
    free = await database.fetch_value("SELECT id FROM plans WHERE id = $1 AND value = 0", plan_id)
    if free is None:
        return
    moved = await database.execute(
        "UPDATE users SET plan_id = $2, due_access_at = NULL, updated_at = now() WHERE id = $1 AND plan_id = $3",
        row.user_id,
        free,
        row.state.plan_id,
    )
    if moved:
        await announce(
            row.user_id,
            PlanChanged(plan_before=row.state.plan_id, plan_after=int(str(free)), reason="subscription_over"),
            f"subscription:{row.id}:over",
        )
        await audit.record(
            "user.access_changed",
            user_id=None,
            entity_id=row.user_id,
            facts={"subscription_id": row.id, "reason": "subscription_over"},
            changes={"plan_id": [row.state.plan_id, free]},
            account_id=row.user_id,
        )


async def _tell_payment(row: Row, change: PaymentChange, payment_id: int) -> None:
    payment = change.payment
    key = f"payment:{payment_id}"
    told = {
        "payment_id": payment_id,
        "plan_id": row.state.plan_id,
        "gateway": row.gateway,
        "amount": str(payment.price.amount),
        "currency": payment.price.currency,
    }
    if change.completed:
        made = msgspec.convert({**told, "receipt_url": payment.receipt_url}, PaymentSucceeded)
        await announce(row.user_id, made, f"{key}:completed")
        await _log_payment("payment.completed", row, payment_id, told)
    if change.failed:
        more = {
            "attempt": payment.attempt,
            "failure_code": payment.failure_code,
            "failure": payment.failure,
            "next_attempt_at": payment.next_attempt_at,
            "action_url": payment.action_url or row.state.action_url,
        }
        await announce(row.user_id, msgspec.convert({**told, **more}, PaymentFailed), f"{key}:failed")
        await _log_payment("payment.failed", row, payment_id, {**told, "failure_code": payment.failure_code})
    if change.refunded:
        refunded = {**told, "refunded_amount": str(payment.refunded)}
        back = msgspec.convert(refunded, PaymentRefunded)
        await announce(row.user_id, back, f"{key}:refunded:{payment.refunded}")
        await _log_payment("payment.refunded", row, payment_id, refunded)
    if change.disputed:
        await raise_alarm("payment_disputed", "payment", payment_id, gateway=row.gateway)
        await _log_payment("payment.disputed", row, payment_id, told)


async def _tell_plan(row: Row, before: State) -> None:
    await announce(
        row.user_id,
        PlanChanged(plan_before=before.plan_id, plan_after=row.state.plan_id, reason="subscription_changed"),
        f"subscription:{row.id}:plan:{row.state.plan_id}:{row.fetched_at.isoformat()}",
    )


async def _give_back(row: Row, before: Row | None, applied: Applied, payment_ids: Mapping[str, int]) -> None:
    """End a second subscription of the same user and pay back what it took; an administrator is told."""
    await raise_alarm("subscription_duplicate", "subscription", row.id, gateway=row.gateway)
    if (before is None or not before.duplicate) and row.state.status is not SubscriptionStatus.CANCELED:
        await actions.ask(
            ActionKind.CANCEL,
            user_id=row.user_id,
            key=f"duplicate:{row.id}:cancel",
            subscription_id=row.id,
            detail={"at_period_end": False},
        )
    for change in applied.payments:
        if change.completed:
            payment_id = payment_ids[change.payment.transaction_id]
            await actions.ask(
                ActionKind.REFUND,
                user_id=row.user_id,
                key=f"duplicate:{payment_id}:refund",
                subscription_id=row.id,
                payment_id=payment_id,
                detail={"amount": str(change.payment.price.amount - change.payment.refunded)},
            )
    queue.enqueue(actions.ACTOR, queue=queue.EVENTS)


async def _log_payment(action: str, row: Row, payment_id: int, facts: Mapping[str, object]) -> None:
    await audit.record(
        action, user_id=None, entity_id=payment_id, facts={**facts, "subscription_id": row.id}, account_id=row.user_id
    )


async def _log_status(row: Row, before: SubscriptionStatus | None) -> None:
    await audit.record(
        "subscription.changed",
        user_id=None,
        entity_id=row.id,
        facts={"gateway": row.gateway, "plan_id": row.state.plan_id},
        changes={"status": [before, row.state.status]},
        account_id=row.user_id,
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
