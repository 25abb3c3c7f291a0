"""The payment gateway: the protocol and the values that cross it.

A subscription's state comes only from ``fetch``; webhooks are hints that something is worth fetching. Every call
that changes something takes an idempotency key that core made and stored before the call.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import msgspec

from core.plugin.errors import ProviderError
from core.plugin.webhooks import WebhookDelivery


class DeclinedError(ProviderError):
    """The payer's means of payment was refused; ``code`` says why in the gateway's words."""

    code = "payment_declined"


class RetryableError(ProviderError):
    """The outcome is unknown: repeat with the same idempotency key."""

    code = "payment_retryable"


class ConfigurationError(ProviderError):
    """Credentials or settings of the gateway must change first."""

    code = "payment_configuration"


class GatewayCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway can do."""

    plan_change: bool
    portal: bool
    refund: bool
    trials: bool
    currencies: tuple[str, ...]
    """ISO 4217 codes, upper case."""


class Money(msgspec.Struct, frozen=True):
    """An amount in the currency's major unit, exact."""

    amount: Decimal
    currency: str


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to subscribe, stored before the gateway hears of it."""

    idempotency_key: str
    reference: str
    """Core's id of the intent; comes back in snapshots."""
    plan_id: int
    plan_name: str
    price: Money
    interval: Literal["month", "year"]
    payer_email: str
    payer_name: str
    customer_id: str
    """The gateway's id of the payer from an earlier checkout, or empty."""
    success_url: str
    cancel_url: str
    trial_days: int = 0


class Redirect(msgspec.Struct, frozen=True, tag="redirect"):
    """Send the payer to ``url``."""

    url: str
    gateway_id: str
    expires_at: datetime | None = None


class ClientSecret(msgspec.Struct, frozen=True, tag="client_secret"):
    """Hand ``secret`` to the gateway's script in the payer's browser."""

    secret: str
    publishable_key: str
    gateway_id: str


class PixQr(msgspec.Struct, frozen=True, tag="pix_qr"):
    """Show a Pix code."""

    copy_and_paste: str
    gateway_id: str
    expires_at: datetime


CheckoutStep = Redirect | ClientSecret | PixQr
"""What the payer does next."""


class SubscriptionStatus(StrEnum):
    """A subscription's state, the same words for every gateway."""

    PENDING = "pending"
    TRIAL = "trial"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    CANCELED = "canceled"


class PaymentFact(msgspec.Struct, frozen=True, kw_only=True):
    """One payment as the gateway records it."""

    transaction_id: str
    status: Literal["pending", "completed", "failed", "refunded"]
    price: Money
    at: datetime
    failure_code: str = ""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that a gateway knows of one subscription at one moment."""

    gateway_id: str
    reference: str
    customer_id: str
    status: SubscriptionStatus
    auto_renew: bool
    access_until: datetime | None
    payments: tuple[PaymentFact, ...]
    taken_at: datetime


class References(msgspec.Struct, frozen=True, kw_only=True):
    """What core knows to find a subscription by."""

    gateway_id: str = ""
    reference: str = ""
    customer_id: str = ""


class GatewayHint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook says this subscription is worth fetching."""

    dedupe_key: str
    refs: References
    name: str


class GatewayVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a webhook is genuine, what to answer, and what to fetch."""

    genuine: bool
    status: int = 200
    hints: tuple[GatewayHint, ...] = ()
    payload: bytes = b""


@runtime_checkable
class PaymentGateway(Protocol):
    """Sells plans through one service.

    Changing calls raise ``DeclinedError``, ``RetryableError`` (outcome unknown) or ``ConfigurationError``.
    """

    name: str
    capabilities: GatewayCapabilities

    async def start(self, checkout: Checkout) -> CheckoutStep:
        """Begin a subscription and return the payer's next step."""
        ...

    async def fetch(self, refs: References) -> Snapshot | None:
        """Return the subscription's present state, ``None`` when the gateway does not know it."""
        ...

    async def change_plan(self, refs: References, checkout: Checkout) -> CheckoutStep | None:
        """Move a subscription to another plan; a step is returned when the payer must agree."""
        ...

    async def cancel(self, refs: References, *, at_period_end: bool, idempotency_key: str) -> None:
        """End a subscription now or when what is paid for runs out."""
        ...

    async def refund(self, transaction_id: str, price: Money, *, idempotency_key: str) -> None:
        """Pay back all or part of one payment."""
        ...

    async def portal(self, refs: References, return_url: str) -> str:
        """Return the URL of the gateway's own page where the payer manages the subscription."""
        ...

    def receive(self, delivery: WebhookDelivery) -> GatewayVerdict:
        """Verify a webhook on its raw bytes and name what it concerns."""
        ...

    async def check(self) -> str:
        """Return one line that says which account answered, or raise ``ConfigurationError``."""
        ...

    async def aclose(self) -> None:
        """Close connections; called once, at the end of the process."""
        ...
