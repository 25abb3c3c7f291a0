"""Bodies of the payments' routes."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.payments.tables import ActionKind, CheckoutStatus, PaymentStatus
from core.plans.schemas import Overage
from core.plugin import Interval, SubscriptionStatus
from core.validation import MAXIMUM_BIGINT


class PaymentRead(msgspec.Struct, frozen=True, kw_only=True):
    """A payment of one's own."""

    id: int
    gateway: Annotated[str, Meta(examples=["stripe"])]
    transaction_id: Annotated[str, Meta(examples=["pi_3PqJ8x"])]
    """What the gateway calls it."""
    amount: Annotated[Decimal, Meta(description="A decimal string.", examples=["49.90"])]
    currency: Annotated[str, Meta(examples=["BRL"])]
    status: PaymentStatus
    subscription_id: int | None
    plan_id: int | None
    refunded_amount: Annotated[Decimal, Meta(description="A decimal string.", examples=["0.00"])]
    disputed: bool
    """The payer's bank wants it back."""
    failure_code: Annotated[str, Meta(examples=["card_declined"])]
    attempt: int
    """Of how many attempts to collect the same amount it was the last."""
    next_attempt_at: datetime | None
    action_url: str
    """Where it can be settled or confirmed."""
    receipt_url: str
    paid_at: datetime | None
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


