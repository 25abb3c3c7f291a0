"""What a campaign's user is told when its status changes: read from the row as it is now, once for each version."""

from core import database
from core.announcing import announce, emit
from core.campaigns.queries import TOTALS, totals_of
from core.campaigns.schemas import Totals
from core.campaigns.tables import CampaignStatus
from core.events.catalogue import (
    CampaignCompleted,
    CampaignNeedsAttention,
    CampaignPaused,
    CampaignStarted,
    CampaignWaiting,
    Event,
)

BY_USER = "paused_by_user"

_ROW = f"""
SELECT k.id, k.user_id, k.name, k.status, k.status_reason, k.version, k.total, k.frozen_at, t.*
FROM campaigns k {TOTALS} WHERE k.id = $1 AND k.deleted_at IS NULL
"""


async def tell(campaign_id: int) -> None:
    """Tell of the status that a campaign has just been given, in the unit of work that gave it."""
    row = await database.fetch_row(_ROW, campaign_id)
    if row is None:
        return
    event = _event_of(row["id"], row["name"], row["status"], row["status_reason"], totals_of(row))
    if event is None:
        return
    async with database.unit_of_work():
        if row["status_reason"] == BY_USER:
            # Whoever pressed the button knows.
            await emit(row["user_id"], event)
        else:
            await announce(row["user_id"], event, f"campaign:{row['id']}:{row['version']}")


def _event_of(campaign_id: int, name: str, status: int, reason: str, totals: Totals) -> Event | None:
    match CampaignStatus(status), reason:
        case CampaignStatus.RUNNING, "waiting_for_connection":
            return CampaignWaiting(campaign_id=campaign_id, name=name)
        case CampaignStatus.RUNNING, "needs_attention":
            return CampaignNeedsAttention(campaign_id=campaign_id, name=name, unknown=totals.unknown)
        case CampaignStatus.RUNNING, _:
            return CampaignStarted(campaign_id=campaign_id, name=name)
        # The last ones are drafts again, or over, without their user having asked for that.
        case (
            (CampaignStatus.PAUSED | CampaignStatus.FAILED, _)
            | (CampaignStatus.CANCELED, "missed_date_skipped")
            | (CampaignStatus.DRAFT, "too_uniform" | "missed_date" | "database_restored")
        ):
            return CampaignPaused(campaign_id=campaign_id, name=name, reason=reason)
        case CampaignStatus.COMPLETED, _:
            return CampaignCompleted(
                campaign_id=campaign_id,
                name=name,
                reason=reason,
                total=totals.total,
                sent=totals.sent,
                delivered=totals.delivered,
                read=totals.readed,
                failed=totals.failed,
                skipped=totals.skipped,
                unknown=totals.unknown,
            )
    return None
