"""Health from effect: whether what numbers send is acknowledged, whatever their servers say of them.

A number of whose last messages fewer than half were acknowledged is passed over for a moment, while those messages are
looked up and its webhook is compared. Where the look-up knows of them, only events were lost, and the number goes on.
Where it does not, the number is restarted once, and after that an administrator is told.
"""

from datetime import datetime, timedelta

import asyncpg
import structlog

from core import database, queue
from core.campaigns import lost_statuses
from core.errors import PlatformError
from core.notifications.alarms import standing_alarms
from core.numbers import recovery, silence, upkeep

SETTLED_AFTER = timedelta(minutes=2)
"""A message as old as this should have been acknowledged."""
WITHIN = timedelta(hours=2)
LATEST = 20
FEWEST = 5
"""Fewer messages than this say nothing."""
LOOK_SECONDS = 90.0
"""How long a number is passed over while its messages are looked up."""
RESTARTING_SECONDS = 60.0
SILENT_SECONDS = 1_800.0

EFFECT = f"""
SELECT n.id, n.silent_until, n.recent_sends, n.recent_acknowledged, e.sends, e.acknowledged, e.waiting
FROM numbers n JOIN servers s ON s.id = n.server_id
CROSS JOIN LATERAL (
    SELECT count(*) AS sends, count(*) FILTER (WHERE m.state NOT IN ('accepted', 'unknown')) AS acknowledged,
        coalesce(array_agg(m.id) FILTER (WHERE m.state = 'accepted'), '{{}}') AS waiting
    FROM (SELECT a.recipient_id FROM message_attempts a WHERE a.number_id = n.id AND a.outcome = 'accepted'
            AND a.claimed_at > greatest($1::timestamptz - $2::interval, n.restarted_at, n.moved_at)
            AND a.claimed_at < $1::timestamptz - $3::interval
          ORDER BY a.claimed_at DESC LIMIT {LATEST}) a
    JOIN message_by_contacts m ON m.id = a.recipient_id
) e
WHERE n.deleted_at IS NULL AND (n.status_connection OR n.silent_until IS NOT NULL)
  AND coalesce(s.capabilities->>'receipts', 'none') <> 'none'
  AND (e.sends > 0 OR n.recent_sends > 0 OR n.silent_until IS NOT NULL)
ORDER BY n.id
"""
_log = structlog.get_logger(__name__)


async def watch(now: datetime) -> None:
    """Write down what the last messages of every number effected, and see to those that effect nothing.

    Lost acknowledgements are looked for on the way.
    """
    rows = await database.fetch(EFFECT, now, WITHIN, SETTLED_AFTER)
    changed = [
        row for row in rows if (row["sends"], row["acknowledged"]) != (row["recent_sends"], row["recent_acknowledged"])
    ]
    if changed:
        await database.execute(
            "UPDATE numbers n SET recent_sends = e.sends, recent_acknowledged = e.acknowledged FROM (SELECT n.id,"
            " e.sends, e.acknowledged FROM unnest($1::bigint[], $2::int[], $3::int[]) AS e(id, sends, acknowledged)"
            " JOIN numbers n ON n.id = e.id ORDER BY n.id FOR UPDATE OF n) e WHERE n.id = e.id",
            [row["id"] for row in changed],
            [row["sends"] for row in changed],
            [row["acknowledged"] for row in changed],
        )
    if await lost_statuses.any_due(now):
        await queue.send(lost_statuses.ACTOR, queue=queue.EVENTS)
    heard = [row["id"] for row in rows if row["acknowledged"] and not is_silent(row["sends"], row["acknowledged"])]
    alarmed = await standing_alarms("number", heard, ["number_silent"]) if heard else frozenset()
    for row in rows:
        try:
            # Not only while it is held back: its first acknowledgement most often comes after that.
            if row["id"] in alarmed:
                await silence.speaks(row["id"])
            await _see_to(row, now)
        except (PlatformError, LookupError) as error:
            _log.warning("silent_number_left", number_id=row["id"], reason=str(error))


def is_silent(sends: int, acknowledged: int) -> bool:
    """Whether so few acknowledgements mean that a number sends into nothing."""
    return sends >= FEWEST and 2 * acknowledged < sends


async def _see_to(row: asyncpg.Record, now: datetime) -> None:
    number_id: int = row["id"]
    until: datetime | None = row["silent_until"]
    if not is_silent(row["sends"], row["acknowledged"]):
        if until is not None and (row["acknowledged"] or until <= now):
            await silence.release(number_id)
    elif until is None:
        await _suspect(number_id, row["waiting"], now)
    elif until <= now:
        restarted = await recovery.recover(number_id, "number_silent")
        await silence.hold_longer(number_id, RESTARTING_SECONDS if restarted else SILENT_SECONDS)


async def _suspect(number_id: int, waiting: list[int], now: datetime) -> None:
    """Stop sending for the moment it takes to look the messages up, and see whether events reach us at all."""
    await silence.hold(number_id, LOOK_SECONDS)
    await database.execute(
        "UPDATE message_by_contacts SET lease_until = $2 WHERE id IN (SELECT id FROM message_by_contacts"
        " WHERE id = ANY($1::bigint[]) AND state = 'accepted' ORDER BY id FOR UPDATE)",
        waiting,
        now,
    )
    await upkeep.repair(number_id)
