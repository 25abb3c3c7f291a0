"""Making, changing, copying and deleting campaigns."""

import asyncpg
import msgspec

from core import database
from core.audit import services as audit
from core.campaigns.attachments import check_addresses
from core.campaigns.defaults import default_pacing
from core.campaigns.drafts import (
    check_draft,
    check_numbers_taken_out,
    check_running_change,
    fill_in,
    load_draft,
    localize,
    replace_contents,
    store_messages,
    store_numbers,
)
from core.campaigns.failover import release
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate
from core.campaigns.services import STARTABLE, begin, current_time, expect, lock, wake
from core.campaigns.tables import CampaignStatus, CampaignType
from core.errors import ConflictError
from core.plans.services import ensure_within
from core.texts import text

BEGUN = (CampaignStatus.RUNNING, CampaignStatus.PAUSED)
NAME_LENGTH = 160


async def create_campaign(user_id: int, draft: CampaignCreate) -> int:
    """Store a draft and return its id.

    Raises:
        InvalidInputError: Naming every field that cannot be used.
        PlanLimitError: The plan allows no further campaign.
    """
    await check_addresses(draft.messages)
    async with database.unit_of_work():
        await ensure_within(user_id, "campaigns")
        draft = await fill_in(user_id, draft)
        await check_draft(user_id, draft)
        campaign_id = await _store(user_id, draft)
        await audit.record("campaign.created", user_id=user_id, entity_id=campaign_id, facts={"name": draft.name})
        return campaign_id


async def duplicate_campaign(user_id: int, campaign_id: int, name: str | None = None) -> int:
    """Make a draft with everything of another campaign but its date and its results; return its id.

    Raises:
        InvalidInputError: Something the other points at is gone.
        PlanLimitError: The plan allows no further campaign.
    """
    async with database.unit_of_work():
        await ensure_within(user_id, "campaigns")
        row = await lock(user_id, campaign_id)
        draft = msgspec.structs.replace(
            await load_draft(row), name=name or f"{row['name']} (2)"[-NAME_LENGTH:], schedule_date=None
        )
        await check_draft(user_id, draft)
        copy_id = await _store(user_id, draft)
        facts = {"name": draft.name, "copy_of": campaign_id}
        await audit.record("campaign.created", user_id=user_id, entity_id=copy_id, facts=facts)
        return copy_id


async def update_campaign(user_id: int, campaign_id: int, changes: CampaignUpdate) -> None:
    """Change a draft, or what a campaign that has begun does with the rows not leased yet.

    A scheduled draft stays ready to start, and without a ``schedule_date`` is a draft again. Of a campaign that has
    begun the texts, the numbers, the name and the settings may change, not the audience, the date or how many
    messages there are.

    Raises:
        ConflictError: It is over.
        InvalidInputError: Naming every field that cannot be used.
    """
    if changes.messages is not msgspec.UNSET:
        await check_addresses(changes.messages)
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        expect(row, *STARTABLE, *BEGUN, verb="changed")
        before = await load_draft(row)
        draft = await fill_in(user_id, await load_draft(row, changes))
        if draft.number_ids != before.number_ids:
            changes = msgspec.structs.replace(changes, number_ids=draft.number_ids)
        if row["status"] in BEGUN:
            await check_draft(user_id, draft, complete=True)
            check_running_change(before, draft)
            await check_numbers_taken_out(campaign_id, before, draft)
        else:
            scheduled = row["status_reason"] == "scheduled" and draft.schedule_date is not None
            await check_draft(user_id, draft, complete=scheduled)
        await _write(row, draft, changes)
        fields = audit.differences(before, draft)
        await audit.record("campaign.updated", user_id=user_id, entity_id=campaign_id, changes=fields)
        if row["status"] == CampaignStatus.RUNNING and row["started_at"] is None:
            # It waits for a connection, which another number may have.
            await begin(campaign_id, user_id, await current_time())
        elif row["status"] == CampaignStatus.RUNNING:
            await wake(campaign_id, await current_time())


async def delete_campaign(user_id: int, campaign_id: int) -> None:
    """Delete a campaign that is not sending; its rows stay for the reports of contacts."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] in BEGUN:
            raise ConflictError(text("campaign_delete_begun"), code="campaign_state")
        await database.execute("UPDATE campaigns SET deleted_at = now() WHERE id = $1", campaign_id)
        await audit.record("campaign.deleted", user_id=user_id, entity_id=campaign_id, facts={"name": row["name"]})


async def _store(user_id: int, draft: CampaignCreate) -> int:
    campaign_id = await database.fetch_value(
        "INSERT INTO campaigns (user_id, public_id, name, type, status, status_reason, schedule_date, settings)"
        " VALUES ($1, $2, $3, $4, $5, 'draft', $6, $7) RETURNING id",
        user_id,
        draft.public_id,
        draft.name,
        draft.type,
        CampaignStatus.DRAFT,
        await localize(user_id, draft),
        database.encode_json(await _with_pacing(user_id, draft)),
    )
    assert isinstance(campaign_id, int)  # noqa: S101 - RETURNING of a bigint column
    await store_numbers(campaign_id, draft.number_ids)
    await store_messages(campaign_id, draft.messages)
    return campaign_id


async def _write(row: asyncpg.Record, draft: CampaignCreate, changes: CampaignUpdate) -> None:
    reason = row["status_reason"]
    is_unscheduled = reason == "scheduled" and draft.schedule_date is None
    touched = (changes.messages, changes.settings, changes.public_id)
    may_be_mended = reason == "too_uniform" and any(change is not msgspec.UNSET for change in touched)
    await database.execute(
        "UPDATE campaigns SET name = $2, public_id = $3, schedule_date = $4, settings = $5, status_reason = $6,"
        " version = version + 1, updated_at = now() WHERE id = $1",
        row["id"],
        draft.name,
        draft.public_id,
        await localize(row["user_id"], draft),
        database.encode_json(await _with_pacing(row["user_id"], draft)),
        "draft" if is_unscheduled or may_be_mended else reason,
    )
    if changes.number_ids is not msgspec.UNSET:
        await store_numbers(row["id"], draft.number_ids)
        if row["status"] in BEGUN:
            await release(row["id"], await current_time())
    if changes.messages is msgspec.UNSET:
        return
    if row["status"] in BEGUN:
        await replace_contents(row["id"], draft.messages)
    else:
        await store_messages(row["id"], draft.messages)


async def _with_pacing(user_id: int, draft: CampaignCreate) -> CampaignSettings:
    """Write the default pacing out, so that later defaults do not change an old campaign."""
    kind, settings = draft.type, draft.settings
    if settings.pacing is not None or kind is CampaignType.CUSTOM:
        return settings
    return msgspec.structs.replace(settings, pacing=await default_pacing(user_id))
