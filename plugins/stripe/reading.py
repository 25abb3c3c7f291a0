"""Read all that a snapshot is made of."""

from core.plugin import References, Snapshot
from plugins.stripe.checkout import REFERENCE
from plugins.stripe.connection import Connection
from plugins.stripe.lookup import find_subscription
from plugins.stripe.objects import Charge, Dispute, Invoice, Session, Subscription, id_of
from plugins.stripe.snapshot import WON, of_session, of_subscription

_DOING = "reading a subscription"
_INVOICES = 12
"""How many of the latest invoices are read: a year of monthly ones."""
_PAGE = 100
_DAY = 24 * 60 * 60


async def fetch(connection: Connection, refs: References) -> Snapshot | None:
    """Return the present state of a subscription or of its checkout; ``None`` where there is none of ours."""
    found = await find_subscription(connection, refs)
    if isinstance(found, Session):
        return of_session(found)
    return await _read(connection, found, refs.checkout_id) if found else None


async def _read(connection: Connection, number: str, checkout_id: str) -> Snapshot | None:
    found = await connection.find(lambda v1: v1.subscriptions.retrieve_async(number), Subscription, _DOING)
    if found is None or REFERENCE not in found.metadata:
        return None
    invoices = await _invoices(connection, number)
    charges = await _charges(connection, id_of(found.customer), invoices)
    disputed = {one.id for one in charges if one.disputed and await _is_lost(connection, one.id)}
    return of_subscription(found, invoices, charges, disputed, checkout_id)


async def _invoices(connection: Connection, subscription: str) -> list[Invoice]:
    return await connection.rows(
        lambda v1: v1.invoices.list_async(
            {"subscription": subscription, "limit": _INVOICES, "expand": ["data.payments"]}
        ),
        Invoice,
        _DOING,
    )


async def _charges(connection: Connection, customer: str, invoices: list[Invoice]) -> list[Charge]:
    """Return the customer's charges since the oldest of ``invoices``: they name their payment, not the invoice."""
    if not invoices:
        return []
    # A payment on Stripe's page may begin before its invoice exists.
    since = min(one.created for one in invoices) - _DAY
    return await connection.rows(
        lambda v1: v1.charges.list_async({"customer": customer, "created": {"gte": since}, "limit": _PAGE}),
        Charge,
        _DOING,
        every=True,
    )


async def _is_lost(connection: Connection, charge: str) -> bool:
    """Whether a dispute about the charge is open or lost; the charge stays ``disputed`` when it was won."""
    listed = await connection.rows(
        lambda v1: v1.disputes.list_async({"charge": charge, "limit": _PAGE}), Dispute, _DOING
    )
    return any(one.status not in WON for one in listed)
