"""Changing a subscription: another plan, its end, its going on, and money paid back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.plugin import (
    ChangePreview,
    CheckoutStep,
    Money,
    PlanChange,
    Redirect,
    References,
    RefusedError,
    RetryableError,
)
from plugins.stripe.amounts import minor, money
from plugins.stripe.catalog import ensure_price
from plugins.stripe.connection import Connection, under
from plugins.stripe.lookup import find_subscription
from plugins.stripe.objects import Invoice, Item, Line, Subscription

if TYPE_CHECKING:
    from stripe.params import (
        InvoiceCreatePreviewParamsSubscriptionDetails,
        RefundCreateParams,
        SubscriptionUpdateParams,
    )

_CHANGING = "changing a plan"
_CANCELING = "canceling a subscription"
_RESUMING = "resuming a subscription"


async def subscription_id(connection: Connection, refs: References) -> str:
    """Return the id of the subscription that ``refs`` lead to.

    Raises:
        RefusedError: They lead to none.
    """
    found = await find_subscription(connection, refs)
    if not isinstance(found, str) or not found:
        raise RefusedError("Stripe knows no subscription of this.", provider_code="resource_missing")
    return found


async def change_plan(connection: Connection, refs: References, change: PlanChange) -> CheckoutStep | None:
    """Change the price of the one item; without its id Stripe would add a second, without a quantity set it to one.

    At once it counts only when the difference is paid: https://docs.stripe.com/billing/subscriptions/pending-updates.
    """
    number = await subscription_id(connection, refs)
    item = await _item(connection, number)
    price = await _price_of(connection, change)
    if item.price.id == price:
        return None
    _expect_possible(item, change)
    params: SubscriptionUpdateParams = {
        "items": [{"id": item.id, "price": price, "quantity": item.quantity or 1}],
        "expand": ["latest_invoice"],
    }
    if change.at_once:
        params["proration_behavior"] = "always_invoice"
        params["payment_behavior"] = "pending_if_incomplete"
        if change.as_of:
            params["proration_date"] = int(change.as_of.timestamp())
    else:
        params["proration_behavior"] = "none"
    changed = await connection.read(
        lambda v1: v1.subscriptions.update_async(number, params, under(change.idempotency_key)), Subscription, _CHANGING
    )
    if changed.pending_update is None:
        return None
    invoice = changed.latest_invoice
    if not isinstance(invoice, Invoice) or not invoice.hosted_invoice_url:
        raise RetryableError(f"{_CHANGING}: Stripe gave no address to pay at.")
    return Redirect(
        url=invoice.hosted_invoice_url,
        gateway_id=number,
        expires_at=datetime.fromtimestamp(changed.pending_update.expires_at, UTC),
    )


async def preview_change(connection: Connection, refs: References, change: PlanChange) -> ChangePreview:
    """Ask what the change would cost at one moment, which is then handed to the change itself."""
    number = await subscription_id(connection, refs)
    item = await _item(connection, number)
    _expect_possible(item, change)
    price = await _price_of(connection, change)
    details: InvoiceCreatePreviewParamsSubscriptionDetails = {
        "items": [{"id": item.id, "price": price, "quantity": item.quantity or 1}],
        "proration_behavior": "always_invoice" if change.at_once else "none",
    }
    if change.at_once and change.as_of:
        details["proration_date"] = int(change.as_of.timestamp())
    preview = await connection.read(
        lambda v1: v1.invoices.create_preview_async({"subscription": number, "subscription_details": details}),
        Invoice,
        _CHANGING,
    )
    if change.at_once:
        due, following = money(max(preview.amount_due, 0), preview.currency), change.price
        ends = _next_charge(preview.lines.data, item)
    else:
        due, following = money(0, preview.currency), money(preview.amount_due, preview.currency)
        ends = item.current_period_end
    as_of = preview.prorated_at or preview.created
    return ChangePreview(
        due_now=due,
        next_charge=following,
        next_charge_at=datetime.fromtimestamp(ends, UTC),
        as_of=datetime.fromtimestamp(as_of, UTC),
    )


def _next_charge(lines: Sequence[Line], item: Item) -> int:
    """Return the end of a period that begins with the change, as one of another length does; else the present one's."""
    return max([item.current_period_end if not lines else 0, *(one.period.end for one in lines)])


async def cancel(connection: Connection, refs: References, *, at_period_end: bool, key: str) -> None:
    """End a subscription with its period or now; it pays nothing back. One that is over is no error."""
    number = await subscription_id(connection, refs)
    try:
        if at_period_end:
            await connection.call(
                lambda v1: v1.subscriptions.update_async(number, {"cancel_at_period_end": True}, under(key)), _CANCELING
            )
        else:
            await connection.call(lambda v1: v1.subscriptions.cancel_async(number, {}, under(key)), _CANCELING)
    except RefusedError:
        found = await connection.find(lambda v1: v1.subscriptions.retrieve_async(number), Subscription, _CANCELING)
        if found is None or not found.is_over:
            raise


async def resume(connection: Connection, refs: References, key: str) -> None:
    """Take a cancellation back, whichever of the two ways it was made, or end a pause."""
    number = await subscription_id(connection, refs)
    found = await connection.read(lambda v1: v1.subscriptions.retrieve_async(number), Subscription, _RESUMING)
    if found.status == "paused":
        await connection.call(lambda v1: v1.subscriptions.resume_async(number, {}, under(key)), _RESUMING)
        return
    if found.is_over:
        raise RefusedError("The subscription is over: it cannot go on.", provider_code="subscription_over")
    params: SubscriptionUpdateParams
    if found.cancel_at_period_end:
        params = {"cancel_at_period_end": False}
    elif found.cancel_at is not None:
        params = {"cancel_at": ""}
    else:
        return
    await connection.call(lambda v1: v1.subscriptions.update_async(number, params, under(key)), _RESUMING)


async def refund(connection: Connection, transaction_id: str, price: Money, key: str) -> None:
    """Pay back a charge or a part of it.

    Raises:
        RefusedError: Among others, the payment was made outside of Stripe.
    """
    if transaction_id.startswith("in_"):
        raise RefusedError(
            "This was paid outside of Stripe, so it is paid back there too.", provider_code="paid_out_of_band"
        )
    params: RefundCreateParams = {"amount": minor(price)}
    if transaction_id.startswith("pi_"):
        params["payment_intent"] = transaction_id
    else:
        params["charge"] = transaction_id
    await connection.call(lambda v1: v1.refunds.create_async(params, under(key)), "paying back")


async def _item(connection: Connection, number: str) -> Item:
    found = await connection.read(lambda v1: v1.subscriptions.retrieve_async(number), Subscription, _CHANGING)
    if not found.items.data:
        raise RefusedError("The subscription sells nothing that could change.", provider_code="no_items")
    return found.items.data[0]


async def _price_of(connection: Connection, change: PlanChange) -> str:
    if change.plan_reference:
        return change.plan_reference
    key = f"{change.idempotency_key}:price"
    return await ensure_price(
        connection, change.plan_id, change.plan_name, change.price, change.interval, idempotency_key=key
    )


def _expect_possible(item: Item, change: PlanChange) -> None:
    """Another interval begins a new period at once, so it cannot wait for the next charge."""
    recurring = item.price.recurring
    if recurring and recurring.interval != change.interval and not change.at_once:
        raise RefusedError(
            "From monthly to yearly or back changes at once only: a new period begins with it.",
            provider_code="interval_changes_at_once",
        )
