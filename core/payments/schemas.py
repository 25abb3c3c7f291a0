"""Bodies of the payments' routes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from core.payments.tables import PaymentStatus


class PaymentRead(msgspec.Struct, frozen=True, kw_only=True):
    """A payment of one's own."""

    id: int
    gateway: Annotated[str, Meta(examples=["stripe"])]
    transaction_id: Annotated[str, Meta(examples=["pi_3PqJ8x"])]
    """What the gateway calls it."""
    amount: Annotated[Decimal, Meta(description="A decimal string.", examples=["49.90"])]
    currency: Annotated[str, Meta(examples=["BRL"])]
    status: PaymentStatus
    created_at: datetime
    updated_at: datetime


class PaymentAdministrationRead(PaymentRead, frozen=True, kw_only=True):
    """A payment as administrators see it."""

    user_id: int
    user_email: str
    gateway_response: Annotated[object, Meta(examples=[{"status": "succeeded"}])]
    """What the gateway said of it; secrets are masked."""


class PaymentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which payments are asked for."""

    user_id: int | None = None
    gateway: str | None = None
    status: PaymentStatus | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    """Part of what the gateway calls it, whatever its case."""
