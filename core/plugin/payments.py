"""The payment gateway: the protocol and the values that cross it.

A subscription's state comes only from ``fetch``; webhooks are hints that something is worth fetching. Every call
that changes something takes an idempotency key that core made and stored before the call.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

import msgspec

from core.plugin.errors import ProviderError
from core.plugin.money import Money
from core.plugin.secret import Secret
from core.plugin.webhooks import WebhookDelivery

Interval = Literal["month", "year"]
"""How often a plan is paid."""


class DeclinedError(ProviderError):
    """The payer's means of payment was refused; ``provider_code`` says why in the gateway's words."""

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
    intervals: tuple[Interval, ...] = ("month",)
    proration: bool = False
    """A plan can change at once, and the difference is charged in proportion; else it changes with the next charge."""
    resume: bool = False
    """A subscription that was told to end with its period can be told to go on."""
    coupons: bool = False
    """Codes that lower the price, kept at the gateway."""


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to subscribe, stored before the gateway hears of it."""

    idempotency_key: str
    reference: str
    """Core's name of the intent, at most 60 characters of ``a-z0-9-``; must come back in every later snapshot."""
    plan_id: int
    plan_name: str
    plan_reference: str = ""
    """What ``publish_plan`` returned for this plan and price; empty where the gateway needs none."""
    price: Money
    interval: Interval
    payer_email: str
    payer_name: str
    customer_id: str
    """The gateway's id of the payer from an earlier checkout, or empty."""
    locale: str = "en"
    """The payer's language: en, pt-BR or es."""
    success_url: str
    cancel_url: str
    trial_days: int = 0
    coupon: str = ""


