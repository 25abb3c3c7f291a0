"""What a simulated Mercado Pago knows: plans, subscriptions, installments, payments, refunds, and what time it is."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from plugins.mercadopago.simulator.options import Options

PAYER_ID = 766_790_067
TEST_DOMAIN = "@testuser.com"


class Terms(msgspec.Struct, kw_only=True):
    """``auto_recurring``."""

    frequency: int
    frequency_type: str
    transaction_amount: Decimal
    currency_id: str
    trial_days: int = 0
    end_date: datetime | None = None


class PlanRow(msgspec.Struct, kw_only=True):
    """A plan."""

    id: str
    reason: str
    back_url: str
    terms: Terms
    created: datetime


class SubscriptionRow(msgspec.Struct, kw_only=True):
    """A preapproval; ``holder`` is the name on its card, which decides whether charges succeed."""

    id: str
    reason: str
    reference: str | int | None
    back_url: str
    payer_email: str
    terms: Terms
    created: datetime
    modified: datetime
    plan_id: str | None = None
    status: str = "pending"
    version: int = 0
    holder: str = ""
    anchor: datetime | None = None
    """The day of the first charge."""
    cycle: int = 0
    next_payment: datetime | None = None
    uncollected: int = 0


class InstallmentRow(msgspec.Struct, kw_only=True):
    """An authorized payment; ``due`` is its day, ``debit`` that of the next attempt."""

    id: int
    subscription: str
    due: datetime
    debit: datetime
    created: datetime
    modified: datetime
    amount: Decimal
    status: str = "scheduled"
    retries: int = 0
    payment: int | None = None


class RefundRow(msgspec.Struct, kw_only=True):
    """A refund."""

    id: int
    payment: int
    amount: Decimal
    created: datetime


class PaymentRow(msgspec.Struct, kw_only=True):
    """A payment."""

    id: int
    subscription: str
    reference: str | int | None
    amount: Decimal
    currency: str
    status: str
    detail: str
    operation: str
    created: datetime
    approved: datetime | None = None
    refunds: list[RefundRow] = msgspec.field(default_factory=list)

    @property
    def refunded(self) -> Decimal:
        """How much was paid back."""
        return sum((refund.amount for refund in self.refunds), Decimal(0))


class CardToken(msgspec.Struct, kw_only=True):
    """What a payer's browser makes of a card: good for one use."""

    id: str
    holder: str
    cvv: bool = True
    used: bool = False


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class State:
    """All of it, in memory; the clock may run ahead of the machine's."""

    def __init__(self, options: Options, now: Callable[[], datetime] = utc_now) -> None:
        self.options = options
        self._now = now
        self.ahead = timedelta(0)
        self._stopped: datetime | None = None
        self.plans: dict[str, PlanRow] = {}
        self.subscriptions: dict[str, SubscriptionRow] = {}
        self.installments: dict[int, InstallmentRow] = {}
        self.payments: dict[int, PaymentRow] = {}
        self.tokens: dict[str, CardToken] = {}
        self.answers: dict[str, tuple[bytes, bytes]] = {}
        """Request and answer by idempotency key: refunds alone promise to honour one."""
        self.test_users: list[dict[str, object]] = []
        self._numbers = itertools.count(19_951_521_000 + secrets.randbelow(10**6) * 1000)

    def now(self) -> datetime:
        """Return the time of the clock."""
        return self._now() + self.ahead if self._stopped is None else self._stopped

    @contextmanager
    def stopped_at(self, moment: datetime) -> Iterator[None]:
        """Put the clock forward and stop it while the block runs: all that happens at a moment bears the same."""
        self._stopped = max(moment, self.now())
        self.move_to(self._stopped)
        try:
            yield
        finally:
            self._stopped = None

    def move_to(self, moment: datetime) -> None:
        """Put the clock forward."""
        self.ahead = max(self.ahead, moment - self._now())

    def number(self) -> int:
        """Return a new number."""
        return next(self._numbers)

    @staticmethod
    def name() -> str:
        """Return a new id of a plan or subscription: 32 hexadecimal digits."""
        return f"2c938084{secrets.token_hex(12)}"

    def installments_of(self, subscription: str) -> list[InstallmentRow]:
        """Return a subscription's installments, the oldest first."""
        return [one for one in self.installments.values() if one.subscription == subscription]
