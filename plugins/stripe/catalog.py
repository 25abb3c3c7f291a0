"""Plans as products and prices of Stripe, found again by names of ours.

A price never changes at Stripe, so each amount of a plan is a price of its own under a lookup key made from the
amount: https://docs.stripe.com/products-prices/manage-prices#lookup-keys.
"""

from core.plugin import Interval, Money, RefusedError
from plugins.stripe.amounts import minor
from plugins.stripe.connection import Connection, under
from plugins.stripe.objects import Named, Price

PLAN = "recado_plan"
"""The key in the metadata under which products and prices name our plan."""
_DOING = "publishing a plan"


async def ensure_price(
    connection: Connection, plan_id: int, plan_name: str, price: Money, interval: Interval, *, idempotency_key: str
) -> str:
    """Return the id of the price of a plan; the product and the price are made where there are none yet."""
    amount, currency = minor(price), price.currency.lower()
    lookup_key = f"recado-{plan_id}-{interval}-{currency}-{amount}"
    product = await _ensure_product(connection, plan_id, plan_name, idempotency_key)
    found = await connection.rows(
        lambda v1: v1.prices.list_async({"lookup_keys": [lookup_key], "active": True, "limit": 1}), Price, _DOING
    )
    if found:
        return found[0].id
    made = await connection.read(
        lambda v1: v1.prices.create_async(
            {
                "product": product,
                "currency": currency,
                "unit_amount": amount,
                "recurring": {"interval": interval},
                "lookup_key": lookup_key,
                # One that was archived keeps the lookup key until another takes it.
                "transfer_lookup_key": True,
                "metadata": {PLAN: str(plan_id)},
            },
            under(idempotency_key),
        ),
        Price,
        _DOING,
    )
    return made.id


async def _ensure_product(connection: Connection, plan_id: int, plan_name: str, key: str) -> str:
    product = f"recado_plan_{plan_id}"
    found = await connection.find(lambda v1: v1.products.retrieve_async(product), Named, _DOING)
    if found is None:
        await connection.call(
            lambda v1: v1.products.create_async(
                {"id": product, "name": plan_name, "metadata": {PLAN: str(plan_id)}}, under(f"{key}:product")
            ),
            _DOING,
        )
    elif found.name != plan_name:
        await connection.call(
            lambda v1: v1.products.update_async(product, {"name": plan_name}, under(f"{key}:name")), _DOING
        )
    return product


async def find_promotion(connection: Connection, code: str) -> str:
    """Return the id of the promotion code that a payer typed.

    Raises:
        RefusedError: There is no such code, or it is not in force.
    """
    found = await connection.rows(
        lambda v1: v1.promotion_codes.list_async({"code": code, "active": True, "limit": 1}),
        Named,
        "looking a coupon up",
    )
    if not found:
        raise RefusedError("There is no such coupon, or it is not in force.", provider_code="coupon_unknown")
    return found[0].id
