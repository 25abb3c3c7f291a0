"""Campaigns that were started while none of their numbers was connected: begun as soon as one is."""

from collections.abc import Sequence
from datetime import datetime

from core import database
from core.campaigns.services import begin

AT_ONCE = 100

WAITING = """
SELECT k.id, k.user_id FROM campaigns k
WHERE k.status = 2 AND k.status_reason = 'waiting_for_connection' AND k.deleted_at IS NULL
  AND EXISTS (SELECT FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id
              WHERE c.campaign_id = k.id AND n.status AND n.deleted_at IS NULL AND n.status_connection)
ORDER BY k.id LIMIT $1 FOR UPDATE OF k SKIP LOCKED
"""


async def begin_connected(now: datetime) -> Sequence[int]:
    """Begin every campaign that waited for a number which is connected now; return their ids.

    One that somebody else holds is passed over, and begun in the next round.
    """
    async with database.unit_of_work():
        rows = await database.fetch(WAITING, AT_ONCE)
        for row in rows:
            await begin(row["id"], row["user_id"], now)
    return [row["id"] for row in rows]
