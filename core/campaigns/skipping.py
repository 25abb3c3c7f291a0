"""Rows that must not be sent any more: skipped with a reason, and the contact's later steps with them."""

from collections.abc import Sequence
from datetime import datetime

from core import database
from core.campaigns.claims import Ineligible
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import Transition, apply, mask
from core.jobs.services import JobContext, job_handler
from core.live import progress

BATCH = 5_000
SHARD = 22

SKIP_PENDING = """
WITH batch AS (
    SELECT id FROM message_by_contacts WHERE campaign_id = $1 AND id > $2 AND state = 'pending'
    ORDER BY id LIMIT $3 FOR UPDATE
), skipped AS (
    UPDATE message_by_contacts m SET state = 'skipped', reason = 'canceled', due_at = NULL,
        updated_at = clock_timestamp()
    FROM batch b WHERE m.id = b.id RETURNING m.id
), counted AS (
    INSERT INTO campaign_counters AS k (campaign_id, shard, skipped) SELECT $1, $4, count(*) FROM skipped
    ON CONFLICT (campaign_id, shard) DO UPDATE SET skipped = k.skipped + excluded.skipped
)
SELECT max(id) AS last_id, count(*) AS rows FROM skipped
"""

SKIP_WAITING = """
WITH skipped AS (
    UPDATE message_by_contacts SET state = 'skipped', reason = 'previous_unknown', updated_at = $2
    WHERE campaign_id = $1 AND state = 'pending' AND due_at IS NULL RETURNING id
)
INSERT INTO campaign_counters AS k (campaign_id, shard, skipped) SELECT $1, $3, count(*) FROM skipped
ON CONFLICT (campaign_id, shard) DO UPDATE SET skipped = k.skipped + excluded.skipped
"""

RESTORE = """
WITH restored AS (
    UPDATE message_by_contacts n SET state = 'pending', reason = '', due_at = NULL, updated_at = $2
    FROM message_by_contacts m JOIN messages g ON g.campaign_id = m.campaign_id AND g.position > m.position
    WHERE m.id = ANY($1::bigint[]) AND n.message_id = g.id AND n.contact_id = m.contact_id
      AND n.state = 'skipped' AND n.reason IN ('previous_failed', 'previous_unknown')
    RETURNING n.campaign_id
), counted AS (
    INSERT INTO campaign_counters AS k (campaign_id, shard, skipped)
    SELECT campaign_id, $3, -count(*) FROM restored GROUP BY campaign_id
    ON CONFLICT (campaign_id, shard) DO UPDATE SET skipped = k.skipped + excluded.skipped
)
SELECT count(*) FROM restored
"""

STRAYS = """
SELECT m.id FROM campaigns k CROSS JOIN LATERAL (
    SELECT id FROM message_by_contacts WHERE campaign_id = k.id AND state = 'pending' AND due_at IS NOT NULL LIMIT $2
) m
WHERE k.status = 5 AND k.updated_at > $1::timestamptz - interval '1 day' LIMIT $2
"""
STRAYS_AT_ONCE = 500


async def skip(now: datetime, rows: Sequence[Ineligible]) -> None:
    """Skip pending rows; rows that are no longer pending stay as they are."""
    await apply(
        now,
        [
            Transition(
                id=row.id,
                attempt=0,
                allowed=mask(RecipientState.PENDING),
                state=RecipientState.SKIPPED,
                reason=row.reason,
            )
            for row in rows
        ],
        shard=SHARD,
    )


async def skip_waiting(campaign_id: int, now: datetime) -> None:
    """Skip the later steps that wait for a step of unknown outcome, because nobody decided about it."""
    await database.execute(SKIP_WAITING, campaign_id, now, SHARD)
    progress.changed("campaign", campaign_id)


async def restore_following(recipient_ids: Sequence[int], now: datetime, shard: int) -> int:
    """Give the later steps of rows that are tried again back; they wait for the step before, as at the freeze.

    Returns how many rows that were.
    """
    restored = await database.fetch_value(RESTORE, list(recipient_ids), now, shard)
    return restored if isinstance(restored, int) else 0


async def skip_strays(now: datetime) -> None:
    """Skip what came back to a cancelled campaign: messages that were in the air while it was cancelled."""
    rows = await database.fetch(STRAYS, now, STRAYS_AT_ONCE)
    if rows:
        await skip(now, [Ineligible(row["id"], "canceled") for row in rows])


@job_handler("campaigns.skip_pending")
async def skip_pending(context: JobContext) -> None:
    """Skip everything still pending of a cancelled campaign."""
    last_id = int(context.state.get("last_id", 0))
    done = context.done
    while True:
        async with database.unit_of_work():
            row = await database.fetch_row(SKIP_PENDING, context.subject_id, last_id, BATCH, SHARD)
            if row is None or row["last_id"] is None:
                return
            last_id, done = row["last_id"], done + row["rows"]
            progress.changed("campaign", context.subject_id)
            await context.checkpoint({"last_id": last_id}, done=done)
