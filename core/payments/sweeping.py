"""What the time brings: graces and subscriptions that end, plans that were planned, trials that are about to end."""

from datetime import datetime

import structlog

from core import database
from core.announcing import announce
from core.events.catalogue import TrialEnds
from core.payments.subscriptions import due_by_time, let_time_pass

BATCH = 200
TRIAL_WARNING = "3 days"

_log = structlog.get_logger(__name__)


async def sweep(now: datetime) -> None:
    """Let the time pass for every subscription of which it makes something else."""
    for subscription_id in await due_by_time(now, BATCH):
        try:
            async with database.unit_of_work():
                await let_time_pass(subscription_id, now)
        except Exception:  # noqa: BLE001 - one subscription must not keep the others from their due
            _log.exception("subscription_not_swept", subscription_id=subscription_id)
    await _announce_trial_ends(now)


async def _announce_trial_ends(now: datetime) -> None:
    rows = await database.fetch(
        "SELECT id, user_id, plan_id, access_until, amount::text, currency FROM subscriptions"
        " WHERE closed_at IS NULL AND status = 'trial' AND auto_renew AND NOT duplicate"
        f" AND access_until BETWEEN $1 AND $1::timestamptz + interval '{TRIAL_WARNING}'"
        " AND NOT EXISTS (SELECT FROM notifications n"
        " WHERE n.key = 'subscription:' || subscriptions.id || ':trial_ends')"
        " LIMIT $2",
        now,
        BATCH,
    )
    for row in rows:
        event = TrialEnds(
            plan_id=row["plan_id"],
            access_until=row["access_until"],
            amount=row["amount"],
            currency=row["currency"],
        )
        async with database.unit_of_work():
            await announce(row["user_id"], event, f"subscription:{row['id']}:trial_ends")
