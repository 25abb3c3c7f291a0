"""Payments."""

import enum

from piccolo.columns import JSONB, BigSerial, ForeignKey, Numeric, Varchar
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import Timestamps


class PaymentStatus(enum.StrEnum):
    """What became of a payment."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class Payment(Timestamps, Table, tablename="payments"):
    """One payment, append-only: ``amount`` in the currency's major unit, status pending, completed or failed."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    gateway = Varchar(length=60)
    transaction_id = Varchar(length=255)
    amount = Numeric(digits=(12, 2))
    currency = Varchar(length=3)
    status = Varchar(length=20, default="pending")
    gateway_response = JSONB(default="{}")
