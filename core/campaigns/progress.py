"""Where campaigns stand, for who looks at them at this moment."""

from collections.abc import Sequence

from core import database
from core.campaigns.queries import TOTALS, progress_of, totals_of
from core.events.catalogue import CampaignProgress


async def campaign_progress(ids: Sequence[int]) -> list[tuple[int, CampaignProgress]]:
    """Return where campaigns stand, each with its user's id; those that are deleted are left out."""
    rows = await database.fetch(
        "SELECT k.id, k.user_id, k.status, k.status_reason, k.frozen_at, k.total, t.*"
        f" FROM campaigns k {TOTALS} WHERE k.id = ANY($1::bigint[]) AND k.deleted_at IS NULL",
        list(ids),
    )
    found = []
    for row in rows:
        totals = totals_of(row)
        event = CampaignProgress(
            campaign_id=row["id"],
            status=row["status"],
            status_reason=row["status_reason"],
            progress=progress_of(totals, row["status"]) if row["frozen_at"] is not None else 0,
            total=totals.total,
            accepted=totals.accepted,
            sent=totals.sent,
            delivered=totals.delivered,
            read=totals.readed,
            failed=totals.failed,
            skipped=totals.skipped,
            unknown=totals.unknown,
        )
        found.append((row["user_id"], event))
    return found
