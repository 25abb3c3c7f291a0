"""Subscriptions as rows: a snapshot finds its own, is applied under a lock, and its effects are written with it.

The locks are always taken in the order user, checkout, subscription.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import asyncpg
import msgspec
import structlog

from core import database
from core.notifications.alarms import clear_alarms, raise_alarm
from core.payments import effects
from core.payments.ending import stop_charging
from core.payments.lifecycle import ALIVE, State, apply, elapse
from core.payments.policies import present_policy
from core.payments.recording import Row, UnmatchedError, known_payments, record_payments
from core.payments.references import prefix
from core.payments.tables import CheckoutStatus
from core.plugin import Money, References, Snapshot, SubscriptionStatus

_COLUMNS = (
    "id, user_id, checkout_id, gateway, gateway_id, plan_id, next_plan_id, next_plan_at, status, raw_status,"
    " auto_renew, access_until, refunded_amount, amount, currency, interval, action_url, grace_until, ended_at,"
    " ended_reason, cancel_now_at, closed_at, duplicate, fetched_at"
)
_STATE = (
    "status",
    "raw_status",
    "auto_renew",
    "access_until",
    "refunded_amount",
    "plan_id",
    "next_plan_id",
    "next_plan_at",
    "amount",
    "currency",
    "action_url",
    "grace_until",
    "ended_at",
    "ended_reason",
    "cancel_now_at",
    "closed_at",
)
_INSERT = f"""
INSERT INTO subscriptions (user_id, checkout_id, gateway, gateway_id, interval, duplicate, fetched_at,
    {", ".join(_STATE)}, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, {", ".join(f"${place}" for place in range(8, 8 + len(_STATE)))}, now(), now())
RETURNING id
"""
_UPDATE = f"""
UPDATE subscriptions SET fetched_at = $2, duplicate = $3,
    {", ".join(f"{name} = ${place}" for place, name in enumerate(_STATE, start=4))}, updated_at = now()
WHERE id = $1
"""
NEW = 0
"""The id of a row that is not stored yet."""

_log = structlog.get_logger(__name__)


async def apply_snapshot(gateway: str, snapshot: Snapshot, as_of: datetime) -> Row | None:
    """Bring what a gateway said at ``as_of``, or a little later, into the database; needs a unit of work.

    Returns the subscription's row, ``None`` for one that is not ours or that there is none of yet.

    Raises:
        UnmatchedError: It is one of ours, and its checkout is not known.
    """
    user_id = await _owner(gateway, snapshot)
    if user_id is None:
        return None
    await database.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user_id)
    checkout = await _lock_checkout(gateway, snapshot)
    await _follow_checkout(checkout, snapshot)
    if not snapshot.gateway_id:
        return None
    before = await lock(gateway, snapshot.gateway_id)
    if before is not None and before.fetched_at > as_of:
        return before  # something newer is applied already
    if before is None:
        if checkout is None:
            raise UnmatchedError(f"The checkout of {snapshot.reference} is not known.")
        before = _sold(checkout, snapshot, as_of)
    return await _apply(before, snapshot, as_of)


async def _apply(before: Row, snapshot: Snapshot, as_of: datetime) -> Row:
    policy = await present_policy()
    is_new = before.id == NEW
    applied = apply(
        None if is_new else before.state,
        snapshot,
        await known_payments(before, snapshot),
        offer=before.state,
        plan_id=await _plan_of(before.gateway, snapshot),
        now=as_of,
        policy=policy,
    )
    duplicate = before.duplicate
    if not duplicate and applied.after.status in ALIVE:
        duplicate = await has_living(before.user_id, besides=before.id)
    row = await _store(msgspec.structs.replace(before, state=applied.after, fetched_at=as_of, duplicate=duplicate))
    if not is_new:
        await clear_alarms("subscription", [row.id], ["subscription_missing"])
        if not applied.strange:
            await clear_alarms("subscription", [row.id], ["subscription_strange"])
    payment_ids = await record_payments(row, applied.payments)
    await effects.follow(row, None if is_new else before, applied, payment_ids, policy=policy, now=as_of)
    if row.state.status in ALIVE and await _is_erased(row.user_id):
        # Its checkout was paid in the moment before it was closed.
        await stop_charging(row.user_id)
    if snapshot.customer_id:
        await remember_customer(row.gateway, row.user_id, snapshot.customer_id)
    return row


async def has_living(user_id: int, *, besides: int = NEW) -> bool:
    """Say whether a user has a subscription that gives access or may again, ``besides`` one of them."""
    found = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM subscriptions WHERE user_id = $1 AND id <> $2 AND NOT duplicate"
        " AND status NOT IN ('pending', 'canceled'))",
        user_id,
        besides,
    )
    return found is True


async def let_time_pass(subscription_id: int, now: datetime) -> None:
    """Do what is due by the time alone: the end of a grace or of access, a planned plan; in a unit of work."""
    user_id = await database.fetch_value("SELECT user_id FROM subscriptions WHERE id = $1", subscription_id)
    await database.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user_id)
    before = await lock_by_id(subscription_id)
    if before is None:
        return
    policy = await present_policy()
    applied = elapse(before.state, before.state, now=now, policy=policy)
    if applied.after == before.state and not applied.closed:
        return
    row = msgspec.structs.replace(before, state=applied.after)
    await save(row)
    await effects.follow(row, before, applied, {}, policy=policy, now=now)


async def due_by_time(now: datetime, limit: int) -> list[int]:
    """Return subscriptions of which ``let_time_pass`` would make something else."""
    rows = await database.fetch(
        "SELECT id FROM subscriptions WHERE closed_at IS NULL AND (next_plan_at <= $1"
        " OR (status = 'past_due' AND grace_until <= $1)"
        " OR (status = 'canceled' AND coalesce(least(access_until, ended_at), '-infinity') <= $1))"
        " ORDER BY id LIMIT $2",
        now,
        limit,
    )
    return [row["id"] for row in rows]


async def note_missing(gateway: str, refs: References) -> None:
    """Note that a gateway does not know what it was asked for; for one that should be alive somebody must look."""
    row = await database.fetch_row(
        "UPDATE subscriptions SET fetched_at = now() WHERE gateway = $1 AND gateway_id = $2 AND closed_at IS NULL"
        " RETURNING id",
        gateway,
        refs.gateway_id,
    )
    if row is not None:
        await raise_alarm("subscription_missing", "subscription", row["id"], gateway=gateway)


async def lock(gateway: str, gateway_id: str) -> Row | None:
    """Return a subscription by the gateway's id, locked until the unit of work ends."""
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM subscriptions WHERE gateway = $1 AND gateway_id = $2 FOR UPDATE", gateway, gateway_id
    )
    return None if row is None else read(row)


