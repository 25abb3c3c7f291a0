"""Completion: a campaign is over when its audience is frozen and no row is pending, leased or waiting for its word."""

from datetime import datetime, timedelta

from core import database

ATTENTION_LIFETIME = timedelta(hours=24)
"""With only unknown rows left a campaign waits this long for a person, then completes and states their number."""

CANDIDATES = """
SELECT k.id FROM campaigns k
JOIN LATERAL (SELECT coalesce(sum(sent + failed + unknown + skipped), 0) AS settled
              FROM campaign_counters c WHERE c.campaign_id = k.id) c ON true
WHERE k.status = 2 AND k.frozen_at IS NOT NULL AND c.settled >= k.total
"""

COMPLETE = """
UPDATE campaigns k SET
    status = CASE WHEN r.unknown = 0 OR $2 - r.last_change > $3 THEN 4 ELSE 2 END,
    status_reason = CASE WHEN r.unknown = 0 THEN 'completed' WHEN $2 - r.last_change > $3 THEN 'completed_with_unknown'
                         ELSE 'needs_attention' END,
    completed_at = CASE WHEN r.unknown = 0 OR $2 - r.last_change > $3 THEN $2 END,
    progress = CASE WHEN r.unknown = 0 OR $2 - r.last_change > $3 THEN 100 ELSE k.progress END,
    version = k.version + (k.status_reason <> 'needs_attention')::int, updated_at = $2
FROM (SELECT count(*) AS unknown, max(updated_at) AS last_change FROM message_by_contacts
      WHERE campaign_id = $1 AND state = 'unknown') r
WHERE k.id = $1 AND k.status = 2 AND k.frozen_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM message_by_contacts m WHERE m.campaign_id = $1
                  AND m.state IN ('pending', 'leased', 'accepted'))
RETURNING k.status
"""


async def complete_finished(now: datetime) -> list[int]:
    """Complete every campaign that is over and return their ids."""
    completed: list[int] = []
    for candidate in await database.fetch(CANDIDATES):
        async with database.unit_of_work():
            # The row lock orders completion with retry, edit and resolve, which take it first too.
            await database.execute("SELECT FROM campaigns WHERE id = $1 FOR UPDATE", candidate["id"])
            status = await database.fetch_value(COMPLETE, candidate["id"], now, ATTENTION_LIFETIME)
        if status == 4:  # noqa: PLR2004 - CampaignStatus.COMPLETED, as the statement writes it
            completed.append(candidate["id"])
    return completed