class PlanChange(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to move a subscription to another plan, stored before the gateway hears of it."""

    idempotency_key: str
    plan_id: int
    plan_name: str
    plan_reference: str = ""
    """As in ``Checkout``."""
    price: Money
    interval: Interval
    at_once: bool
    """Charge the difference now, in proportion; else the new price counts from the next charge on."""
    as_of: datetime | None = None
    """The moment for which a preview was shown, so that what is charged is what was seen."""
    return_url: str = ""


class ChangePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of plan would cost."""

    due_now: Money
    """Charged at once; zero where the change waits for the next charge."""
    next_charge: Money
    next_charge_at: datetime | None
    as_of: datetime
    """To be handed back in ``PlanChange``."""


class Redirect(msgspec.Struct, frozen=True, tag="redirect"):
    """Send the payer to ``url``."""

    url: str
    gateway_id: str
    """The gateway's id of the checkout; comes back to ``fetch`` as ``References.checkout_id``."""
    expires_at: datetime | None = None
    customer_id: str = ""
    """The gateway's id of the payer, to be used in the next checkout."""


class ClientSecret(msgspec.Struct, frozen=True, tag="client_secret"):
    """Hand ``secret`` to the gateway's script in the payer's browser."""

    secret: str
    publishable_key: str
    gateway_id: str
    expires_at: datetime | None = None
    customer_id: str = ""


class PixQr(msgspec.Struct, frozen=True, tag="pix_qr"):
    """Show a Pix code."""

    copy_and_paste: str
    gateway_id: str
    expires_at: datetime
    customer_id: str = ""


CheckoutStep = Redirect | ClientSecret | PixQr
"""What the payer does next."""


class SubscriptionStatus(StrEnum):
    """A subscription's state, the same words for every gateway."""

    PENDING = "pending"
    """Nothing was paid yet: no access comes from it."""
    TRIAL = "trial"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    """A renewal failed and the gateway tries again."""
    SUSPENDED = "suspended"
    """The gateway gave up on a renewal; it can still be paid."""
    PAUSED = "paused"
    CANCELED = "canceled"
    """Over: it is never charged again."""
    UNKNOWN = "unknown"
    """A state the plugin does not know: core leaves everything as it is and tells an administrator."""


PaymentFailure = Literal[
    "card_declined",
    "insufficient_funds",
    "expired_card",
    "incorrect_data",
    "authentication_required",
    "processing_error",
    "other",
]
"""Why a payment was refused, in words that a payer can act on."""


class PaymentFact(msgspec.Struct, frozen=True, kw_only=True):
    """One payment, or one attempt that failed, as the gateway records it."""

    transaction_id: str
    """The same for as long as the attempt exists, and of this attempt alone."""
    status: Literal["pending", "completed", "failed"]
    price: Money
    at: datetime
    failure_code: str = ""
    """The gateway's own word."""
    failure: PaymentFailure = "other"
    """What that word means; ``other`` where it tells a payer nothing."""
    refunded: Decimal = Decimal(0)
    """How much of it was paid back, in the major unit."""
    disputed: bool = False
    """The payer's bank wants it back, or took it back."""
    attempt: int = 1
    """Of how many attempts to collect the same amount this is the last."""
    next_attempt_at: datetime | None = None
    action_url: str = ""
    """Where the payer can settle what is due, or confirm it."""
    receipt_url: str = ""
    period_until: datetime | None = None
    """Until when it pays for."""
    details: Mapping[str, str] = {}
    """What an administrator may want to know, safe to store: the gateway's own ids, never a card."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that a gateway knows of one subscription at one moment."""

    gateway_id: str
    """The subscription's id; empty while there is only a checkout."""
    checkout_id: str = ""
    reference: str
    customer_id: str
    status: SubscriptionStatus
    raw_status: str = ""
    """The gateway's own word."""
    auto_renew: bool
    access_until: datetime | None
    """The end of the time that is paid for or free of charge; ``None`` while there is none."""
    payments: tuple[PaymentFact, ...]
    """The latest, at least those of the present and the last period; what costs nothing is none."""
    price: Money | None = None
    """What the next period costs."""
    plan_reference: str = ""
    """Which published plan that is, where plans are published."""
    action_url: str = ""
    """Where the payer can settle what is due."""


class References(msgspec.Struct, frozen=True, kw_only=True):
    """What core knows to find a subscription by; a gateway uses the first that leads to it."""

    gateway_id: str = ""
    checkout_id: str = ""
    reference: str = ""
    customer_id: str = ""
    object_kind: str = ""
    """A thing of the gateway that a webhook named, such as ``payment``; ``object_id`` is its id."""
    object_id: str = ""


class GatewayHint(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="gateway_hint"):
    """A webhook says this subscription is worth fetching."""

    dedupe_key: str
    """Equal for every delivery of the same event."""
    refs: References
    name: str
    """The gateway's name of the event."""


class GatewayVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a webhook is genuine, what to answer, and what to fetch."""

    genuine: bool
    status: int = 200
    hints: tuple[GatewayHint, ...] = ()
    payload: bytes = b""
    """The body cleaned of secrets and of data of cards and payers, safe to store in ``webhooks_log``."""
    warning: str = ""
    """Something an administrator should mend, such as an endpoint of another API version."""


@runtime_checkable
class PaymentGateway(Protocol):
    """Sells plans through one service.

    Changing calls raise ``DeclinedError``, ``RetryableError`` (outcome unknown) or ``ConfigurationError``; what the
    service will certainly never do, or what the capabilities do not promise, is ``RefusedError``.
    """

    name: str
    capabilities: GatewayCapabilities

    async def start(self, checkout: Checkout) -> CheckoutStep:
        """Begin a subscription and return the payer's next step; repeated with its key it returns the same step."""
        ...

    async def fetch(self, refs: References) -> Snapshot | None:
        """Return the subscription's present state, ``None`` when the gateway does not know it."""
        ...

    async def change_plan(self, refs: References, change: PlanChange) -> CheckoutStep | None:
        """Move a subscription to another plan; a step is returned when the payer must agree."""
        ...

    async def cancel(self, refs: References, *, at_period_end: bool, idempotency_key: str) -> None:
        """Let a subscription never be charged again: now, or when what is paid for runs out.

        Where the service knows no end of the period, both are the same; core keeps the access that is paid for.
        """
        ...

    async def refund(self, transaction_id: str, price: Money, *, idempotency_key: str) -> None:
        """Pay back all or part of one payment; the subscription goes on."""
        ...

    async def portal(self, refs: References, return_url: str) -> str:
        """Return the URL of the gateway's own page where the payer manages the subscription."""
        ...

    def receive(self, delivery: WebhookDelivery, secrets: Sequence[Secret]) -> GatewayVerdict:
        """Verify a webhook on its raw bytes and name what it concerns.

        ``secrets`` are those that core keeps for the gateway, the newest first; those of its settings count too.
        Without any, nothing is genuine.
        """
        ...

    async def check(self) -> str:
        """Return one line that says which account answered, or raise ``ConfigurationError``."""
        ...

    async def aclose(self) -> None:
        """Close connections; called once, at the end of the process."""
        ...


class PlanOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A plan at one price, to be made known to the gateway."""

    plan_id: int
    plan_name: str
    price: Money
    interval: Interval
    trial_days: int = 0
    return_url: str = ""


@runtime_checkable
class PlanPublishing(Protocol):
    """A gateway that has to know plans and prices before they are sold."""

    async def publish_plan(self, offer: PlanOffer, *, idempotency_key: str) -> str:
        """Make the plan and its price known; return the gateway's id of that price."""
        ...


class RegisteredWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook address that the gateway delivers to from now on."""

    gateway_id: str
    secret: Secret
    version: str = ""
    """The API version its deliveries have."""


@runtime_checkable
class WebhookRegistration(Protocol):
    """A gateway whose webhook address can be entered through its API."""

    async def register_webhook(self, url: str, *, idempotency_key: str) -> RegisteredWebhook:
        """Let every event we handle be delivered to ``url``, with the API version of this plugin."""
        ...

    async def is_webhook_current(self, gateway_id: str, url: str) -> bool:
        """Say whether what was registered before still delivers what ``register_webhook`` would let be delivered."""
        ...

    async def remove_webhook(self, gateway_id: str) -> None:
        """Let nothing be delivered to an address that was registered before; one that is gone is no error."""
        ...


@runtime_checkable
class CheckoutExpiry(Protocol):
    """A gateway that can close a checkout nobody has paid."""

    async def expire(self, refs: References, *, idempotency_key: str) -> None:
        """Close the checkout; one that is closed or paid already is no error: ``fetch`` tells what it is."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A gateway that can take back a cancellation at the end of the period, or end a pause."""

    async def resume(self, refs: References, *, idempotency_key: str) -> None:
        """Let the subscription go on and renew itself."""
        ...


@runtime_checkable
class ChangePreviewing(Protocol):
    """A gateway that tells what a change of plan would cost."""

    async def preview_change(self, refs: References, change: PlanChange) -> ChangePreview:
        """Say what ``change_plan`` would charge; nothing is changed."""
        ...
