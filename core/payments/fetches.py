"""Which subscriptions are worth fetching: one row for each, however many hints came."""

from collections.abc import Mapping
from datetime import datetime

from core import database, queue
from core.audit import services as audit
from core.errors import NotFoundError
from core.notifications.alarms import FETCH_ALARMS, clear_alarms
from core.plugin import References

ACTOR = "payments.fetch"
RECONCILED_AT_ONCE = 2000
"""Every ten minutes, so that a night is enough for a hundred thousand."""

_WANT = """
INSERT INTO gateway_fetches (gateway, subject, refs, due_at, created_at) VALUES ($1, $2, $3, now(), now())
ON CONFLICT (gateway, subject) DO UPDATE SET wanted = gateway_fetches.wanted + 1, due_at = now(), attempts = 0,
    failed_at = NULL, error = ''
"""


async def want(gateway: str, refs: References) -> None:
    """Have a subscription fetched soon; joins the present unit of work, which it needs."""
    await database.execute(_WANT, gateway, subject_of(refs), database.encode_json(refs))
    queue.enqueue(ACTOR, queue=queue.EVENTS)


def subject_of(refs: References) -> str:
    """Return one name for what ``refs`` lead to, so that hints about the same are one."""
    if refs.gateway_id:
        return f"subscription:{refs.gateway_id}"[:255]
    if refs.checkout_id:
        return f"checkout:{refs.checkout_id}"[:255]
    if refs.reference:
        return f"reference:{refs.reference}"[:255]
    return f"{refs.object_kind}:{refs.object_id}"[:255]


async def sweep() -> None:
    """Wake a worker for what is due: whose message was lost, or whose time has come."""
    waiting = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM gateway_fetches WHERE failed_at IS NULL AND due_at <= now()"
        " AND (lease_until IS NULL OR lease_until <= now()))"
    )
    if waiting:
        await queue.send(ACTOR, queue=queue.EVENTS)


async def reconcile(now: datetime) -> int:
    """Have every subscription fetched that is not over and was not looked at for a day; return how many."""
    async with database.unit_of_work():
        rows = await database.fetch(
            "SELECT id, gateway, gateway_id FROM subscriptions s WHERE closed_at IS NULL"
            " AND fetched_at < $1::timestamptz - interval '24 hours'"
            " AND NOT EXISTS (SELECT FROM gateway_fetches f WHERE f.gateway = s.gateway"
            " AND f.subject = 'subscription:' || s.gateway_id) ORDER BY fetched_at LIMIT $2",
            now,
            RECONCILED_AT_ONCE,
        )
        for row in rows:
            await want(row["gateway"], References(gateway_id=row["gateway_id"]))
    return len(rows)


async def replay(actor_id: int, fetch_id: int) -> Mapping[str, object]:
    """Let a fetch that was given up, or waits, begin anew."""
    async with database.unit_of_work():
        row = await database.fetch_row(
            "UPDATE gateway_fetches SET due_at = now(), attempts = 0, failed_at = NULL, wanted = wanted + 1"
            " WHERE id = $1 RETURNING *",
            fetch_id,
        )
        if row is None:
            raise NotFoundError("fetch", fetch_id)
        await clear_alarms("gateway_fetch", [fetch_id], FETCH_ALARMS)
        await audit.record("gateway_fetch.replayed", user_id=actor_id, entity_id=fetch_id)
        queue.enqueue(ACTOR, queue=queue.EVENTS)
    return dict(row)


async def want_calmly(gateway: str, refs: References) -> None:
    """As ``want``, for somebody who looks again and again: what waits already is not wanted more."""
    found = await database.execute(
        "INSERT INTO gateway_fetches (gateway, subject, refs, due_at, created_at) VALUES ($1, $2, $3, now(), now())"
        " ON CONFLICT (gateway, subject) DO NOTHING",
        gateway,
        subject_of(refs),
        database.encode_json(refs),
    )
    if found:
        queue.enqueue(ACTOR, queue=queue.EVENTS)
