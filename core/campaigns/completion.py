"""Completion: a campaign is over when its audience is frozen and no row is pending, leased or waiting for its word."""

from datetime import datetime, timedelta

from core import database
from core.campaigns.reports import REPORT
from core.campaigns.skipping import skip_waiting
from core.campaigns.status_events import tell
from core.jobs.services import create_job

ATTENTION_LIFETIME = timedelta(hours=24)
"""With only unknown rows left a campaign waits this long for a person, then completes and states their number."""

# An unknown row may hold back every later step of its contact, so it stands for as many rows as there are messages.
CANDIDATES = """
SELECT k.id FROM campaigns k
JOIN LATERAL (SELECT coalesce(sum(sent + failed + skipped), 0) AS settled, coalesce(sum(unknown), 0) AS unknown
              FROM campaign_counters c WHERE c.campaign_id = k.id) c ON true
WHERE k.status = 2 AND k.frozen_at IS NOT NULL
  AND c.settled + c.unknown * (SELECT count(*) FROM messages g WHERE g.campaign_id = k.id AND g.deleted_at IS NULL)
      >= k.total
"""

STANDING = """
SELECT u.unknown, u.left_to_people, u.last_change,
    EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state IN ('leased', 'accepted'))
    OR EXISTS (SELECT FROM message_by_contacts WHERE campaign_id = $1 AND state = 'pending' AND due_at IS NOT NULL)
    AS active
FROM (SELECT count(*) AS unknown, count(*) FILTER (WHERE lease_until IS NULL) AS left_to_people,
          max(updated_at) AS last_change FROM message_by_contacts
      WHERE campaign_id = $1 AND state = 'unknown') u
"""

NEEDS_ATTENTION = """
UPDATE campaigns SET status_reason = 'needs_attention', version = version + 1, updated_at = $2
WHERE id = $1 AND status = 2 AND status_reason <> 'needs_attention'
"""

COMPLETE = """
UPDATE campaigns SET status = 4, status_reason = $3, completed_at = $2, progress = 100, version = version + 1,
    updated_at = $2
WHERE id = $1 AND status = 2 AND frozen_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM message_by_contacts m WHERE m.campaign_id = $1
                  AND m.state IN ('pending', 'leased', 'accepted'))
RETURNING user_id
"""


async def complete_finished(now: datetime) -> list[int]:
    """Complete every campaign that is over and return their ids."""
    candidates = await database.fetch(CANDIDATES)
    return [row["id"] for row in candidates if await _complete(row["id"], now)]


async def _complete(campaign_id: int, now: datetime) -> bool:
    async with database.unit_of_work():
        # The row lock orders completion with retry, edit and resolve, which take it first too.
        await database.execute("SELECT FROM campaigns WHERE id = $1 FOR UPDATE", campaign_id)
        standing = await database.fetch_row(STANDING, campaign_id)
        if standing is None or standing["active"]:
            return False
        if not standing["unknown"]:
            return await _end(campaign_id, now, "completed")
        if not standing["left_to_people"]:
            # All of them will be looked up; nobody has to decide yet.
            return False
        if now - standing["last_change"] <= ATTENTION_LIFETIME:
            if await database.execute(NEEDS_ATTENTION, campaign_id, now):
                await tell(campaign_id)
            return False
        await skip_waiting(campaign_id, now)
        return await _end(campaign_id, now, "completed_with_unknown")


async def _end(campaign_id: int, now: datetime, reason: str) -> bool:
    """Complete a campaign and have its report made."""
    user_id = await database.fetch_value(COMPLETE, campaign_id, now, reason)
    if not isinstance(user_id, int):
        return False
    await tell(campaign_id)
    await create_job(REPORT, user_id=user_id, subject_id=campaign_id, cancelable=False)
    return True
