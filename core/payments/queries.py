"""Read payments."""

from collections.abc import Mapping
from typing import Any

import msgspec

from core import database
from core.audit.masking import safe
from core.errors import NotFoundError
from core.listing import Listing
from core.payments.schemas import PaymentAdministrationRead, PaymentRead

_OWN = (
    "p.id, p.gateway, p.transaction_id, p.amount, p.currency, p.status, p.subscription_id, p.plan_id,"
    " p.refunded_amount, p.disputed, p.failure_code, p.attempt, p.next_attempt_at, p.action_url, p.receipt_url,"
    " p.paid_at, p.created_at, p.updated_at"
)
_ALL = f"{_OWN}, p.user_id, p.gateway_response, u.email AS user_email"
_SOURCE = "payments p JOIN users u ON u.id = p.user_id"
_SORTS = {
    "id": "p.id",
    "created_at": "p.created_at",
    "amount": "p.amount",
    "gateway": "p.gateway",
    "status": "p.status",
    "currency": "p.currency",
}
_CONDITIONS = {
    "user_id": "p.user_id = {}",
    "gateway": "p.gateway = {}",
    "status": "p.status = {}",
    "currency": "p.currency = upper({})",
    "since": "p.created_at >= {}",
    "until": "p.created_at < {}",
    "search": "strpos(lower(p.transaction_id), lower({})) > 0",
}


def _read_own(row: Mapping[str, Any]) -> PaymentRead:
    return msgspec.convert(dict(row), PaymentRead)


def _read(row: Mapping[str, Any]) -> PaymentAdministrationRead:
    said = safe({"": msgspec.json.decode(row["gateway_response"])})[""]
    return msgspec.convert({**row, "gateway_response": said}, PaymentAdministrationRead)


PAYMENTS = Listing(
    kind=PaymentAdministrationRead,
    read=_read,
    columns=_ALL,
    source=_SOURCE,
    conditions=_CONDITIONS,
    sorts=_SORTS,
    key="p.id",
)
"""Everybody's."""
OWN_PAYMENTS = Listing(
    kind=PaymentRead,
    read=_read_own,
    columns=_OWN,
    source=_SOURCE,
    conditions=_CONDITIONS,
    sorts=_SORTS,
    key="p.id",
)
"""Those of the user whom the filter names."""


async def get_payment(payment_id: int) -> PaymentAdministrationRead:
    """Return anybody's payment, or raise ``NotFoundError``."""
    row = await database.fetch_row(f"SELECT {_ALL} FROM {_SOURCE} WHERE p.id = $1", payment_id)
    if row is None:
        raise NotFoundError("payment", payment_id)
    return _read(row)


async def get_own_payment(user_id: int, payment_id: int) -> PaymentRead:
    """Return a payment of this user, or raise ``NotFoundError``."""
    row = await database.fetch_row(
        f"SELECT {_OWN} FROM {_SOURCE} WHERE p.id = $2 AND p.user_id = $1", user_id, payment_id
    )
    if row is None:
        raise NotFoundError("payment", payment_id)
    return _read_own(row)
