"""Removing the recipient rows of campaigns that are over for long; counters and the report stay.

Only settled rows go: what is in doubt stays until somebody decides, and of a campaign that may still send nothing goes.
"""

from datetime import datetime

import asyncpg

from core import database
from core.campaigns import reports

_NEXT = """
SELECT k.id, k.user_id, k.deleted_at,
    EXISTS (SELECT FROM campaign_reports r WHERE r.campaign_id = k.id AND r.final) AS is_final
FROM campaigns k
WHERE k.status IN (4, 5, 6) AND k.recipients_removed_at IS NULL
    AND coalesce(k.completed_at, k.updated_at) < $1
ORDER BY k.id LIMIT 1
"""
_STILL_OVER = """
SELECT id FROM campaigns WHERE id = $1 AND status IN (4, 5, 6) AND coalesce(completed_at, updated_at) < $2 FOR UPDATE
"""
_SETTLED = """
SELECT id FROM message_by_contacts WHERE campaign_id = $1 AND state IN ('sent', 'failed', 'skipped')
ORDER BY id LIMIT $2 FOR UPDATE
"""
_ATTEMPTS = """
DELETE FROM message_attempts WHERE id IN (
    SELECT id FROM message_attempts WHERE recipient_id = ANY($1::bigint[]) LIMIT $2)
"""


async def forget_recipients(before: datetime, limit: int) -> int:
    """Remove up to ``limit`` rows of a campaign that ended before a moment; return how many rows that were.

    A campaign without settled rows is passed by, so 0 means that there is nothing more to do.
    """
    while (row := await database.fetch_row(_NEXT, before)) is not None:
        if not row["is_final"] and row["deleted_at"] is None:
            # Some seconds for a million rows, and so outside the lock on the campaign.
            await reports.keep_for_good(row["user_id"], row["id"])
        removed = await _forget_some(row, before, limit)
        if removed:
            return removed
    return 0


async def _forget_some(row: asyncpg.Record, before: datetime, limit: int) -> int:
    async with database.unit_of_work():
        # Whoever has failed messages sent again locks the campaign too: it is over, or its rows stay.
        if await database.fetch_value(_STILL_OVER, row["id"], before) is None:
            return 0
        await database.execute(
            "UPDATE campaign_reports SET final = true WHERE campaign_id = $1 AND NOT final", row["id"]
        )
        # Half of the rows may be attempts, so that one portion is never larger than its limit.
        half = max(1, limit // 2)
        ids = [found["id"] for found in await database.fetch(_SETTLED, row["id"], half)]
        if not ids:
            await database.execute("UPDATE campaigns SET recipients_removed_at = now() WHERE id = $1", row["id"])
            return 0
        attempts = await database.execute(_ATTEMPTS, ids, half)
        if attempts == half:
            # There may be more of them: their rows wait for the next portion.
            return attempts
        return attempts + await database.execute("DELETE FROM message_by_contacts WHERE id = ANY($1::bigint[])", ids)
