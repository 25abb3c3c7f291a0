"""What plans cost: ``value`` a month in their own currency, and what stands in ``plan_prices``."""

from collections.abc import Sequence
from decimal import Decimal

from core import database
from core.errors import InvalidInputError
from core.plans.schemas import PlanPrice
from core.plugin import exponent_of
from core.texts import Text, text


def check_prices(prices: Sequence[PlanPrice], currency: str, value: Decimal) -> None:
    """Refuse two prices for the same, and amounts with more decimals than their currency has.

    The plan's own `value` a month counts too.
    """
    seen = {(currency, "month")}
    errors = {}
    if not _fits(value, currency):
        errors["value"] = [_too_exact(currency)]
    for index, price in enumerate(prices):
        kind = (price.currency, price.interval)
        if kind in seen:
            errors[f"prices.{index}.currency"] = [text("price_repeated", currency=price.currency)]
        seen.add(kind)
        if not _fits(Decimal(price.amount), price.currency):
            errors[f"prices.{index}.amount"] = [_too_exact(price.currency)]
    if errors:
        raise InvalidInputError(errors)


def _fits(amount: Decimal, currency: str) -> bool:
    return amount == round(amount, exponent_of(currency))


def _too_exact(currency: str) -> Text:
    return text("too_many_decimals", currency=currency, decimals=exponent_of(currency))


async def set_prices(plan_id: int, prices: Sequence[PlanPrice]) -> None:
    """Let a plan have these prices and no others, besides its own; in the unit of work that changes it."""
    await database.execute("DELETE FROM plan_prices WHERE plan_id = $1", plan_id)
    await database.execute(
        "INSERT INTO plan_prices (plan_id, currency, interval, amount)"
        " SELECT $1, currency, interval, amount FROM unnest($2::text[], $3::text[], $4::numeric[])"
        " AS p(currency, interval, amount)",
        plan_id,
        [price.currency for price in prices],
        [price.interval for price in prices],
        [Decimal(price.amount) for price in prices],
    )


async def price_of(plan_id: int, currency: str | None, interval: str) -> tuple[Decimal, str] | None:
    """Return what a plan costs in a currency and by an interval, ``None`` where it is not sold so.

    Without a currency it is the plan's own by the month, else the first of its prices.
    """
    row = await database.fetch_row(
        "SELECT amount, currency FROM (SELECT value AS amount, currency, 'month' AS interval, 0 AS place FROM plans"
        " WHERE id = $1 UNION ALL SELECT amount, currency, interval, id FROM plan_prices WHERE plan_id = $1) p"
        " WHERE currency = coalesce($2, currency) AND interval = $3 ORDER BY place LIMIT 1",
        plan_id,
        currency,
        interval,
    )
    return None if row is None else (row["amount"], row["currency"])
