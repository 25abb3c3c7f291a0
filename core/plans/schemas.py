"""What the API says about plans and takes for them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Name = Annotated[str, Meta(min_length=1, max_length=120, examples=["Free"])]
Amount = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,10}(\.[0-9]{1,2})?$",
        max_length=13,
        description="Price of a month, as a decimal string.",
        examples=["49.90"],
        extra={"text": "amount"},
    ),
]
PriceAmount = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,10}(\.[0-9]{1,2})?$",
        max_length=13,
        description="A price, as a decimal string.",
        examples=["499.00"],
        extra={"text": "amount"},
    ),
]
Currency = Annotated[
    str,
    Meta(pattern=r"^[A-Z]{3}$", max_length=3, description="ISO 4217.", examples=["BRL"], extra={"text": "currency"}),
]
Limit = Annotated[int, Meta(ge=0, le=2_000_000_000, examples=[1000])]
MonthlyMessages = Annotated[int, Meta(ge=0, le=10**15, description="Absent for any number.", examples=[1000])]


TrialDays = Annotated[
    int,
    Meta(ge=0, le=365, description="Days free of charge, once for each user.", examples=[7]),
]


class PlanPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a plan costs in another currency, or by the year."""

    currency: Currency
    interval: Literal["month", "year"] = "month"
    amount: PriceAmount


Prices = Annotated[
    tuple[PlanPrice, ...],
    Meta(max_length=50, description="Besides `value` a month in `currency`; each currency and interval once."),
]


class PlanRead(msgspec.Struct, frozen=True, kw_only=True):
    """A plan; the limits count what a user has at one time, ``monthly_messages`` what is sent in a month."""

    id: int
    name: Name
    value: Annotated[Decimal, Meta(description="A decimal string.", examples=["49.90"])]
    currency: Currency
    unlimited: bool
    medias: bool
    reports: bool
    schedule: bool
    numbers_limit: Limit
    contacts_limit: Limit
    campaigns_limit: Limit
    monthly_messages: MonthlyMessages | None
    trial_days: TrialDays
    prices: Prices
    created_at: datetime
    updated_at: datetime


class PlanCreate(msgspec.Struct, frozen=True, kw_only=True):
    """A new plan."""

    name: Name
    value: Amount = "0"
    currency: Currency = "BRL"
    unlimited: bool = False
    medias: bool = True
    reports: bool = True
    schedule: bool = True
    numbers_limit: Limit = 1
    contacts_limit: Limit = 1000
    campaigns_limit: Limit = 10
    monthly_messages: MonthlyMessages | None = None
    trial_days: TrialDays = 0
    prices: Prices = ()


class PlanUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Changes of a plan; what is left out stays."""

    name: Name | UnsetType = UNSET
    value: Amount | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    unlimited: bool | UnsetType = UNSET
    medias: bool | UnsetType = UNSET
    reports: bool | UnsetType = UNSET
    schedule: bool | UnsetType = UNSET
    numbers_limit: Limit | UnsetType = UNSET
    contacts_limit: Limit | UnsetType = UNSET
    campaigns_limit: Limit | UnsetType = UNSET
    monthly_messages: MonthlyMessages | UnsetType | None = UNSET
    trial_days: TrialDays | UnsetType = UNSET
    prices: Prices | UnsetType = UNSET
    """All of them: what is left out goes."""


class Overage(msgspec.Struct, frozen=True, kw_only=True):
    """More than a plan allows: it stays readable and cannot grow."""

    limit: Literal["numbers", "contacts", "campaigns"]
    present: int
    allowed: int
