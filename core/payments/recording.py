"""Payments as rows: what a snapshot says of them is recorded once, for one user."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from core import database
from core.payments.lifecycle import KnownPayment, PaymentChange, State
from core.plugin import PaymentFact, Snapshot

_RECORD = """
INSERT INTO payments AS p (user_id, subscription_id, plan_id, gateway, transaction_id, amount, currency, status,
    refunded_amount, disputed, failure_code, attempt, next_attempt_at, action_url, receipt_url, paid_at,
    gateway_response, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, now(), now())
ON CONFLICT (gateway, transaction_id) DO UPDATE SET status = excluded.status,
    refunded_amount = greatest(p.refunded_amount, excluded.refunded_amount), disputed = excluded.disputed,
    failure_code = excluded.failure_code, attempt = excluded.attempt, next_attempt_at = excluded.next_attempt_at,
    action_url = excluded.action_url, receipt_url = excluded.receipt_url, gateway_response = excluded.gateway_response,
    updated_at = now()
WHERE p.user_id = excluded.user_id
RETURNING id
"""


class UnmatchedError(Exception):
    """A gateway knows a subscription under one of our references, and the database does not know the reference."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription's row."""

    id: int
    user_id: int
    checkout_id: int | None
    gateway: str
    gateway_id: str
    interval: str
    duplicate: bool
    fetched_at: datetime
    state: State


async def known_payments(row: Row, snapshot: Snapshot) -> Mapping[str, KnownPayment]:
    """Return what is recorded of a subscription's payments, and of those that a snapshot names, by their ids."""
    rows = await database.fetch(
        "SELECT transaction_id, status, refunded_amount, disputed FROM payments"
        " WHERE gateway = $1 AND (subscription_id = $2 OR transaction_id = ANY($3::text[]))",
        row.gateway,
        row.id,
        [one.transaction_id for one in snapshot.payments],
    )
    return {
        one["transaction_id"]: KnownPayment(
            status=one["status"], refunded=one["refunded_amount"], disputed=one["disputed"]
        )
        for one in rows
    }


async def record_payments(row: Row, changes: tuple[PaymentChange, ...]) -> dict[str, int]:
    """Write payments that are new or have moved on; return their ids."""
    ids: dict[str, int] = {}
    for change in changes:
        payment = change.payment
        found = await database.fetch_value(_RECORD, *_payment_values(row, payment))
        if found is None:
            # The same transaction is recorded for somebody else: never move money from one user to another.
            raise UnmatchedError(f"{row.gateway} names the payment {payment.transaction_id} for two users.")
        ids[payment.transaction_id] = int(str(found))
    return ids


def _payment_values(row: Row, payment: PaymentFact) -> tuple[object, ...]:
    return (
        row.user_id,
        row.id,
        row.state.plan_id,
        row.gateway,
        payment.transaction_id[:255],
        payment.price.amount,
        payment.price.currency,
        payment.status,
        payment.refunded,
        payment.disputed,
        payment.failure_code[:120],
        payment.attempt,
        payment.next_attempt_at,
        payment.action_url,
        payment.receipt_url,
        payment.at if payment.status == "completed" else None,
        database.encode_json(dict(payment.details)),
    )
