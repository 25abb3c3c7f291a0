"""Sell plans through Stripe: every change under core's idempotency key, every state from the service."""

from collections.abc import Sequence

from core.plugin import (
    ChangePreview,
    Checkout,
    CheckoutStep,
    ConfigurationError,
    GatewayCapabilities,
    GatewayVerdict,
    Money,
    PlanChange,
    PlanOffer,
    References,
    RefusedError,
    RegisteredWebhook,
    Secret,
    Snapshot,
    WebhookDelivery,
)
from plugins.stripe import catalog, changes, checkout, endpoints, reading, webhook
from plugins.stripe.amounts import EXPONENTS
from plugins.stripe.connection import Connection
from plugins.stripe.lookup import find_subscription
from plugins.stripe.objects import Session, Subscription, id_of

_PORTAL = "opening the customer portal"


class StripeGateway:
    """One account at Stripe; without a publishable key payers are sent to Stripe's own page."""

    name = "stripe"
    capabilities = GatewayCapabilities(
        plan_change=True,
        portal=True,
        refund=True,
        trials=True,
        currencies=tuple(sorted(EXPONENTS)),
        intervals=("month", "year"),
        proration=True,
        resume=True,
        coupons=True,
    )

    def __init__(
        self,
        connection: Connection,
        *,
        webhook_secrets: Sequence[Secret] = (),
        publishable_key: str = "",
        tolerance_seconds: int = 300,
    ) -> None:
        self._connection = connection
        self._webhook_secrets = tuple(webhook_secrets)
        self._publishable_key = publishable_key
        self._tolerance = tolerance_seconds

    async def start(self, checkout: Checkout) -> CheckoutStep:
        """Begin a subscription; repeated with its key it returns the same step for as long as Stripe keeps the key."""
        return await _start(self._connection, checkout, self._publishable_key)

    async def fetch(self, refs: References) -> Snapshot | None:
        """Return the subscription's present state, with its latest payments."""
        return await reading.fetch(self._connection, refs)

    async def change_plan(self, refs: References, change: PlanChange) -> CheckoutStep | None:
        """Change the price; a step is returned where the difference could not be collected."""
        return await changes.change_plan(self._connection, refs, change)

    async def preview_change(self, refs: References, change: PlanChange) -> ChangePreview:
        """Say what the change would cost."""
        return await changes.preview_change(self._connection, refs, change)

    async def cancel(self, refs: References, *, at_period_end: bool, idempotency_key: str) -> None:
        """End the subscription with its period, or now."""
        await changes.cancel(self._connection, refs, at_period_end=at_period_end, key=idempotency_key)

    async def resume(self, refs: References, *, idempotency_key: str) -> None:
        """Let the subscription go on."""
        await changes.resume(self._connection, refs, idempotency_key)

    async def refund(self, transaction_id: str, price: Money, *, idempotency_key: str) -> None:
        """Pay back a charge, or a part of it; the subscription goes on."""
        await changes.refund(self._connection, transaction_id, price, idempotency_key)

    async def expire(self, refs: References, *, idempotency_key: str) -> None:
        """Close the checkout."""
        number = refs.checkout_id
        if not number:
            found = await find_subscription(self._connection, refs)
            number = found.id if isinstance(found, Session) else found
        if number:
            await checkout.expire(self._connection, number, idempotency_key)

    async def portal(self, refs: References, return_url: str) -> str:
        """Return the address of the customer portal; the account's settings of it must have been saved once."""
        customer = refs.customer_id
        if not customer:
            number = await changes.subscription_id(self._connection, refs)
            found = await self._connection.read(
                lambda v1: v1.subscriptions.retrieve_async(number), Subscription, _PORTAL
            )
            customer = id_of(found.customer)
        try:
            opened = await self._connection.call(
                lambda v1: v1.billing_portal.sessions.create_async({"customer": customer, "return_url": return_url}),
                _PORTAL,
            )
        except RefusedError as error:
            if error.provider_code:
                raise
            raise ConfigurationError(
                "Stripe opens no customer portal: save its settings in the dashboard under Billing, Customer portal.",
                http_status=error.http_status,
            ) from None
        return opened.url

    async def publish_plan(self, offer: PlanOffer, *, idempotency_key: str) -> str:
        """Make a product and a price, or find those that were made before."""
        return await catalog.ensure_price(
            self._connection,
            offer.plan_id,
            offer.plan_name,
            offer.price,
            offer.interval,
            idempotency_key=idempotency_key,
        )

    async def register_webhook(self, url: str, *, idempotency_key: str) -> RegisteredWebhook:
        """Let our events be delivered to ``url``, in the API version of the library."""
        return await endpoints.register(self._connection, url, idempotency_key)

    async def is_webhook_current(self, gateway_id: str, url: str) -> bool:
        """Say whether an address is there and enabled, with our events in the API version of the library."""
        return await endpoints.is_current(self._connection, gateway_id, url)

    async def remove_webhook(self, gateway_id: str) -> None:
        """Let nothing be delivered there any more."""
        await endpoints.remove(self._connection, gateway_id)

    def receive(self, delivery: WebhookDelivery, secrets: Sequence[Secret]) -> GatewayVerdict:
        """Judge one delivery, then name what is worth fetching."""
        return webhook.receive(
            delivery,
            (*secrets, *self._webhook_secrets),
            tolerance_seconds=self._tolerance,
            live=self._connection.live,
        )

    async def check(self) -> str:
        """Say which account answers, and whether its webhooks can be verified."""
        return await endpoints.check(self._connection, has_secret=bool(self._webhook_secrets))

    async def aclose(self) -> None:
        """Close the client of this loop."""
        await self._connection.aclose()


_start = checkout.start
