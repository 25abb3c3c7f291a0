"""Beginning a subscription: on Stripe's page, or with a secret for its script.

https://docs.stripe.com/billing/subscriptions/build-subscriptions. Which means of payment are offered is chosen in
Stripe's dashboard: no call names any.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.plugin import Checkout, CheckoutStep, ClientSecret, ProviderError, Redirect, RefusedError, RetryableError
from plugins.stripe.amounts import minor
from plugins.stripe.catalog import PLAN, ensure_price, find_promotion
from plugins.stripe.connection import Connection, is_missing, under
from plugins.stripe.objects import Invoice, Named, Secrets, Session, Subscription

if TYPE_CHECKING:
    from stripe.params import SubscriptionCreateParams
    from stripe.params.checkout import SessionCreateParams, SessionCreateParamsLineItem

REFERENCE = "recado_reference"
"""The key in the metadata under which every object of ours names core's intent."""
_INCOMPLETE_HOURS = 23
"""How long a subscription waits for its first payment."""
_DOING = "beginning a subscription"


async def start(connection: Connection, checkout: Checkout, publishable_key: str) -> CheckoutStep:
    """Begin a subscription for a customer who is made where there is none; every call has a key of its own."""
    if not checkout.customer_id:
        return await _begin(connection, checkout, await _new_customer(connection, checkout), publishable_key)
    try:
        return await _begin(connection, checkout, checkout.customer_id, publishable_key)
    except RefusedError as error:
        # Deleted in the dashboard, or of the other mode.
        if error.provider_code != "resource_missing" or await _exists(connection, checkout.customer_id):
            raise
    customer = await _new_customer(connection, checkout)
    return await _begin(connection, checkout, customer, publishable_key, again=":again")


async def _begin(
    connection: Connection, checkout: Checkout, customer: str, publishable_key: str, again: str = ""
) -> CheckoutStep:
    promotion = await find_promotion(connection, checkout.coupon) if checkout.coupon else ""
    key = f"{checkout.idempotency_key}{again}"
    if publishable_key:
        return await _subscribe(connection, checkout, customer, promotion, publishable_key, key)
    return await _open_session(connection, checkout, customer, promotion, key)


async def _new_customer(connection: Connection, checkout: Checkout) -> str:
    made = await connection.read(
        lambda v1: v1.customers.create_async(
            {
                "email": checkout.payer_email,
                "name": checkout.payer_name,
                "preferred_locales": [checkout.locale],
                "metadata": {REFERENCE: checkout.reference},
            },
            under(f"{checkout.idempotency_key}:customer"),
        ),
        Named,
        _DOING,
    )
    return made.id


async def _exists(connection: Connection, customer: str) -> bool:
    found = await connection.find(lambda v1: v1.customers.retrieve_async(customer), Named, _DOING)
    return found is not None and not found.deleted


async def _open_session(
    connection: Connection, checkout: Checkout, customer: str, promotion: str, key: str
) -> Redirect:
    metadata = _metadata(checkout)
    params: SessionCreateParams = {
        "mode": "subscription",
        "customer": customer,
        "client_reference_id": checkout.reference,
        "metadata": metadata,
        "line_items": [_line_item(checkout)],
        "subscription_data": {"metadata": metadata},
        "success_url": checkout.success_url,
        "cancel_url": checkout.cancel_url,
        "locale": checkout.locale,
    }
    if checkout.trial_days:
        params["subscription_data"]["trial_period_days"] = checkout.trial_days
    if promotion:
        params["discounts"] = [{"promotion_code": promotion}]
    made = await connection.read(lambda v1: v1.checkout.sessions.create_async(params, under(key)), Session, _DOING)
    if not made.url:
        raise RetryableError(f"{_DOING}: Stripe gave no address to pay at.")
    expires_at = datetime.fromtimestamp(made.expires_at, UTC)
    return Redirect(url=made.url, gateway_id=made.id, expires_at=expires_at, customer_id=customer)


