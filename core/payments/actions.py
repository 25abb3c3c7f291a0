"""What is asked of a gateway about a subscription: stored with its idempotency key first, then called, then repeated.

A call whose outcome is not known is repeated under the same key until it is; what became of the subscription is told by
the fetch that follows each of them.
"""

import asyncio
from datetime import datetime
from decimal import Decimal

import asyncpg
import msgspec
import structlog

from core import database, queue
from core.notifications.alarms import clear_alarms, raise_alarm
from core.payments import fetches
from core.payments.tables import ActionKind, ActionStatus
from core.plugin import (
    CheckoutExpiry,
    CheckoutStep,
    ConfigurationError,
    DeclinedError,
    Money,
    PaymentGateway,
    PlanChange,
    ProviderError,
    References,
    RefusedError,
    Resuming,
    RetryableError,
)
from core.plugin.registry import NoSuchProviderError
from core.runtime import providers, runtime

ACTOR = "payments.act"
LEASE_SECONDS = 90
CALL_SECONDS = 60.0
MAXIMUM_ATTEMPTS = 12

_ASK = """
INSERT INTO gateway_actions (user_id, subscription_id, checkout_id, payment_id, kind, detail, idempotency_key, due_at,
    created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8), now(), now())
ON CONFLICT (idempotency_key) DO NOTHING RETURNING id
"""
# `due_at` is the lease too: nobody else takes it up before then.
_CLAIM = """
UPDATE gateway_actions SET due_at = clock_timestamp() + make_interval(secs => $1), attempts = attempts + 1,
    updated_at = now()
WHERE id = (
    SELECT id FROM gateway_actions WHERE status = 'pending' AND due_at <= clock_timestamp()
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
"""
_READ = """
SELECT a.id, a.kind, a.detail, a.idempotency_key, a.attempts, a.user_id, a.subscription_id, a.checkout_id, a.payment_id,
    coalesce(s.gateway, c.gateway) AS gateway, coalesce(s.gateway_id, '') AS gateway_id,
    coalesce(c.gateway_id, k.gateway_id, '') AS checkout_gateway_id,
    coalesce(c.reference, k.reference, '') AS reference, p.transaction_id, p.currency AS payment_currency
FROM gateway_actions a
LEFT JOIN subscriptions s ON s.id = a.subscription_id
LEFT JOIN checkouts c ON c.id = a.checkout_id
LEFT JOIN checkouts k ON k.id = s.checkout_id
LEFT JOIN payments p ON p.id = a.payment_id
WHERE a.id = $1
"""
_log = structlog.get_logger(__name__)


class ChangeDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The ``detail`` of a change of plan."""

    plan_id: int
    plan_name: str
    plan_reference: str
    amount: Decimal
    currency: str
    interval: str
    at_once: bool
    as_of: datetime | None = None
    return_url: str = ""


async def ask(  # noqa: PLR0913 - one for each column
    kind: ActionKind,
    *,
    user_id: int,
    key: str,
    subscription_id: int | None = None,
    checkout_id: int | None = None,
    payment_id: int | None = None,
    detail: object = msgspec.UNSET,
    held_seconds: float = 0.0,
) -> int | None:
    """Store what is to be asked, in the present unit of work; return its id, ``None`` where ``key`` was asked before.

    Whoever wants to call ``perform`` at once holds it for some seconds, so that no worker does it beside.
    """
    found = await database.fetch_value(
        _ASK,
        user_id,
        subscription_id,
        checkout_id,
        payment_id,
        kind,
        database.encode_json({} if detail is msgspec.UNSET else detail),
        key[:64],
        held_seconds,
    )
    return found if isinstance(found, int) else None


async def perform(action_id: int) -> CheckoutStep | None:
    """Call the gateway for an action that is stored and held, and keep what came of it.

    Raises:
        DeclinedError: The payer's means of payment was refused; it is over.
        RefusedError: The gateway will never do it; it is over.
        RetryableError: Whether it was done is not known: it is repeated in the background.
        ConfigurationError: An administrator has to look; it is repeated in the background.
    """
    row = await database.fetch_row(_READ, action_id)
    assert row is not None  # noqa: S101 - stored by the caller
    try:
        async with asyncio.timeout(CALL_SECONDS):
            step = await _call(providers().gateway(row["gateway"]), row)
    except (DeclinedError, RefusedError) as error:
        await _finish(row, ActionStatus.FAILED, error.provider_code or error.code)
        raise
    except (ProviderError, NoSuchProviderError, TimeoutError) as error:
        await _later(row, error)
        if isinstance(error, ConfigurationError):
            raise
        raise RetryableError(f"{row['gateway']} gave no answer: it is asked again.") from None
    await _finish(row, ActionStatus.DONE, "")
    return step


async def work() -> None:
    """Do every action that is due."""
    while not runtime().stopping.is_set():
        action_id = await database.fetch_value(_CLAIM, LEASE_SECONDS)
        if not isinstance(action_id, int):
            return
        try:
            await perform(action_id)
        except ProviderError as error:
            _log.warning("gateway_action_failed", action_id=action_id, code=error.code)
        except Exception:  # noqa: BLE001 - a plugin may raise anything; its lease ends by itself
            _log.exception("gateway_action_failed", action_id=action_id)


async def sweep() -> None:
    """Wake a worker for actions that are due."""
    if await database.fetch_value(
        "SELECT EXISTS (SELECT FROM gateway_actions WHERE status = 'pending' AND due_at <= now())"
    ):
        await queue.send(ACTOR, queue=queue.EVENTS)


async def _call(gateway: PaymentGateway, row: asyncpg.Record) -> CheckoutStep | None:
    refs = References(gateway_id=row["gateway_id"], checkout_id=row["checkout_gateway_id"], reference=row["reference"])
    key = row["idempotency_key"]
    detail = msgspec.json.decode(row["detail"])
    match ActionKind(row["kind"]):
        case ActionKind.CANCEL:
            await gateway.cancel(refs, at_period_end=detail["at_period_end"], idempotency_key=key)
        case ActionKind.RESUME:
            if not isinstance(gateway, Resuming):
                raise RefusedError("This gateway cannot resume a subscription.")
            await gateway.resume(refs, idempotency_key=key)
        case ActionKind.REFUND:
            price = Money(Decimal(detail["amount"]), row["payment_currency"])
            await gateway.refund(row["transaction_id"], price, idempotency_key=key)
        case ActionKind.EXPIRE_CHECKOUT:
            if isinstance(gateway, CheckoutExpiry):
                await gateway.expire(refs, idempotency_key=key)
        case ActionKind.CHANGE_PLAN:
            return await gateway.change_plan(refs, change_of(msgspec.convert(detail, ChangeDetail), key))
    return None


def change_of(detail: ChangeDetail, key: str) -> PlanChange:
    """Return a change of plan as the gateways take it."""
    return PlanChange(
        idempotency_key=key,
        plan_id=detail.plan_id,
        plan_name=detail.plan_name,
        plan_reference=detail.plan_reference,
        price=Money(detail.amount, detail.currency),
        interval="year" if detail.interval == "year" else "month",
        at_once=detail.at_once,
        as_of=detail.as_of,
        return_url=detail.return_url,
    )


async def _finish(row: asyncpg.Record, status: ActionStatus, error: str) -> None:
    async with database.unit_of_work():
        await database.execute(
            "UPDATE gateway_actions SET status = $2, error = $3, updated_at = now()"
            " WHERE id = $1 AND status = 'pending'",
            row["id"],
            status,
            error[:120],
        )
        if status is ActionStatus.DONE:
            await clear_alarms("gateway_action", [row["id"]], ["gateway_action_failed"])
        if row["kind"] == ActionKind.CHANGE_PLAN:
            await _settle_plan(row, status)
        await _look(row)


async def _settle_plan(row: asyncpg.Record, status: ActionStatus) -> None:
    """Drop a plan that was to follow where the change was refused, or where it went back to the present plan."""
    plan_id = msgspec.json.decode(row["detail"], type=ChangeDetail).plan_id
    await database.execute(
        "UPDATE subscriptions SET next_plan_id = NULL, next_plan_at = NULL, updated_at = now() WHERE id = $1"
        " AND CASE WHEN $3 THEN plan_id = $2 ELSE next_plan_id = $2 END",
        row["subscription_id"],
        plan_id,
        status is ActionStatus.DONE,
    )


async def _later(row: asyncpg.Record, error: Exception) -> None:
    """Repeat it after a pause that doubles; give up in the end, with an alarm."""
    given_up = row["attempts"] >= MAXIMUM_ATTEMPTS
    async with database.unit_of_work():
        await database.execute(
            "UPDATE gateway_actions SET due_at = now() + make_interval(secs => least(5 * 2 ^ attempts, 21600)),"
            " status = CASE WHEN $2 THEN 'failed' ELSE status END, error = $3, updated_at = now()"
            " WHERE id = $1 AND status = 'pending'",
            row["id"],
            given_up,
            getattr(error, "code", "no_answer")[:120],
        )
        if given_up or isinstance(error, ConfigurationError):
            await raise_alarm(
                "gateway_action_failed",
                "gateway_action",
                row["id"],
                gateway=row["gateway"],
                asked=row["kind"],
                concerns=row["transaction_id"] or row["gateway_id"] or row["checkout_gateway_id"] or row["reference"],
                user=str(row["user_id"]),
            )
        await _look(row)


async def _look(row: asyncpg.Record) -> None:
    """Have the subscription fetched: it alone tells what is true now."""
    refs = References(gateway_id=row["gateway_id"], reference=row["reference"])
    if not refs.gateway_id:
        refs = References(checkout_id=row["checkout_gateway_id"], reference=row["reference"])
    await fetches.want(row["gateway"], refs)
