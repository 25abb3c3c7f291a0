"""What the service takes in a request body, and the words with which it refuses the rest."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from core.plugin import Money, to_minor
from plugins.mercadopago.simulator.options import Options
from plugins.mercadopago.simulator.state import TEST_DOMAIN, State, Terms
from plugins.mercadopago.simulator.wire import Refused

_T = TypeVar("_T")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
Many = Annotated[int, msgspec.Meta(ge=1)]


class TrialBody(msgspec.Struct, forbid_unknown_fields=True):
    """``free_trial``."""

    frequency: Many
    frequency_type: Literal["days", "months"]


class RecurringBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``auto_recurring`` of a creation."""

    frequency: Many
    frequency_type: Literal["days", "months"]
    transaction_amount: Decimal
    currency_id: str
    repetitions: Many | None = None
    billing_day: int | None = None
    billing_day_proportional: bool | None = None
    free_trial: TrialBody | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None


class PlanBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /preapproval_plan``."""

    reason: Annotated[str, msgspec.Meta(min_length=1)]
    back_url: str
    auto_recurring: RecurringBody
    payment_methods_allowed: dict[str, Any] | None = None


class SubscriptionBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``POST /preapproval``."""

    reason: str = ""
    external_reference: str | int | None = None
    payer_email: str = ""
    back_url: str = ""
    auto_recurring: RecurringBody | None = None
    status: Literal["pending", "authorized"] = "pending"
    card_token_id: str | None = None
    preapproval_plan_id: str | None = None


class AmountBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``auto_recurring`` of a change."""

    transaction_amount: Decimal
    currency_id: str


class ChangeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``PUT /preapproval/{id}``."""

    status: Literal["paused", "authorized", "cancelled"] | None = None
    auto_recurring: AmountBody | None = None
    card_token_id: str | None = None
    external_reference: str | int | None = None
    back_url: str | None = None
    reason: str | None = None


class RefundBody(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /v1/payments/{id}/refunds``."""

    amount: Decimal | None = None


def read(body: dict[str, Any], kind: type[_T]) -> _T:
    """Read a body strictly: amounts are JSON numbers, and nothing is in it that the service has no name for."""
    _refuse_texts(body)
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise Refused(400, f"Invalid field -> {error}") from None


def _refuse_texts(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if name in {"transaction_amount", "amount"} and isinstance(value, str):
            raise Refused(400, f"Invalid type for field: {name}")
        if isinstance(value, dict):
            _refuse_texts(value)


def check_amount(amount: Decimal, currency: str, options: Options, *, field: str = "auto_recurring") -> None:
    """Refuse another currency than the site's, and amounts that are none of it."""
    if currency != options.currency:
        raise Refused(400, f"Invalid field -> {field}.currency_id")
    try:
        minor = to_minor(Money(amount, currency))
    except ValueError:
        minor = 0
    if minor <= 0:
        raise Refused(400, f"Invalid field -> {field}.transaction_amount")


def check_back_url(url: str, options: Options) -> None:
    """Refuse what is no https address of a public host."""
    parts = urlsplit(url)
    local = parts.hostname in _LOOPBACK
    fits = parts.scheme in {"http", "https"} if local else parts.scheme == "https"
    if not parts.hostname or not fits or (local and not options.loopback_back_urls):
        raise Refused(400, "Invalid value for back_url, must be a valid URL")


def check_payer(email: str, options: Options) -> None:
    """Refuse what is no address, and a payer of the other kind than the seller."""
    if email.count("@") != 1 or " " in email or email.startswith("@") or email.endswith("@"):
        raise Refused(400, "Invalid field -> payer_email")
    is_test = email.endswith(TEST_DOMAIN)
    if options.account != "any" and is_test != (options.account == "test"):
        raise Refused(400, "Both payer and collector must be real or test users")


def terms_of(body: RecurringBody, options: Options) -> Terms:
    """Check how often and how much."""
    check_amount(body.transaction_amount, body.currency_id, options)
    trial = body.free_trial
    days = 0 if trial is None else trial.frequency * (30 if trial.frequency_type == "months" else 1)
    return Terms(
        frequency=body.frequency,
        frequency_type=body.frequency_type,
        transaction_amount=body.transaction_amount,
        currency_id=body.currency_id,
        trial_days=days,
        end_date=body.end_date,
    )


def use_token(token_id: str, state: State) -> str:
    """Use a card token up; return the name on the card."""
    token = state.tokens.get(token_id)
    if token is None:
        raise Refused(400, "Card token service not found")
    if token.used:
        raise Refused(400, "Card token was used, please generate new")
    if not token.cvv:
        raise Refused(400, "Card token was generated without cvv validation")
    token.used = True
    return token.holder
