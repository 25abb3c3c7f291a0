"""What a lost hint or a dead process left: found again every second."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from core import database, queue
from core.notifications import claims, notifier_states, outbox, planning
from core.notifications.channels import lanes, notifiers_of
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
    if await claims.any_left_to_be_mailed():
        await _mail_instead(claims.give_up_left)
    await database.execute(_OVER, list(KINDS), [kind.lasts.total_seconds() for kind in KINDS.values()])
    if await planning.any_unplanned():
        await queue.send(outbox.ACTOR, queue=queue.NOTIFICATIONS)
    due = await claims.due_lanes()
    for lane in lanes():
        names = [found.name for found in notifiers_of(lane)]
        if await notifier_states.away(names) == frozenset(names):
            # Each delivery would have to fail by itself, a few in each pause: what matters cannot wait for its turn.
            if lane.channel == "realtime" and await claims.any_starving(lane):
                await _mail_instead(partial(claims.give_up_starving, lane))
        elif (lane.channel, lane.notifier) in due and await notifier_states.usable(names):
            await queue.send(planning.DELIVER, lane.name, queue=queue.NOTIFICATIONS)


async def _mail_instead(give_up: Callable[[], Awaitable[Sequence[int]]]) -> None:
    async with database.unit_of_work():
        await planning.alone()
        await planning.mail_instead(await give_up())
