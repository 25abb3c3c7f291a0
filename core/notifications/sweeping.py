"""What a lost hint or a dead process left: found again every second."""

from core import database, queue
from core.notifications import claims, notifier_states, outbox, planning
from core.notifications.channels import Lane, lanes, notifiers_of
from core.notifications.kinds import KINDS

_OVER = """
UPDATE notification_deliveries SET status = 'failed', reason = left('too late: ' || reason, 255)
WHERE id IN (SELECT d.id FROM notification_deliveries d
             JOIN unnest($1::text[], $2::float8[]) AS k(kind, seconds) ON k.kind = d.kind
             WHERE d.status = 'pending' AND d.due_at <= now()
               AND d.created_at < now() - make_interval(secs => k.seconds) LIMIT 500)
"""


async def sweep() -> None:
    """Have the unplanned planned and the due delivered, free what dead processes hold, and end what is too late."""
    await claims.take_over()
    await database.execute(_OVER, list(KINDS), [kind.lasts.total_seconds() for kind in KINDS.values()])
    if await planning.any_unplanned():
        await queue.send(outbox.ACTOR, queue=queue.NOTIFICATIONS)
    due = await claims.due_lanes()
    for lane in lanes():
        if (lane.channel, lane.notifier) in due and await _is_usable(lane):
            await queue.send(planning.DELIVER, lane.name, queue=queue.NOTIFICATIONS)


async def _is_usable(lane: Lane) -> bool:
    return bool(await notifier_states.usable([found.name for found in notifiers_of(lane)]))
