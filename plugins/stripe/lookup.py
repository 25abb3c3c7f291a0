"""From whatever core or a webhook knows to the subscription it belongs to."""

from core.plugin import References
from plugins.stripe.checkout import REFERENCE
from plugins.stripe.connection import Connection
from plugins.stripe.objects import Charge, Dispute, Invoice, Named, PaidInvoice, Session, Subscription, id_of

_DOING = "looking a subscription up"
_LATEST = 100


async def find_subscription(connection: Connection, refs: References) -> str | Session:
    """Return the id of the subscription, the checkout that has none yet, or an empty text where nothing is known.

    The first of the references that leads to something wins: a subscription, a checkout, a thing that a webhook
    named, our own reference, the customer.
    """
    if refs.gateway_id:
        return refs.gateway_id
    if refs.checkout_id:
        return await _of_checkout(connection, refs.checkout_id)
    if refs.object_id:
        return await _of_object(connection, refs.object_kind, refs.object_id)
    if refs.reference:
        return await _of_reference(connection, refs)
    return await _of_customer(connection, refs.customer_id, "") if refs.customer_id else ""


async def _of_checkout(connection: Connection, checkout_id: str) -> str | Session:
    """Follow a checkout, which is a subscription from the start where it is paid with Stripe's script."""
    if checkout_id.startswith("sub_"):
        return checkout_id
    found = await connection.find(lambda v1: v1.checkout.sessions.retrieve_async(checkout_id), Session, _DOING)
    if found is None:
        return ""
    return id_of(found.subscription) or found


async def _of_object(connection: Connection, kind: str, number: str) -> str | Session:
    """Follow a thing that a webhook named."""
    match kind:
        case "subscription":
            return number
        case "checkout.session":
            return await _of_checkout(connection, number)
        case "customer":
            return await _of_customer(connection, number, "")
        case "invoice":
            invoice = await connection.find(lambda v1: v1.invoices.retrieve_async(number), Invoice, _DOING)
            return invoice.subscription_id if invoice else ""
    return await _of_payment(connection, await _payment_of(connection, kind, number))


async def _payment_of(connection: Connection, kind: str, number: str) -> str:
    """Return the payment a thing belongs to; since 2025-03-31.basil it does not name its invoice."""
    found: Charge | Dispute | Named | None = None
    match kind:
        case "payment_intent":
            return number
        case "charge":
            found = await connection.find(lambda v1: v1.charges.retrieve_async(number), Charge, _DOING)
        case "dispute":
            found = await connection.find(lambda v1: v1.disputes.retrieve_async(number), Dispute, _DOING)
        case "refund":
            found = await connection.find(lambda v1: v1.refunds.retrieve_async(number), Named, _DOING)
    return id_of(found.payment_intent) if found else ""


async def _of_payment(connection: Connection, payment_intent: str) -> str:
    """Follow a payment; one that paid no invoice, a purchase of another system for example, leads nowhere."""
    if not payment_intent:
        return ""
    links = await connection.rows(
        lambda v1: v1.invoice_payments.list_async(
            {"payment": {"type": "payment_intent", "payment_intent": payment_intent}, "expand": ["data.invoice"]}
        ),
        PaidInvoice,
        _DOING,
    )
    found = [link.invoice.subscription_id for link in links if isinstance(link.invoice, Invoice)]
    return next(filter(None, found), "")


async def _of_reference(connection: Connection, refs: References) -> str | Session:
    """Search for our own reference.

    The search lags about a minute behind (https://docs.stripe.com/search#data-freshness), the lists do not: where the
    customer is known, they are read.
    """
    if refs.customer_id:
        listed = await _of_customer(connection, refs.customer_id, refs.reference)
        return listed or await _session_of(connection, refs)
    query = f"metadata['{REFERENCE}']:'{refs.reference}'"
    found = await connection.rows(
        lambda v1: v1.subscriptions.search_async({"query": query, "limit": 1}), Subscription, _DOING
    )
    return found[0].id if found else ""


async def _of_customer(connection: Connection, customer: str, reference: str) -> str:
    """Return the newest subscription of ours, one that is not over before those that are."""
    every = await connection.rows(
        lambda v1: v1.subscriptions.list_async({"customer": customer, "status": "all", "limit": _LATEST}),
        Subscription,
        _DOING,
        every=True,
    )
    found = [one for one in every if REFERENCE in one.metadata and reference in {"", one.metadata[REFERENCE]}]
    found.sort(key=lambda one: (not one.is_over, one.created), reverse=True)
    return found[0].id if found else ""


async def _session_of(connection: Connection, refs: References) -> str | Session:
    listed = await connection.rows(
        lambda v1: v1.checkout.sessions.list_async({"customer": refs.customer_id, "limit": _LATEST}), Session, _DOING
    )
    for session in listed:
        if session.client_reference_id == refs.reference:
            return id_of(session.subscription) or session
    return ""
