"""Sell plans through Mercado Pago: subscriptions without a plan that the payer authorizes, or a plan's link."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from core.plugin import (
    Checkout,
    CheckoutStep,
    ConfigurationError,
    GatewayCapabilities,
    GatewayVerdict,
    Money,
    PlanChange,
    Redirect,
    References,
    RefusedError,
    RetryableError,
    Secret,
    Snapshot,
    WebhookDelivery,
    to_minor,
)
from plugins.mercadopago import webhook
from plugins.mercadopago.answers import Anything, Plan, Preapproval, User
from plugins.mercadopago.connection import API_URL, Connection
from plugins.mercadopago.lookup import PLAN_PREFIX, REFERENCE_PARAMETER, Lookup
from plugins.mercadopago.reading import CANCELLED, FINISHED, PENDING, is_interval, recurring_of
from plugins.mercadopago.sites import CURRENCIES, Site


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A seller's account, and how it is used; the settings' docstrings say what each means."""

    access_token: Secret
    webhook_secrets: tuple[Secret, ...]
    site: Site
    checkout: Literal["pending", "plan"] = "pending"
    api_url: str = API_URL
    timeout_seconds: float = 20.0
    replay_window_seconds: int = 86_400


class MercadoPagoGateway:
    """One account at Mercado Pago."""

    name = "mercadopago"

    def __init__(self, account: Account) -> None:
        self._account = account
        self._currency = CURRENCIES[account.site]
        # Only a pause can be ended; what was cancelled is over, so nothing can be taken back.
        self.capabilities = GatewayCapabilities(
            plan_change=True,
            portal=False,
            refund=True,
            trials=True,
            currencies=(self._currency,),
            intervals=("month", "year"),
        )
        self._connection = Connection(account.access_token, account.api_url, account.timeout_seconds)
        self._lookup = Lookup(self._connection)

    async def start(self, checkout: Checkout) -> CheckoutStep:
        """Make a subscription that waits for its payer, or a plan of which the payer makes one.

        Mercado Pago promises nothing about the idempotency key of ``POST /preapproval``. So one with this reference is
        searched for first, and again when the outcome of the call is unknown.
        """
        self._check_price(checkout.price)
        _check_address(checkout.success_url, self._account.api_url)
        if checkout.coupon:
            raise RefusedError("Mercado Pago has no coupons for subscriptions.")
        if self._account.checkout == "plan":
            return await self._start_plan(checkout)
        if (known := await self._lookup.by_reference(checkout.reference)) is not None:
            return _step(known.init_point, known.id, known)
        body = _terms(checkout) | {
            "external_reference": checkout.reference,
            "payer_email": checkout.payer_email,
            "back_url": checkout.success_url,
            "status": PENDING,
        }
        try:
            made = await self._connection.change(
                lambda sdk, options: sdk.preapproval().create(body, options),
                Preapproval,
                "starting a subscription",
                checkout.idempotency_key,
            )
        except RetryableError as error:
            made_all_the_same = await self._lookup.by_reference(checkout.reference)
            if made_all_the_same is None:
                raise error from None
            made = made_all_the_same
        return _step(made.init_point, made.id, made)

    async def fetch(self, refs: References) -> Snapshot | None:
        """Ask for the subscription, its installments and their payments."""
        return await self._lookup.snapshot(refs)

    async def change_plan(self, refs: References, change: PlanChange) -> CheckoutStep | None:
        """Change what the next charge takes; the payer is asked for nothing."""
        if change.at_once:
            raise RefusedError("Mercado Pago charges no difference: a new price counts from the next charge on.")
        self._check_price(change.price)
        current = await self._required(refs)
        if not is_interval(current.auto_recurring, change.interval):
            raise RefusedError("Mercado Pago cannot change how often a subscription is charged: it takes a new one.")
        amount = {"transaction_amount": str(change.price.amount), "currency_id": change.price.currency}
        body: dict[str, object] = {"auto_recurring": amount, "reason": change.plan_name}
        await self._update(current.id, body, "changing the price of a subscription", change.idempotency_key)
        return None

    async def cancel(self, refs: References, *, at_period_end: bool, idempotency_key: str) -> None:
        """Cancel for good; Mercado Pago knows no end of the period, so both are the same call."""
        del at_period_end
        current = await self._required(refs)
        if current.status in {CANCELLED, FINISHED}:
            return
        try:
            await self._update(current.id, {"status": CANCELLED}, "cancelling a subscription", idempotency_key)
        except RefusedError as refusal:
            # Payer and seller can cancel too, meanwhile.
            now = await self._lookup.by_id(current.id)
            if now is None or now.status not in {CANCELLED, FINISHED}:
                raise refusal from None

    async def resume(self, refs: References, *, idempotency_key: str) -> None:
        """End a pause; a cancellation cannot be taken back."""
        current = await self._required(refs)
        if current.status == CANCELLED:
            raise RefusedError("Mercado Pago cannot take back a cancellation: it takes a new subscription.")
        await self._update(current.id, {"status": "authorized"}, "resuming a subscription", idempotency_key)

    async def expire(self, refs: References, *, idempotency_key: str) -> None:
        """Cancel a subscription that nobody has authorized."""
        found = await self._lookup.find(refs)
        if found is None:
            if refs.checkout_id.startswith(PLAN_PREFIX):
                raise RefusedError("Mercado Pago has no way to close the link of a plan.")
            return
        if found.status == PENDING:
            await self.cancel(References(gateway_id=found.id), at_period_end=False, idempotency_key=idempotency_key)

    async def refund(self, transaction_id: str, price: Money, *, idempotency_key: str) -> None:
        """Pay back a payment, or a part of it, within 180 days and from the account's balance."""
        self._check_price(price)
        body = {"amount": str(price.amount)}
        await self._connection.change(
            lambda sdk, options: sdk.refund().create(transaction_id, body, options),
            Anything,
            "paying a payment back",
            idempotency_key,
        )

    async def portal(self, refs: References, return_url: str) -> str:
        """Mercado Pago has no such page for a seller's payers."""
        del refs, return_url
        raise RefusedError("Mercado Pago has no page on which payers manage one seller's subscription.")

    def receive(self, delivery: WebhookDelivery, secrets: Sequence[Secret]) -> GatewayVerdict:
        """Verify what Mercado Pago signs: the object's id, the request's id and the time."""
        known = (*secrets, *self._account.webhook_secrets)
        return webhook.receive(delivery, known, self._account.replay_window_seconds, datetime.now(UTC))

    async def check(self) -> str:
        """Say which account answers; its site must be that of the settings."""
        user = await self._connection.find(
            lambda sdk, options: sdk.user().get(options), User, "asking which account this is"
        )
        if user is None:
            raise ConfigurationError("Mercado Pago knows no account of the access token.")
        if user.site_id != self._account.site:
            raise ConfigurationError(
                f"The account {user.id} is of the site {user.site_id[:10]}: write that into [plugins.mercadopago] site."
            )
        proof = "" if self._account.webhook_secrets else "; no webhook_secrets are set"
        return f"Mercado Pago, account {user.id}, site {user.site_id}, {self._currency}{proof}"

    async def aclose(self) -> None:
        """Let the threads end."""
        self._connection.close()

    async def _start_plan(self, checkout: Checkout) -> CheckoutStep:
        """Make a plan for this checkout alone, so that whoever subscribes to it is this checkout's payer.

        A plan that was made twice hurts nobody: only one link is ever shown.
        """
        back_url = _with_parameter(checkout.success_url, REFERENCE_PARAMETER, checkout.reference)
        body = _terms(checkout) | {"back_url": back_url}
        plan = await self._connection.change(
            lambda sdk, options: sdk.plan().create(body, options), Plan, "making a plan", checkout.idempotency_key
        )
        return _step(plan.init_point, f"{PLAN_PREFIX}{plan.id}", None)

    async def _update(self, gateway_id: str, body: dict[str, object], doing: str, key: str) -> None:
        await self._connection.change(
            lambda sdk, options: sdk.preapproval().update(gateway_id, body, options), Anything, doing, key
        )

    async def _required(self, refs: References) -> Preapproval:
        found = await self._lookup.find(refs)
        if found is None:
            raise RefusedError("Mercado Pago does not know this subscription.")
        return found

    def _check_price(self, price: Money) -> None:
        if price.currency != self._currency:
            raise ConfigurationError(
                f"The seller's account at Mercado Pago charges {self._currency} and not {price.currency}: give the plan"
                " a price in it, or set [plugins.mercadopago] site."
            )
        try:
            minor = to_minor(price)
        except ValueError as error:
            raise RefusedError(f"Mercado Pago cannot charge this: {error}.") from None
        if minor <= 0:
            raise RefusedError("Mercado Pago cannot charge or pay back nothing.")


