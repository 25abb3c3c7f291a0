"""Let a user never be charged again: an account that is erased, for instance."""

from core import database, queue
from core.payments import actions
from core.payments.tables import ActionKind


async def stop_charging(user_id: int) -> None:
    """Have every subscription of a user ended at once and every open checkout closed; joins the unit of work."""
    rows = await database.fetch(
        "UPDATE subscriptions SET cancel_now_at = coalesce(cancel_now_at, now()), updated_at = now()"
        " WHERE user_id = $1 AND status <> 'canceled' RETURNING id",
        user_id,
    )
    for row in rows:
        key = f"stop:{row['id']}:cancel"
        detail = {"at_period_end": False}
        await actions.ask(ActionKind.CANCEL, user_id=user_id, key=key, subscription_id=row["id"], detail=detail)
    await close_checkouts(user_id)
    queue.enqueue(actions.ACTOR, queue=queue.EVENTS)


async def close_checkouts(user_id: int) -> None:
    """Close every checkout that a user has under way, here and at its gateway; joins the unit of work."""
    rows = await database.fetch(
        "UPDATE checkouts SET status = 'expired', step = '', updated_at = now() WHERE user_id = $1"
        " AND status IN ('created', 'open') RETURNING id, gateway_id",
        user_id,
    )
    for row in rows:
        if row["gateway_id"]:
            key = f"expire:{row['id']}"
            await actions.ask(ActionKind.EXPIRE_CHECKOUT, user_id=user_id, key=key, checkout_id=row["id"])
            queue.enqueue(actions.ACTOR, queue=queue.EVENTS)
