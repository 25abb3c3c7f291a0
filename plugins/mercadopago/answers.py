"""What Mercado Pago answers, read leniently: ids are numbers or texts, amounts numbers or ``"24.50"``, fields may lack.

The shapes are those of https://www.mercadopago.com.br/developers/en/reference/online-payments/subscriptions and of its
payments API; statuses stay texts, since there are more of them than the pages say.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

Id = int | str
_T = TypeVar("_T")


class FreeTrial(msgspec.Struct):
    """A time before the first charge."""

    frequency: int = 0
    frequency_type: str = "months"


class Recurring(msgspec.Struct):
    """How often and how much."""

    frequency: int = 1
    frequency_type: str = "months"
    transaction_amount: Decimal | None = None
    currency_id: str | None = None
    free_trial: FreeTrial | None = None


class Preapproval(msgspec.Struct):
    """A subscription."""

    id: str
    status: str = ""
    external_reference: Id | None = None
    payer_id: Id | None = None
    preapproval_plan_id: str | None = None
    init_point: str | None = None
    next_payment_date: str | None = None
    date_created: str | None = None
    auto_recurring: Recurring = msgspec.field(default_factory=Recurring)


class Plan(msgspec.Struct):
    """A plan: a template, whose link makes a subscription of whoever pays there."""

    id: str
    init_point: str | None = None
    back_url: str | None = None


class InstallmentPayment(msgspec.Struct):
    """The last payment of an installment."""

    id: Id | None = None
    status: str | None = None
    status_detail: str | None = None


class Installment(msgspec.Struct):
    """An authorized payment: what is due for one period, with all attempts to collect it."""

    id: Id
    preapproval_id: str = ""
    status: str = ""
    debit_date: str | None = None
    date_created: str | None = None
    next_retry_date: str | None = None
    retry_attempt: int | None = None
    transaction_amount: Decimal | None = None
    currency_id: str | None = None
    payment: InstallmentPayment | None = None


class Metadata(msgspec.Struct):
    """What the service notes beside a payment."""

    preapproval_id: str | None = None


class TransactionInfo(msgspec.Struct):
    """What a payment was made for."""

    subscription_id: str | None = None


class PointOfInteraction(msgspec.Struct):
    """Where a payment comes from."""

    transaction: TransactionInfo | None = msgspec.field(name="transaction_data", default=None)


class Payment(msgspec.Struct):
    """One attempt to charge a card."""

    id: Id
    status: str = ""
    status_detail: str | None = None
    operation_type: str | None = None
    transaction_amount: Decimal | None = None
    transaction_amount_refunded: Decimal | None = None
    currency_id: str | None = None
    external_reference: Id | None = None
    date_created: str | None = None
    date_approved: str | None = None
    metadata: Metadata | None = None
    point_of_interaction: PointOfInteraction | None = None

    @property
    def subscription(self) -> str:
        """The subscription it belongs to: live charges name it in the one place or the other, others in none."""
        origin = self.point_of_interaction.transaction if self.point_of_interaction is not None else None
        named = origin.subscription_id if origin is not None else None
        return named or (self.metadata.preapproval_id if self.metadata is not None else None) or ""


class Paging(msgspec.Struct):
    """Where in its list a page is."""

    total: int = 0


class Page(msgspec.Struct, Generic[_T]):
    """A part of a list."""

    results: list[_T] = []
    paging: Paging = msgspec.field(default_factory=Paging)


class User(msgspec.Struct):
    """The account of an access token."""

    id: Id
    site_id: str = ""


class Anything(msgspec.Struct):
    """An answer of which nothing is needed."""


def moment(text: str | None) -> datetime | None:
    """Read a date, which has milliseconds and an offset; ``None`` where it is none."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def text_of(value: Id | None) -> str:
    """Return an id or a reference as text."""
    return "" if value is None else str(value)
