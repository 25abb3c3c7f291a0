"""What the scheduler does every second: wakes dispatch, expires leases, completes, starts what is due, heals."""

from datetime import datetime

from core import database, queue
from core.campaigns import completion, failover, lanes, reconcile, skipping, waiting
from core.campaigns.schemas import FAILOVER_MINUTES

HEAL = """
UPDATE lanes l SET due_at = $1, wakes = l.wakes + 1
FROM numbers n
WHERE n.id = l.number_id AND n.status AND n.deleted_at IS NULL AND n.status_connection
  AND l.due_at IS NULL AND (l.holder IS NULL OR l.lease_until < $1)
  AND EXISTS (SELECT FROM campaign_numbers c JOIN campaigns k ON k.id = c.campaign_id AND k.status = 2
              JOIN users u ON u.id = k.user_id AND u.status = 'active'
                  AND (u.due_access_at IS NULL OR u.due_access_at > $1)
              JOIN message_by_contacts m ON m.campaign_id = k.id AND m.state = 'pending' AND m.due_at <= $1
                  AND (m.number_id = l.number_id OR m.number_id IS NULL)
              WHERE c.number_id = l.number_id)
"""


async def sweep(now: datetime) -> None:
    """One round at ``now``; each part repairs what a lost queue message or a killed process left behind.

    What needs the database alone comes first: a Redis that is away must not hold it up.
    """
    await repair(now)
    await _hint(now)


async def repair(now: datetime) -> None:
    """Write down what became of the campaigns by ``now``, whoever should have noticed it before."""
    await reconcile.expire_leases(now)
    await skipping.skip_strays(now)
    await completion.complete_finished(now)
    await failover.fail_over(now, FAILOVER_MINUTES)
    await waiting.begin_connected(now)
    await database.execute(HEAL, now)


async def _hint(now: datetime) -> None:
    if await lanes.any_due(now):
        await queue.send("campaigns.dispatch", queue=queue.DISPATCH)
    doubtful = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM message_by_contacts WHERE state IN ('unknown', 'accepted') AND lease_until < $1)",
        now,
    )
    if doubtful:
        await queue.send("campaigns.reconcile", queue=queue.EVENTS)
