"""Scheduled campaigns: begun when their date has come, and by their own rule when it passed unnoticed."""

from datetime import datetime, timedelta

import msgspec

from core import database
from core.campaigns.schemas import CampaignSettings
from core.campaigns.services import begin, lock, set_status
from core.campaigns.tables import CampaignStatus

AT_ONCE = 100


async def start_due(now: datetime) -> int:
    """Look at every scheduled campaign whose time has come; return how many there were.

    One that is late by more than its ``max_lateness_minutes``, because the platform was away, is sent all the same,
    cancelled, or left to its owner, as its ``missed`` says.
    """
    rows = await database.fetch(
        "SELECT id, user_id FROM campaigns WHERE status = 1 AND status_reason = 'scheduled' AND schedule_date <= $1"
        " AND deleted_at IS NULL ORDER BY schedule_date LIMIT $2",
        now,
        AT_ONCE,
    )
    for row in rows:
        async with database.unit_of_work():
            await _start(row["user_id"], row["id"], now)
    return len(rows)


async def _start(user_id: int, campaign_id: int, now: datetime) -> None:
    row = await lock(user_id, campaign_id)
    if row["status_reason"] != "scheduled" or row["schedule_date"] is None or row["schedule_date"] > now:
        return
    rule = msgspec.json.decode(row["settings"], type=CampaignSettings).schedule
    late = now - row["schedule_date"] > timedelta(minutes=rule.max_lateness_minutes)
    if not late or rule.missed == "send":
        await begin(campaign_id, user_id, now)
        return
    if rule.missed == "skip":
        await set_status(campaign_id, CampaignStatus.CANCELED, "missed_date_skipped", now)
    else:
        await set_status(campaign_id, CampaignStatus.DRAFT, "missed_date", now)