async def lock_by_id(subscription_id: int) -> Row | None:
    """Return a subscription, locked until the unit of work ends."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM subscriptions WHERE id = $1 FOR UPDATE", subscription_id)
    return None if row is None else read(row)


async def find(subscription_id: int) -> Row | None:
    """Return anybody's subscription."""
    row = await database.fetch_row(f"SELECT {_COLUMNS} FROM subscriptions WHERE id = $1", subscription_id)
    return None if row is None else read(row)


async def present_subscription(user_id: int, *, locked: bool = False) -> Row | None:
    """Return the user's subscription: the one that is alive, else the latest that gave anything."""
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM subscriptions WHERE user_id = $1 AND NOT duplicate AND status <> 'pending'"
        " ORDER BY status = 'canceled', id DESC LIMIT 1"
        f"{' FOR UPDATE' if locked else ''}",
        user_id,
    )
    return None if row is None else read(row)


async def save(row: Row) -> None:
    """Write a row's state."""
    await database.execute(_UPDATE, row.id, row.fetched_at, row.duplicate, *_values(row.state))


async def remember_customer(gateway: str, user_id: int, customer_id: str) -> None:
    """Keep what a gateway calls a user; the latest counts."""
    await database.execute(
        "INSERT INTO gateway_customers (user_id, gateway, customer_id, created_at)"
        " SELECT id, $2, $3, now() FROM users WHERE id = $1 AND deleted_at IS NULL"
        " ON CONFLICT (gateway, user_id) DO UPDATE SET customer_id = excluded.customer_id"
        " WHERE gateway_customers.customer_id <> excluded.customer_id",
        user_id,
        gateway,
        customer_id[:255],
    )


async def _owner(gateway: str, snapshot: Snapshot) -> int | None:
    """Return whose a snapshot is, by our reference in it, else by its id; ``None`` where it is none of ours."""
    owner = await database.fetch_value(
        "SELECT user_id FROM checkouts WHERE gateway = $1 AND reference = $2", gateway, snapshot.reference
    )
    if owner is None and snapshot.gateway_id:
        owner = await database.fetch_value(
            "SELECT user_id FROM subscriptions WHERE gateway = $1 AND gateway_id = $2", gateway, snapshot.gateway_id
        )
    if isinstance(owner, int):
        return owner
    if snapshot.reference.startswith(await prefix()):
        raise UnmatchedError(
            f"{gateway} knows the checkout {snapshot.reference}, which is not in the database: was a backup restored?"
        )
    _log.info("foreign_subscription", gateway=gateway, gateway_id=snapshot.gateway_id)
    return None


