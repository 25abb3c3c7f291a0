"""What plans are called at the gateways: made known before they are first sold at a price, and remembered."""

import hashlib

from core import database
from core.plugin import Interval, Money, PaymentGateway, PlanOffer, PlanPublishing
from core.runtime import config


async def reference_of(gateway: PaymentGateway, plan_id: int, name: str, price: Money, interval: Interval) -> str:
    """Return what a gateway calls a plan at a price; empty where it does not have to know.

    Raises:
        ProviderError: As the gateway's ``publish_plan``.
    """
    if not isinstance(gateway, PlanPublishing):
        return ""
    known = await database.fetch_value(
        "SELECT reference FROM gateway_plans WHERE gateway = $1 AND plan_id = $2 AND currency = $3 AND interval = $4"
        " AND amount = $5",
        gateway.name,
        plan_id,
        price.currency,
        interval,
        price.amount,
    )
    if isinstance(known, str):
        return known
    offer = PlanOffer(
        plan_id=plan_id, plan_name=name, price=price, interval=interval, return_url=config().server.base_url
    )
    made = await gateway.publish_plan(offer, idempotency_key=_key(gateway.name, offer))
    # Whoever was first, at once with others, is right: the prices are the same.
    kept = await database.fetch_value(
        "INSERT INTO gateway_plans AS g (gateway, plan_id, currency, interval, amount, reference, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, now()) ON CONFLICT (gateway, plan_id, currency, interval, amount)"
        " DO UPDATE SET reference = g.reference RETURNING reference",
        gateway.name,
        plan_id,
        price.currency,
        interval,
        price.amount,
        made,
    )
    return str(kept)


def _key(gateway: str, offer: PlanOffer) -> str:
    """Return the idempotency key of publishing: what is published decides it, so nothing has to be stored before."""
    named = f"{gateway}:{offer.plan_id}:{offer.plan_name}:{offer.price.amount.normalize()}:{offer.price.currency}"
    return f"plan-{hashlib.sha256(f'{named}:{offer.interval}:{offer.return_url}'.encode()).hexdigest()[:40]}"
