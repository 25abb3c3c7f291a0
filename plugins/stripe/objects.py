"""What we read of Stripe's objects, as the API version of the installed library has them."""

from typing import Any

import msgspec

Reference = str | dict[str, Any] | None
"""Another object: its id, or the object itself where it was asked for."""


def id_of(value: Reference) -> str:
    """Return the id, or nothing."""
    if isinstance(value, dict):
        found = value.get("id")
        return found if isinstance(found, str) else ""
    return value or ""


class Recurring(msgspec.Struct):
    """How often a price is paid."""

    interval: str
    interval_count: int = 1


class Price(msgspec.Struct):
    """A price of a product."""

    id: str
    currency: str
    unit_amount: int | None = None
    recurring: Recurring | None = None
    product: Reference = None
    active: bool = True


class Item(msgspec.Struct):
    """What a subscription sells."""

    id: str
    price: Price
    current_period_start: int
    current_period_end: int
    quantity: int | None = 1


class Items(msgspec.Struct):
    """A list of items."""

    data: list[Item] = []


class Payment(msgspec.Struct):
    """What paid an invoice."""

    payment_intent: Reference = None
    charge: Reference = None


class InvoicePayment(msgspec.Struct):
    """The link between an invoice and a payment."""

    payment: Payment


class InvoicePayments(msgspec.Struct):
    """A list of those links."""

    data: list[InvoicePayment] = []


class Period(msgspec.Struct):
    """A time that a line is for."""

    start: int
    end: int


class SubscriptionItemDetails(msgspec.Struct):
    """Where a line comes from."""

    proration: bool = False


class LineParent(msgspec.Struct):
    """Where a line comes from."""

    subscription_item_details: SubscriptionItemDetails | None = None


class Line(msgspec.Struct):
    """One line of an invoice."""

    amount: int
    period: Period
    parent: LineParent | None = None

    @property
    def is_period(self) -> bool:
        """Whether it sells a whole period, and is no difference in proportion."""
        details = self.parent.subscription_item_details if self.parent else None
        return details is not None and not details.proration


class Lines(msgspec.Struct):
    """The first lines of an invoice."""

    data: list[Line] = []


class SubscriptionDetails(msgspec.Struct):
    """The subscription an invoice is for."""

    subscription: Reference = None
    subscription_proration_date: int | None = None


class InvoiceParent(msgspec.Struct):
    """What an invoice is for."""

    subscription_details: SubscriptionDetails | None = None


class Secrets(msgspec.Struct):
    """What confirms a payment in the browser."""

    client_secret: str | None = None


class InvoiceTimes(msgspec.Struct):
    """When an invoice changed its state."""

    paid_at: int | None = None


class Invoice(msgspec.Struct):
    """An invoice; a preview has no id that can be asked for."""

    created: int
    currency: str
    amount_due: int
    amount_paid: int
    total: int
    id: str = ""
    status: str | None = None
    parent: InvoiceParent | None = None
    payments: InvoicePayments = msgspec.field(default_factory=InvoicePayments)
    lines: Lines = msgspec.field(default_factory=Lines)
    hosted_invoice_url: str | None = None
    next_payment_attempt: int | None = None
    confirmation_secret: Secrets | None = None
    status_transitions: InvoiceTimes = msgspec.field(default_factory=InvoiceTimes)

    @property
    def prorated_at(self) -> int | None:
        """The moment from which a preview counts what changes."""
        details = self.parent.subscription_details if self.parent else None
        return details.subscription_proration_date if details else None

    @property
    def subscription_id(self) -> str:
        """The subscription it is for, or nothing."""
        details = self.parent.subscription_details if self.parent else None
        return id_of(details.subscription) if details else ""


class PendingUpdate(msgspec.Struct):
    """A change that waits for its payment."""

    expires_at: int


class Subscription(msgspec.Struct):
    """A subscription."""

    id: str
    status: str
    customer: Reference
    created: int
    items: Items
    metadata: dict[str, str]
    livemode: bool = False
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    ended_at: int | None = None
    trial_end: int | None = None
    latest_invoice: str | Invoice | None = None
    pending_update: PendingUpdate | None = None
    pending_setup_intent: str | Secrets | None = None

    @property
    def latest_invoice_id(self) -> str:
        """The id of its latest invoice, or nothing."""
        latest = self.latest_invoice
        return latest.id if isinstance(latest, Invoice) else latest or ""

    @property
    def is_over(self) -> bool:
        """Whether nothing about it can change any more."""
        return self.status in {"canceled", "incomplete_expired"}


class PaidInvoice(msgspec.Struct):
    """What a payment paid for: the link, with its invoice in full."""

    invoice: Invoice | str


class Charge(msgspec.Struct):
    """One attempt to collect money."""

    id: str
    amount: int
    currency: str
    created: int
    status: str
    amount_refunded: int = 0
    disputed: bool = False
    failure_code: str | None = None
    payment_intent: Reference = None
    receipt_url: str | None = None


class Dispute(msgspec.Struct):
    """A charge that the payer's bank wants back."""

    status: str
    charge: Reference = None
    payment_intent: Reference = None


class Session(msgspec.Struct):
    """A checkout."""

    id: str
    expires_at: int
    status: str | None = None
    url: str | None = None
    customer: Reference = None
    subscription: Reference = None
    client_reference_id: str | None = None
    metadata: dict[str, str] | None = None


class Profile(msgspec.Struct):
    """How an account presents itself."""

    name: str | None = None


class Account(msgspec.Struct):
    """An account at Stripe."""

    id: str
    business_profile: Profile | None = None


class Named(msgspec.Struct):
    """An object of which only this is needed."""

    id: str
    name: str | None = None
    payment_intent: Reference = None
    charge: Reference = None
    invoice: Reference = None
    url: str | None = None
    secret: str | None = None
    api_version: str | None = None
    status: str | None = None
    enabled_events: tuple[str, ...] = ()
    deleted: bool = False
