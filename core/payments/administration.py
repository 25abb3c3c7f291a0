"""What administrators see and do: every subscription, refunds, and what was asked of the gateways in vain."""

import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.errors import ConflictError, InvalidInputError, NotFoundError, PaymentDeclinedError, ProviderFailedError
from core.listing import Listing
from core.payments import actions, changing, fetches, fetching
from core.payments.checkouts import gateway_of
from core.payments.queries import get_payment
from core.payments.recording import Row
from core.payments.schemas import (
    GatewayFetchRead,
    PaymentAdministrationRead,
    RefundWanted,
    SubscriptionAdministrationRead,
    SubscriptionRead,
)
from core.payments.subscriptions import find
from core.payments.tables import ActionKind
from core.plugin import DeclinedError, ProviderError, References, RetryableError
from core.texts import text

_SUBSCRIPTION = (
    "s.id, s.user_id, u.email AS user_email, s.gateway, s.gateway_id, s.plan_id, s.next_plan_id, s.next_plan_at,"
    " s.status, s.raw_status, s.auto_renew, s.access_until, s.grace_until, s.refunded_amount, s.amount, s.currency,"
    " s.interval, s.action_url, s.ended_at, s.ended_reason, s.duplicate, s.fetched_at, s.created_at, s.updated_at,"
    " ARRAY(SELECT a.kind FROM gateway_actions a WHERE a.subscription_id = s.id AND a.status = 'pending' ORDER BY a.id)"
    " AS pending"
)


def _read_subscription(row: Mapping[str, Any]) -> SubscriptionAdministrationRead:
    return msgspec.convert(dict(row), SubscriptionAdministrationRead)


def _read_fetch(row: Mapping[str, Any]) -> GatewayFetchRead:
    return msgspec.convert(dict(row), GatewayFetchRead)


SUBSCRIPTIONS = Listing(
    kind=SubscriptionAdministrationRead,
    read=_read_subscription,
    columns=_SUBSCRIPTION,
    source="subscriptions s JOIN users u ON u.id = s.user_id",
    conditions={
        "user_id": "s.user_id = {}",
        "gateway": "s.gateway = {}",
        "status": "s.status = {}",
        "plan_id": "s.plan_id = {}",
        "since": "s.created_at >= {}",
        "until": "s.created_at < {}",
        "search": "strpos(lower(s.gateway_id || ' ' || u.email), lower({})) > 0",
    },
    sorts={
        "id": "s.id",
        "created_at": "s.created_at",
        "access_until": "s.access_until",
        "amount": "s.amount",
        "status": "s.status",
        "gateway": "s.gateway",
    },
    key="s.id",
)
"""Everybody's."""
FETCHES = Listing(
    kind=GatewayFetchRead,
    read=_read_fetch,
    columns="id, gateway, subject, attempts, due_at, error, failed_at, created_at",
    source="gateway_fetches",
    conditions={"gateway": "gateway = {}", "failed": "(failed_at IS NOT NULL) = {}"},
    sorts={"id": "id", "due_at": "due_at", "created_at": "created_at"},
)
"""What waits to be fetched, or was given up."""


async def get_subscription(subscription_id: int) -> SubscriptionAdministrationRead:
    """Return anybody's subscription, or raise ``NotFoundError``."""
    row = await database.fetch_row(
        f"SELECT {_SUBSCRIPTION} FROM {SUBSCRIPTIONS.source} WHERE s.id = $1", subscription_id
    )
    if row is None:
        raise NotFoundError("subscription", subscription_id)
    return _read_subscription(row)


async def fetch_subscription(actor_id: int, subscription_id: int) -> SubscriptionAdministrationRead:
    """Ask the gateway about a subscription now, and return what it is then."""
    row = await _find(subscription_id)
    refs = References(gateway_id=row.gateway_id)
    async with database.unit_of_work():
        await fetches.want(row.gateway, refs)
        await audit.record("subscription.fetched", user_id=actor_id, entity_id=row.id, account_id=row.user_id)
    await fetching.fetch_now(row.gateway, refs)
    return await get_subscription(subscription_id)


async def cancel_subscription(subscription_id: int, *, at_period_end: bool) -> SubscriptionRead:
    """End anybody's subscription; see ``changing.cancel``."""
    return await changing.cancel_subscription(await _find(subscription_id), at_period_end=at_period_end)


async def refund(actor_id: int, payment_id: int, wanted: RefundWanted) -> PaymentAdministrationRead:
    """Pay a payment back, or a part of it; the subscription goes on, what the payment gave ends by the policy.

    Raises:
        NotFoundError: There is no such payment.
        ConflictError: It was not completed, or nothing of it is left.
        InvalidInputError: More than what is left.
        ProviderFailedError: The gateway refused it; where it gave no answer it is asked again.
    """
    async with database.unit_of_work():
        # Locked, so that two at once cannot pay back more than was paid.
        row = await database.fetch_row("SELECT * FROM payments WHERE id = $1 FOR UPDATE", payment_id)
        if row is None:
            raise NotFoundError("payment", payment_id)
        gateway = gateway_of(row["gateway"])
        amount = await _refundable(row, wanted)
        action_id = await actions.ask(
            ActionKind.REFUND,
            user_id=row["user_id"],
            key=f"refund-{secrets.token_hex(16)}",
            subscription_id=row["subscription_id"],
            payment_id=payment_id,
            detail={"amount": str(amount)},
            held_seconds=changing.HELD_SECONDS,
        )
        facts = {"amount": str(amount), "currency": row["currency"]}
        await audit.record(
            "payment.refund", user_id=actor_id, entity_id=payment_id, facts=facts, account_id=row["user_id"]
        )
    assert action_id is not None  # noqa: S101 - the key is new
    try:
        await actions.perform(action_id)
    except RetryableError:
        return await get_payment(payment_id)
    except DeclinedError as error:
        raise PaymentDeclinedError(error.provider_code) from None
    except ProviderError as error:
        raise ProviderFailedError(gateway.name, code=error.code) from error
    gateway_id = await database.fetch_value(
        "SELECT gateway_id FROM subscriptions WHERE id = $1", row["subscription_id"]
    )
    await fetching.fetch_now(gateway.name, References(gateway_id=str(gateway_id or "")))
    return await get_payment(payment_id)


async def _refundable(row: Mapping[str, Any], wanted: RefundWanted) -> Decimal:
    """Return how much is to be paid back; what is on its way counts as paid back."""
    if row["status"] != "completed":
        raise ConflictError("Only a completed payment can be paid back.", code="payment_not_completed")
    if not gateway_of(row["gateway"]).capabilities.refund:
        raise ConflictError(
            f"{row['gateway']} cannot pay back from here: do it there.", code="no_refund", gateway=row["gateway"]
        )
    asked = await database.fetch_value(
        "SELECT coalesce(sum((detail->>'amount')::numeric), 0) FROM gateway_actions"
        " WHERE payment_id = $1 AND kind = 'refund' AND status = 'pending'",
        row["id"],
    )
    left = row["amount"] - row["refunded_amount"] - Decimal(str(asked))
    if left <= 0:
        raise ConflictError("Nothing of this payment is left to be paid back.", code="payment_refunded")
    amount = left if wanted.amount is None else Decimal(wanted.amount)
    if not 0 < amount <= left:
        raise InvalidInputError({"amount": [text("refund_amount", most=str(left), currency=row["currency"])]})
    return amount


async def _find(subscription_id: int) -> Row:
    row = await find(subscription_id)
    if row is None:
        raise NotFoundError("subscription", subscription_id)
    return row