class GatewayRead(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that is enabled, and what it can do."""

    name: Annotated[str, Meta(examples=["stripe"])]
    currencies: Annotated[tuple[str, ...], Meta(examples=[["BRL", "USD"]])]
    intervals: tuple[Interval, ...]
    plan_change: bool
    """The plan of a subscription can be changed."""
    proration: bool
    """At once, too, with the difference charged in proportion."""
    portal: bool
    """It has a page of its own where payers change their card."""
    refund: bool
    trials: bool
    resume: bool
    """A cancellation for the end of the period can be taken back."""
    coupons: bool


class CheckoutCreate(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to subscribe to."""

    plan_id: Annotated[int, Meta(ge=1, le=MAXIMUM_BIGINT)]
    gateway: Annotated[str, Meta(min_length=1, max_length=60, examples=["stripe"])] | None = None
    """May be left out where there is only one."""
    currency: (
        Annotated[str, Meta(pattern=r"^[A-Z]{3}$", max_length=3, examples=["BRL"], extra={"text": "currency"})] | None
    ) = None
    """Without it the plan's own."""
    interval: Interval = "month"
    coupon: Annotated[str, Meta(max_length=120)] = ""
    """A code that the gateway knows."""


class NextStep(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer does next."""

    kind: Literal["redirect", "client_secret", "pix_qr"]
    url: str = ""
    """With `redirect`: the gateway's page, to which the payer goes."""
    client_secret: str = ""
    """With `client_secret`: for the gateway's script in the payer's browser."""
    publishable_key: str = ""
    pix_code: str = ""
    """With `pix_qr`: the code to copy and paste, and the text of its QR picture."""


class CheckoutRead(msgspec.Struct, frozen=True, kw_only=True):
    """An intent to subscribe."""

    id: int
    plan_id: int
    gateway: str
    amount: Annotated[Decimal, Meta(description="A decimal string.", examples=["49.90"])]
    currency: str
    interval: Interval
    coupon: str
    trial_days: int
    status: CheckoutStatus
    step: NextStep | None
    """While it is open."""
    error: str
    """Why it failed, in the gateway's words."""
    retry_of: int | None
    """The failed payment that it repeats."""
    expires_at: datetime | None
    created_at: datetime


class RetryRead(msgspec.Struct, frozen=True, kw_only=True):
    """How a failed payment is tried again."""

    step: NextStep | None
    checkout: CheckoutRead | None
    """A new intent, where the subscription is over; without one the present subscription is paid."""


class SubscriptionRead(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription."""

    id: int
    gateway: str
    plan_id: int
    next_plan_id: int | None
    """The plan that follows at `next_plan_at`."""
    next_plan_at: datetime | None
    status: SubscriptionStatus
    auto_renew: bool
    """It will be charged again."""
    access_until: datetime | None
    """What is paid for."""
    grace_until: datetime | None
    """Until when access goes on although a renewal failed."""
    refunded_amount: Annotated[Decimal, Meta(description="A decimal string.", examples=["0.00"])]
    amount: Annotated[Decimal, Meta(description="What the next period costs, as a decimal string.", examples=["49.90"])]
    currency: str
    interval: Interval
    action_url: str
    """Where what is due can be settled."""
    ended_at: datetime | None
    """When access was ended before its time."""
    ended_reason: Literal["", "canceled", "refunded", "disputed"]
    duplicate: bool
    """It was one too many: it gives nothing and is paid back."""
    pending: tuple[ActionKind, ...]
    """What was asked of the gateway and is not confirmed yet."""
    created_at: datetime
    updated_at: datetime


class AccessRead(msgspec.Struct, frozen=True, kw_only=True):
    """What one has: the plan, until when, and the subscription that pays for it."""

    plan_id: int | None
    access_until: datetime | None
    """Empty: it does not end."""
    has_access: bool
    over: tuple[Overage, ...]
    subscription: SubscriptionRead | None
    """Empty where an administrator assigned the plan."""


class ChangeWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Another plan for the present subscription."""

    plan_id: Annotated[int, Meta(ge=1, le=MAXIMUM_BIGINT)]
    as_of: datetime | None = None
    """From the preview, so that what is charged is what was shown."""


class ChangePreviewRead(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of plan does."""

    plan_id: int
    at_once: bool
    """It counts from now on; else from `applies_at` on, when the present period ends."""
    applies_at: datetime | None
    due_now: Annotated[Decimal, Meta(description="Charged at once, as a decimal string.", examples=["12.40"])]
    next_charge: Annotated[Decimal, Meta(description="A decimal string.", examples=["99.90"])]
    currency: str
    as_of: datetime
    over: tuple[Overage, ...]
    """What one has beyond the new plan."""


class CancelWanted(msgspec.Struct, frozen=True, kw_only=True):
    """How a subscription ends."""

    at_period_end: bool = True
    """Access goes on until what is paid for runs out; else it ends at once, and nothing is paid back."""


class StepRead(msgspec.Struct, frozen=True, kw_only=True):
    """A change that may need the payer."""

    subscription: SubscriptionRead
    step: NextStep | None


class PortalRead(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's own page."""

    url: str


class RefundWanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is paid back of a payment."""

    amount: (
        Annotated[
            str,
            Meta(pattern=r"^[0-9]{1,10}(\.[0-9]{1,2})?$", max_length=13, examples=["49.90"], extra={"text": "amount"}),
        ]
        | None
    ) = None
    """Without it, all that was not paid back before."""


class SubscriptionAdministrationRead(SubscriptionRead, frozen=True, kw_only=True):
    """A subscription as administrators see it."""

    user_id: int
    user_email: str
    gateway_id: Annotated[str, Meta(examples=["sub_1Q2w3E"])]
    """What the gateway calls it."""
    raw_status: str
    """The gateway's own word."""
    fetched_at: datetime


class SubscriptionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which subscriptions are asked for."""

    user_id: int | None = None
    gateway: str | None = None
    status: SubscriptionStatus | None = None
    plan_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    """Part of what the gateway calls it, or of the user's e-mail address."""


class GatewayFetchRead(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription that waits to be fetched from its gateway, or was given up."""

    id: int
    gateway: str
    subject: Annotated[str, Meta(examples=["subscription:sub_1Q2w3E"])]
    attempts: int
    due_at: datetime
    error: str
    failed_at: datetime | None
    """When it was given up; `replay` lets it begin anew."""
    created_at: datetime


class FetchFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which fetches are asked for."""

    gateway: str | None = None
    failed: bool | None = None


class RevenueRow(msgspec.Struct, frozen=True, kw_only=True):
    """What came in by one gateway in one currency and month; amounts are decimal strings."""

    month: Annotated[str, Meta(examples=["2026-11"])]
    gateway: str
    currency: str
    payments: int
    amount: Decimal
    refunded: Decimal
    """Of these payments, whenever it was paid back."""
    net: Decimal
    failed: int
    """Attempts that failed."""
    disputed: int


class SubscriptionsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Subscriptions of one gateway in one month."""

    month: Annotated[str, Meta(examples=["2026-11"])]
    gateway: str
    new: int
    lost: int
    active: int
    """At the end of the month, or now."""