def _line_item(checkout: Checkout) -> "SessionCreateParamsLineItem":
    if checkout.plan_reference:
        return {"price": checkout.plan_reference, "quantity": 1}
    return {
        "price_data": {
            "currency": checkout.price.currency.lower(),
            "unit_amount": minor(checkout.price),
            "recurring": {"interval": checkout.interval},
            "product_data": {"name": checkout.plan_name, "metadata": {PLAN: str(checkout.plan_id)}},
        },
        "quantity": 1,
    }


async def _subscribe(
    connection: Connection, checkout: Checkout, customer: str, promotion: str, publishable_key: str, key: str
) -> CheckoutStep:
    price = checkout.plan_reference or await ensure_price(
        connection,
        checkout.plan_id,
        checkout.plan_name,
        checkout.price,
        checkout.interval,
        idempotency_key=f"{checkout.idempotency_key}:price",
    )
    params: SubscriptionCreateParams = {
        "customer": customer,
        "items": [{"price": price, "quantity": 1}],
        "payment_behavior": "default_incomplete",
        "payment_settings": {"save_default_payment_method": "on_subscription"},
        "metadata": _metadata(checkout),
        "expand": ["latest_invoice.confirmation_secret", "pending_setup_intent"],
    }
    if checkout.trial_days:
        params["trial_period_days"] = checkout.trial_days
    if promotion:
        params["discounts"] = [{"promotion_code": promotion}]
    made = await connection.read(lambda v1: v1.subscriptions.create_async(params, under(key)), Subscription, _DOING)
    secret = _secret_of(made)
    if not secret:
        # Nothing is due and no card is wanted, with a coupon of 100 % for example.
        return Redirect(url=checkout.success_url, gateway_id=made.id, customer_id=customer)
    ends = datetime.fromtimestamp(made.created, UTC) + timedelta(hours=_INCOMPLETE_HOURS)
    return ClientSecret(
        secret=secret,
        publishable_key=publishable_key,
        gateway_id=made.id,
        expires_at=ends if made.status == "incomplete" else None,
        customer_id=customer,
    )


def _secret_of(made: Subscription) -> str:
    """Return what confirms the first payment, or, where none is due yet, the means of payment."""
    invoice, setup = made.latest_invoice, made.pending_setup_intent
    payment = invoice.confirmation_secret if isinstance(invoice, Invoice) else None
    chosen = payment or (setup if isinstance(setup, Secrets) else None)
    return (chosen.client_secret or "") if chosen else ""


def _metadata(checkout: Checkout) -> dict[str, str]:
    return {REFERENCE: checkout.reference, PLAN: str(checkout.plan_id)}


async def expire(connection: Connection, checkout_id: str, key: str) -> None:
    """Close a checkout; one that is closed, paid or gone is left as it is."""
    doing = "closing a checkout"
    if checkout_id.startswith("sub_"):
        found = await connection.find(lambda v1: v1.subscriptions.retrieve_async(checkout_id), Subscription, doing)
        if found is None or found.status != "incomplete":
            return
    try:
        if checkout_id.startswith("sub_"):
            await connection.call(lambda v1: v1.subscriptions.cancel_async(checkout_id, {}, under(key)), doing)
        else:
            await connection.call(lambda v1: v1.checkout.sessions.expire_async(checkout_id, {}, under(key)), doing)
    except RefusedError as error:
        if not (is_missing(error) or await _is_closed(connection, checkout_id, error)):
            raise


async def _is_closed(connection: Connection, checkout_id: str, refusal: ProviderError) -> bool:
    if checkout_id.startswith("sub_") or refusal.http_status != 400:  # noqa: PLR2004 - HTTP
        return False
    doing = "closing a checkout"
    found = await connection.find(lambda v1: v1.checkout.sessions.retrieve_async(checkout_id), Session, doing)
    return found is None or found.status != "open"
