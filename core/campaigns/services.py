"""Leading campaigns through their life: start, pause, resume, cancel. Each locks the campaign's row first."""

from datetime import datetime

import asyncpg

from core import database
from core.audit.services import record
from core.campaigns import lanes
from core.campaigns.drafts import check_draft, fill_in, load_draft, localize, store_numbers
from core.campaigns.status_events import tell
from core.campaigns.tables import CampaignStatus
from core.clock import synced_clock
from core.errors import ConflictError, NotFoundError
from core.jobs.services import create_job
from core.plans.services import ensure_feature
from core.queue import DISPATCH, enqueue

STARTABLE = (CampaignStatus.DRAFT,)
OPEN = (CampaignStatus.DRAFT, CampaignStatus.RUNNING, CampaignStatus.PAUSED)


async def start_campaign(user_id: int, campaign_id: int) -> None:
    """Start a draft now, or leave it to its ``schedule_date``; starting a running campaign changes nothing.

    Raises:
        ConflictError: It is over, or cancelled.
        InvalidInputError: Something it needs is missing.
    """
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.RUNNING or row["status_reason"] == "scheduled":
            return
        expect(row, *STARTABLE, verb="started")
        stored = await load_draft(row)
        draft = await fill_in(user_id, stored)
        await check_draft(user_id, draft, complete=True)
        if draft.number_ids != stored.number_ids:
            await store_numbers(campaign_id, draft.number_ids)
        now = await current_time()
        starts_at = await localize(user_id, draft)
        if starts_at is not None and starts_at > now:
            await ensure_feature(user_id, "schedule")
            await set_status(campaign_id, CampaignStatus.DRAFT, "scheduled", now)
        else:
            await begin(campaign_id, user_id, now)
        await record("campaign.started", user_id=user_id, facts={"campaign_id": campaign_id})


async def begin(campaign_id: int, user_id: int, now: datetime) -> None:
    """Set a locked campaign running and have its audience frozen; inside the caller's unit of work.

    While none of its numbers is connected it waits for one, with ``started_at`` unset and nothing frozen.
    """
    if not await _is_connected(campaign_id):
        await set_status(campaign_id, CampaignStatus.RUNNING, "waiting_for_connection", now)
        return
    await database.execute(
        "UPDATE campaigns SET status = 2, status_reason = 'freezing', started_at = $2, version = version + 1,"
        " updated_at = $2 WHERE id = $1",
        campaign_id,
        now,
    )
    await tell(campaign_id)
    await create_job("campaigns.freeze", user_id=user_id, subject_id=campaign_id, cancelable=False)


async def _is_connected(campaign_id: int) -> bool:
    found = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM campaign_numbers c JOIN numbers n ON n.id = c.number_id"
        " WHERE c.campaign_id = $1 AND n.status AND n.deleted_at IS NULL AND n.status_connection)",
        campaign_id,
    )
    return found is True


async def pause_campaign(user_id: int, campaign_id: int) -> None:
    """Claim nothing more; what is on the wire comes home."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.PAUSED:
            return
        expect(row, CampaignStatus.RUNNING, verb="paused")
        await set_status(campaign_id, CampaignStatus.PAUSED, "paused_by_user", await current_time())
        await record("campaign.paused", user_id=user_id, entity_id=campaign_id)


async def resume_campaign(user_id: int, campaign_id: int) -> None:
    """Go on where the campaign was paused."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.RUNNING:
            return
        expect(row, CampaignStatus.PAUSED, verb="resumed")
        await record("campaign.resumed", user_id=user_id, entity_id=campaign_id)
        now = await current_time()
        if row["started_at"] is None:
            await begin(campaign_id, user_id, now)
            return
        await set_status(campaign_id, CampaignStatus.RUNNING, "sending" if row["frozen_at"] else "freezing", now)
        await wake(campaign_id, now)


async def cancel_campaign(user_id: int, campaign_id: int) -> None:
    """End a campaign: nothing pending will be sent; cancelling twice changes nothing."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.CANCELED:
            return
        expect(row, *OPEN, verb="cancelled")
        await set_status(campaign_id, CampaignStatus.CANCELED, "canceled_by_user", await current_time())
        await create_job("campaigns.skip_pending", user_id=user_id, subject_id=campaign_id, cancelable=False)
        await record("campaign.canceled", user_id=user_id, facts={"campaign_id": campaign_id})


async def reopen(row: asyncpg.Record, now: datetime) -> None:
    """Let a completed or waiting campaign send again; a paused one stays paused."""
    if row["status"] != CampaignStatus.PAUSED:
        await set_status(row["id"], CampaignStatus.RUNNING, "sending" if row["frozen_at"] else "freezing", now)
        await database.execute("UPDATE campaigns SET completed_at = NULL WHERE id = $1", row["id"])
    await wake(row["id"], now)


async def wake(campaign_id: int, now: datetime) -> None:
    """Have every number of a campaign looked at, once the unit of work is committed."""
    await lanes.wake(campaign_id, now)
    enqueue("campaigns.dispatch", queue=DISPATCH)


async def lock(user_id: int, campaign_id: int) -> asyncpg.Record:
    """Lock a tenant's campaign row and return it; ``NotFoundError`` for another's."""
    row = await database.fetch_row(
        "SELECT * FROM campaigns WHERE id = $1 AND user_id = $2 AND deleted_at IS NULL FOR UPDATE",
        campaign_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    return row


def expect(row: asyncpg.Record, *allowed: CampaignStatus, verb: str) -> None:
    """See that a campaign is in one of the ``allowed`` states; ``ConflictError`` says that it cannot be ``verb``."""
    if row["status"] not in allowed:
        present = CampaignStatus(row["status"]).name.lower()
        raise ConflictError(
            f"A campaign that is {present} cannot be {verb}.", code="campaign_state", state=present, verb=verb
        )


async def ensure_rows_left(campaign_id: int) -> None:
    """Refuse a change of rows that are removed for their age, or are being removed."""
    final = await database.fetch_value(
        "SELECT EXISTS (SELECT FROM campaign_reports WHERE campaign_id = $1 AND final)", campaign_id
    )
    if final:
        raise ConflictError("The recipients of this campaign were removed for their age.", code="recipients_removed")


async def set_status(campaign_id: int, status: CampaignStatus, reason: str, now: datetime) -> None:
    """Change the status of a locked campaign, and tell of it."""
    await database.execute(
        "UPDATE campaigns SET status = $2, status_reason = $3, version = version + 1, updated_at = $4 WHERE id = $1",
        campaign_id,
        status,
        reason,
        now,
    )
    await tell(campaign_id)


async def current_time() -> datetime:
    """Return the database's time."""
    clock = await synced_clock()
    return clock.now()