def _terms(checkout: Checkout) -> dict[str, object]:
    recurring = recurring_of(checkout.interval) | {
        "transaction_amount": str(checkout.price.amount),
        "currency_id": checkout.price.currency,
    }
    if checkout.trial_days:
        recurring["free_trial"] = {"frequency": checkout.trial_days, "frequency_type": "days"}
    return {"reason": checkout.plan_name, "auto_recurring": recurring}


def _check_address(url: str, api_url: str) -> None:
    """Mercado Pago takes https alone to come back to; a simulator may take what there is on this machine."""
    if api_url.rstrip("/") == API_URL and not url.startswith("https://"):
        raise ConfigurationError(
            "Mercado Pago sends payers back to https addresses alone: set [server] public_url to the platform's public"
            " https address."
        )


def _with_parameter(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query, keep_blank_values=True), (name, value)])))


def _step(link: str | None, checkout_id: str, made: Preapproval | None) -> Redirect:
    parts = urlsplit(link or "")
    if parts.scheme not in {"https", "http"}:
        raise RetryableError("Mercado Pago's answer names no page for the payer.")
    # With activation=true some links lead to a page that does not exist (mercadopago/sdk-nodejs, issue 480).
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "activation"]
    payer = "" if made is None or made.payer_id is None else str(made.payer_id)
    return Redirect(url=urlunsplit(parts._replace(query=urlencode(kept))), gateway_id=checkout_id, customer_id=payer)
