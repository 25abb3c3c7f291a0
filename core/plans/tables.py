"""Plans."""

from decimal import Decimal

from piccolo.columns import BigInt, BigSerial, Boolean, ForeignKey, Integer, Numeric, Varchar
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.columns import Timestamps


class Plan(Timestamps, Table, tablename="plans"):
    """A plan; every limit counts what a user has at one time, ``monthly_messages`` what is sent in a month."""

    id = BigSerial(primary_key=True)
    name = Varchar(length=120)
    value = Numeric(digits=(12, 2), default=Decimal(0))
    currency = Varchar(length=3, default="BRL")
    unlimited = Boolean(default=False)
    medias = Boolean(default=True)
    reports = Boolean(default=True)
    schedule = Boolean(default=True)
    numbers_limit = Integer(default=1)
    contacts_limit = Integer(default=1000)
    campaigns_limit = Integer(default=10)
    monthly_messages = BigInt(default=None, null=True)
    trial_days = Integer(default=0)


class PlanPrice(Table, tablename="plan_prices"):
    """What a plan costs besides its own monthly ``value``: in another currency, or by the year."""

    id = BigSerial(primary_key=True)
    plan_id = ForeignKey(references=Plan, null=False, on_delete=OnDelete.cascade)
    currency = Varchar(length=3)
    interval = Varchar(length=10, default="month")
    amount = Numeric(digits=(12, 2))