async def _lock_checkout(gateway: str, snapshot: Snapshot) -> asyncpg.Record | None:
    return await database.fetch_row(
        "SELECT * FROM checkouts WHERE gateway = $1 AND reference = $2 FOR UPDATE", gateway, snapshot.reference
    )


async def _follow_checkout(checkout: asyncpg.Record | None, snapshot: Snapshot) -> None:
    """Let the checkout be what its subscription says it is."""
    if checkout is None or checkout["status"] == CheckoutStatus.COMPLETED:
        return
    status = {
        SubscriptionStatus.PENDING: CheckoutStatus.OPEN,
        SubscriptionStatus.CANCELED: CheckoutStatus.EXPIRED,
        SubscriptionStatus.UNKNOWN: CheckoutStatus(checkout["status"]),
    }.get(snapshot.status, CheckoutStatus.COMPLETED)
    if any(one.status == "completed" for one in snapshot.payments):
        status = CheckoutStatus.COMPLETED
    if status is CheckoutStatus.OPEN and checkout["status"] in {CheckoutStatus.EXPIRED, CheckoutStatus.FAILED}:
        return  # closed here, and not yet there: only a payment opens it again
    await database.execute(
        "UPDATE checkouts SET status = $2::text, gateway_id = coalesce(nullif($3::text, ''), gateway_id),"
        " step = CASE WHEN $2::text IN ('created', 'open') THEN step ELSE '' END, updated_at = now() WHERE id = $1",
        checkout["id"],
        status,
        snapshot.checkout_id,
    )


async def _is_erased(user_id: int) -> bool:
    found = await database.fetch_value("SELECT deleted_at IS NOT NULL FROM users WHERE id = $1", user_id)
    return found is True


async def _plan_of(gateway: str, snapshot: Snapshot) -> int | None:
    """Return the plan that the gateway's price is published for, ``None`` where it publishes none."""
    if not snapshot.plan_reference:
        return None
    found = await database.fetch_value(
        "SELECT plan_id FROM gateway_plans WHERE gateway = $1 AND reference = $2", gateway, snapshot.plan_reference
    )
    return found if isinstance(found, int) else None


def _sold(checkout: asyncpg.Record, snapshot: Snapshot, as_of: datetime) -> Row:
    """Return the row before anything happened: what the checkout sold."""
    state = State(
        status=SubscriptionStatus.PENDING,
        raw_status="",
        auto_renew=False,
        access_until=None,
        refunded_amount=Decimal(0),
        plan_id=checkout["plan_id"],
        next_plan_id=None,
        next_plan_at=None,
        price=Money(checkout["amount"], checkout["currency"]),
        action_url="",
        grace_until=None,
        ended_at=None,
        ended_reason="",
        cancel_now_at=None,
        closed_at=None,
    )
    return Row(
        id=NEW,
        user_id=checkout["user_id"],
        checkout_id=checkout["id"],
        gateway=checkout["gateway"],
        gateway_id=snapshot.gateway_id,
        interval=checkout["interval"],
        duplicate=False,
        fetched_at=as_of,
        state=state,
    )


async def _store(row: Row) -> Row:
    if row.id != NEW:
        await save(row)
        return row
    identifier = await database.fetch_value(
        _INSERT,
        row.user_id,
        row.checkout_id,
        row.gateway,
        row.gateway_id,
        row.interval,
        row.duplicate,
        row.fetched_at,
        *_values(row.state),
    )
    return msgspec.structs.replace(row, id=int(str(identifier)))


def read(row: Mapping[str, object]) -> Row:
    """Read a row of ``subscriptions``."""
    fields = dict(row)
    price = Money(Decimal(str(fields["amount"])), str(fields["currency"]))
    state = msgspec.convert({**fields, "price": price}, State, from_attributes=True)
    return msgspec.convert({**fields, "state": state}, Row, from_attributes=True)


def _values(state: State) -> tuple[object, ...]:
    fields = {**msgspec.structs.asdict(state), "amount": state.price.amount, "currency": state.price.currency}
    return tuple(fields[name] for name in _STATE)
