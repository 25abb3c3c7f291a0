"""Fail-over: what a number that cannot send never tried goes to the campaign's other numbers."""

from datetime import datetime

from core import database
from core.campaigns import lanes

BATCH = 5_000
"""Rows of one number that are moved in one round; the next round moves the next."""

# A restricted number keeps whom it may still write to.
MARK = """
UPDATE campaign_numbers c SET unable_since = CASE WHEN s.able THEN NULL ELSE $1::timestamptz END
FROM (SELECT c.id, n.status AND n.deleted_at IS NULL AND n.status_connection
          AND coalesce(n.restricted_until, '-infinity') <= $1 AS able
      FROM campaign_numbers c JOIN campaigns k ON k.id = c.campaign_id AND k.status = 2
      JOIN numbers n ON n.id = c.number_id) s
WHERE s.id = c.id AND (c.unable_since IS NULL) <> s.able
"""

MOVE = """
WITH unable AS (
    SELECT c.campaign_id, c.number_id, n.status AND n.deleted_at IS NULL AND n.status_connection AS restricted
    FROM campaign_numbers c JOIN campaigns k ON k.id = c.campaign_id AND k.status = 2
    JOIN numbers n ON n.id = c.number_id
    WHERE c.unable_since <= $1::timestamptz - make_interval(mins => 1) * CASE WHEN k.settings ? 'failover_minutes'
            THEN (k.settings ->> 'failover_minutes')::float8 ELSE $2 END
      AND EXISTS (SELECT FROM campaign_numbers o WHERE o.campaign_id = c.campaign_id AND o.unable_since IS NULL)
), moved AS (
    UPDATE message_by_contacts m SET number_id = NULL, updated_at = $1 FROM (
        SELECT r.id FROM unable u CROSS JOIN LATERAL (
            SELECT m.id FROM message_by_contacts m
            WHERE m.campaign_id = u.campaign_id AND m.number_id = u.number_id AND m.state = 'pending'
              AND m.due_at IS NOT NULL AND m.attempt = 0
              AND NOT (u.restricted AND EXISTS (SELECT FROM conversations v WHERE v.contact_id = m.contact_id
                                                AND v.number_id = u.number_id))
            ORDER BY m.due_at, m.id LIMIT $3 FOR UPDATE OF m SKIP LOCKED) r) f
    WHERE m.id = f.id RETURNING m.campaign_id
)
SELECT campaign_id, count(*) AS rows FROM moved GROUP BY campaign_id ORDER BY campaign_id
"""

RELEASE = """
UPDATE message_by_contacts m SET number_id = NULL, updated_at = $2
WHERE m.campaign_id = $1 AND m.state = 'pending' AND m.due_at IS NOT NULL AND m.number_id IS NOT NULL
  AND m.number_id NOT IN (SELECT number_id FROM campaign_numbers WHERE campaign_id = $1)
"""


async def fail_over(now: datetime, usual_minutes: float) -> int:
    """Give rows that were never tried back to every number of their campaign, once their own was unable long enough.

    ``usual_minutes`` counts where a campaign does not say. Rows that were tried stay: only their own number knows
    what became of them. Returns how many rows were moved.
    """
    await database.execute(MARK, now)
    rows = await database.fetch(MOVE, now, usual_minutes, BATCH)
    for row in rows:
        await lanes.wake(row["campaign_id"], now)
    return sum(row["rows"] for row in rows)


async def release(campaign_id: int, now: datetime) -> None:
    """Give what waits for a number that the campaign does not use any more to those it does."""
    await database.execute(RELEASE, campaign_id, now)
