"""What plans are called at the gateways: made known before they are first sold at a price, and remembered."""

import hashlib

from core import database
from core.plugin import Interval, Money, PaymentGateway, PlanOffer, PlanPublishing
from core.runtime import config

_KNOWN = (
    "SELECT reference FROM gateway_plans WHERE gateway = $1 AND plan_id = $2 AND currency = $3 AND interval = $4"
    " AND amount = $5"
)
_KEEP = (
    "INSERT INTO gateway_plans AS g (gateway, plan_id, currency, interval, amount, reference, created_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (gateway, plan_id, currency, interval, amount)"
    " DO UPDATE SET reference = {} RETURNING reference"
)


async def reference_of(gateway: PaymentGateway, plan_id: int, name: str, price: Money, interval: Interval) -> str:
    """Return what a gateway calls a plan at a price; empty where it does not have to know.

    Raises:
        ProviderError: As the gateway's ``publish_plan``.
    """
    if not isinstance(gateway, PlanPublishing):
        return ""
    offer = _offer(plan_id, name, price, interval)
    known = await database.fetch_value(_KNOWN, *_columns(gateway.name, offer))
    if isinstance(known, str):
        return known
    made = await gateway.publish_plan(offer, idempotency_key=_key(gateway.name, offer))
    # Whoever was first, at once with others, is right: the prices are the same.
    kept = await database.fetch_value(_KEEP.format("g.reference"), *_columns(gateway.name, offer), made)
    return str(kept)


async def publish(
    gateway: PaymentGateway, plan_id: int, name: str, price: Money, interval: Interval
) -> tuple[str, bool] | None:
    """Have a gateway find or make a plan at a price, whatever is remembered; ``None`` where it does not have to know.

    Returned are what it is called now and whether that is new: of another account than before, everything is.

    Raises:
        ProviderError: As the gateway's ``publish_plan``.
    """
    if not isinstance(gateway, PlanPublishing):
        return None
    offer = _offer(plan_id, name, price, interval)
    known = await database.fetch_value(_KNOWN, *_columns(gateway.name, offer))
    made = await gateway.publish_plan(offer, idempotency_key=_key(gateway.name, offer))
    await database.execute(_KEEP.format("excluded.reference"), *_columns(gateway.name, offer), made)
    return made, made != known


def _offer(plan_id: int, name: str, price: Money, interval: Interval) -> PlanOffer:
    return PlanOffer(
        plan_id=plan_id, plan_name=name, price=price, interval=interval, return_url=config().server.base_url
    )


def _columns(gateway: str, offer: PlanOffer) -> tuple[object, ...]:
    return gateway, offer.plan_id, offer.price.currency, offer.interval, offer.price.amount


def _key(gateway: str, offer: PlanOffer) -> str:
    """Return the idempotency key of publishing: what is published decides it, so nothing has to be stored before."""
    named = f"{gateway}:{offer.plan_id}:{offer.plan_name}:{offer.price.amount.normalize()}:{offer.price.currency}"
    return f"plan-{hashlib.sha256(f'{named}:{offer.interval}:{offer.return_url}'.encode()).hexdigest()[:40]}"
