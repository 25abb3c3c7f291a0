"""Subscriptions, what was paid for them, and what was asked of the gateways."""

import enum
from decimal import Decimal

from piccolo.columns import (
    JSONB,
    BigInt,
    BigSerial,
    Boolean,
    ForeignKey,
    Integer,
    Numeric,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import CreatedAt, Timestamps
from core.plans.tables import Plan


class PaymentStatus(enum.StrEnum):
    """What became of a payment."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class CheckoutStatus(enum.StrEnum):
    """How far an intent to subscribe has come."""

    CREATED = "created"
    """Stored, and the gateway was not heard of yet."""
    OPEN = "open"
    COMPLETED = "completed"
    EXPIRED = "expired"
    FAILED = "failed"


class ActionKind(enum.StrEnum):
    """What is asked of a gateway for a subscription that exists."""

    CANCEL = "cancel"
    RESUME = "resume"
    CHANGE_PLAN = "change_plan"
    REFUND = "refund"
    EXPIRE_CHECKOUT = "expire_checkout"


class ActionStatus(enum.StrEnum):
    """What became of it."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


class Checkout(Timestamps, Table, tablename="checkouts"):
    """An intent to subscribe, stored before the gateway hears of it; ``reference`` leads back from the gateway.

    ``amount`` is the price in the major unit as it was shown. ``step`` is what the payer does next, encrypted: it may
    hold a secret for the payer's browser. ``retry_of`` is the failed payment that it repeats.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    plan_id = ForeignKey(references=Plan, null=False, on_delete=OnDelete.restrict)
    gateway = Varchar(length=60)
    amount = Numeric(digits=(12, 2))
    currency = Varchar(length=3)
    interval = Varchar(length=10, default="month")
    coupon = Varchar(length=120, default="")
    trial_days = Integer(default=0)
    locale = Varchar(length=10, default="en")
    reference = Varchar(length=60, unique=True)
    idempotency_key = Varchar(length=64, unique=True)
    gateway_id = Varchar(length=255, default="")
    status = Varchar(length=20, default=CheckoutStatus.CREATED, choices=CheckoutStatus)
    lease_until = Timestamptz(null=True, default=None)
    step = Text(default="", secret=True)
    error = Varchar(length=120, default="")
    retry_of = BigInt(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)


class Subscription(Timestamps, Table, tablename="subscriptions"):
    """What a gateway charges a user for: the state as it was last fetched, and what core decided on it.

    Four facts stand apart: ``auto_renew`` (it will be charged again), ``access_until`` (what is paid for), ``status``,
    and ``refunded_amount``. ``ended_at`` is when core cut the access, for a cancellation at once, a full refund or
    a dispute. ``next_plan_id`` counts from ``next_plan_at`` on. ``fetched_at`` is the time of the last fetch that was
    applied: an older one changes nothing. A ``duplicate`` is one too many: it gives nothing and is paid back.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    checkout_id = BigInt(null=True, default=None)
    gateway = Varchar(length=60)
    gateway_id = Varchar(length=255)
    plan_id = ForeignKey(references=Plan, null=False, on_delete=OnDelete.restrict)
    next_plan_id = BigInt(null=True, default=None)
    next_plan_at = Timestamptz(null=True, default=None)
    status = Varchar(length=20)
    raw_status = Varchar(length=60, default="")
    auto_renew = Boolean(default=False)
    access_until = Timestamptz(null=True, default=None)
    refunded_amount = Numeric(digits=(12, 2), default=Decimal(0))
    amount = Numeric(digits=(12, 2))
    currency = Varchar(length=3)
    interval = Varchar(length=10, default="month")
    action_url = Text(default="", secret=True)
    grace_until = Timestamptz(null=True, default=None)
    ended_at = Timestamptz(null=True, default=None)
    ended_reason = Varchar(length=20, default="")
    cancel_now_at = Timestamptz(null=True, default=None)
    closed_at = Timestamptz(null=True, default=None)
    duplicate = Boolean(default=False)
    fetched_at = Timestamptz()


class Payment(Timestamps, Table, tablename="payments"):
    """One payment or failed attempt, never deleted; its status only moves on from pending.

    ``amount`` and ``refunded_amount``, the part of it that was paid back, are in the currency's major unit.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    subscription_id = BigInt(null=True, default=None)
    plan_id = BigInt(null=True, default=None)
    gateway = Varchar(length=60)
    transaction_id = Varchar(length=255)
    amount = Numeric(digits=(12, 2))
    currency = Varchar(length=3)
    status = Varchar(length=20, default="pending")
    refunded_amount = Numeric(digits=(12, 2), default=Decimal(0))
    disputed = Boolean(default=False)
    failure_code = Varchar(length=120, default="")
    attempt = Integer(default=1)
    next_attempt_at = Timestamptz(null=True, default=None)
    action_url = Text(default="", secret=True)
    receipt_url = Text(default="", secret=True)
    paid_at = Timestamptz(null=True, default=None)
    gateway_response = JSONB(default="{}")


class GatewayFetch(CreatedAt, Table, tablename="gateway_fetches"):
    """A subscription that is worth fetching: written by webhooks, actions and the nightly reconciliation.

    One row for each ``subject`` however many hints came; ``wanted`` counts them, so that one which comes while the
    gateway is asked is not lost. ``failed_at`` is set when it was given up.
    """

    id = BigSerial(primary_key=True)
    gateway = Varchar(length=60)
    subject = Varchar(length=255)
    refs = JSONB(default="{}")
    wanted = Integer(default=1)
    due_at = Timestamptz()
    attempts = SmallInt(default=0)
    lease_until = Timestamptz(null=True, default=None)
    error = Text(default="")
    failed_at = Timestamptz(null=True, default=None)


class GatewayAction(Timestamps, Table, tablename="gateway_actions"):
    """Something asked of a gateway, stored with its idempotency key before the call and repeated under it."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    subscription_id = BigInt(null=True, default=None)
    checkout_id = BigInt(null=True, default=None)
    payment_id = BigInt(null=True, default=None)
    kind = Varchar(length=20, choices=ActionKind)
    detail = JSONB(default="{}")
    idempotency_key = Varchar(length=64, unique=True)
    status = Varchar(length=20, default=ActionStatus.PENDING, choices=ActionStatus)
    attempts = SmallInt(default=0)
    due_at = Timestamptz()
    error = Varchar(length=120, default="")


class GatewayPlan(CreatedAt, Table, tablename="gateway_plans"):
    """What a gateway calls one plan at one price."""

    id = BigSerial(primary_key=True)
    gateway = Varchar(length=60)
    plan_id = ForeignKey(references=Plan, null=False, on_delete=OnDelete.cascade)
    amount = Numeric(digits=(12, 2))
    currency = Varchar(length=3)
    interval = Varchar(length=10)
    reference = Varchar(length=255, default="")


class GatewayCustomer(CreatedAt, Table, tablename="gateway_customers"):
    """What a gateway calls a user; the diagram's ``users.stripe_id`` is the row of the gateway ``stripe``."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.cascade)
    gateway = Varchar(length=60)
    customer_id = Varchar(length=255)


class GatewayWebhook(CreatedAt, Table, tablename="gateway_webhooks"):
    """A webhook address that was registered at a gateway, with the secret it signs with, encrypted."""

    id = BigSerial(primary_key=True)
    gateway = Varchar(length=60)
    url = Text()
    gateway_id = Varchar(length=255)
    secret = Text(secret=True)
    version = Varchar(length=60, default="")
    retired_at = Timestamptz(null=True, default=None)
