"""Campaigns: making them and leading them through their life."""

from datetime import datetime

import asyncpg
import msgspec

from core import database
from core.audit.services import record
from core.campaigns import lanes
from core.campaigns.drafts import check_draft, store_messages, store_numbers
from core.campaigns.pacing import DEFAULT_PACING
from core.campaigns.schemas import CampaignCreate, CampaignSettings, CampaignUpdate
from core.campaigns.skipping import restore_following
from core.campaigns.tables import CampaignStatus, CampaignType, RecipientState
from core.campaigns.transitions import Transition, apply, mask
from core.clock import DatabaseClock
from core.errors import ConflictError, NotFoundError
from core.jobs.services import create_job
from core.plans.services import ensure_feature, ensure_within
from core.queue import DISPATCH, enqueue

STARTABLE = (CampaignStatus.DRAFT,)
OPEN = (CampaignStatus.DRAFT, CampaignStatus.RUNNING, CampaignStatus.PAUSED)
RETRIABLE = (CampaignStatus.RUNNING, CampaignStatus.PAUSED, CampaignStatus.COMPLETED)
RESOLVE_SHARD = 20


async def create_campaign(user_id: int, draft: CampaignCreate) -> int:
    """Store a draft and return its id.

    Raises:
        InvalidInputError: Naming every field that cannot be used.
        PlanLimitError: The plan allows no further campaign.
    """
    async with database.unit_of_work():
        await ensure_within(user_id, "campaigns")
        await check_draft(user_id, draft)
        campaign_id = await database.fetch_value(
            "INSERT INTO campaigns (user_id, number_id, public_id, name, type, status, status_reason, schedule_date,"
            " settings) VALUES ($1, $2, $3, $4, $5, $6, 'draft', $7, $8) RETURNING id",
            user_id,
            draft.number_ids[0] if draft.number_ids else None,
            draft.public_id,
            draft.name,
            draft.type,
            CampaignStatus.DRAFT,
            draft.schedule_date,
            database.encode_json(_with_pacing(draft.type, draft.settings)),
        )
        assert isinstance(campaign_id, int)  # noqa: S101 - RETURNING of a bigint column
        await store_numbers(campaign_id, draft.number_ids)
        await store_messages(campaign_id, draft.messages)
        return campaign_id


async def update_campaign(user_id: int, campaign_id: int, changes: CampaignUpdate) -> None:
    """Change a draft; one that is scheduled stays ready to start, and without a ``schedule_date`` is a draft again.

    Raises:
        ConflictError: It has been started.
        InvalidInputError: Naming every field that cannot be used.
    """
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        _expect(row, *STARTABLE, verb="changed")
        draft = await _merge(row, changes)
        scheduled = row["status_reason"] == "scheduled" and draft.schedule_date is not None
        await check_draft(user_id, draft, complete=scheduled)
        await database.execute(
            "UPDATE campaigns SET name = $2, number_id = $3, public_id = $4, schedule_date = $5, settings = $6,"
            " status_reason = $7, version = version + 1, updated_at = now() WHERE id = $1",
            campaign_id,
            draft.name,
            draft.number_ids[0] if draft.number_ids else None,
            draft.public_id,
            draft.schedule_date,
            database.encode_json(_with_pacing(draft.type, draft.settings)),
            "scheduled" if scheduled else "draft",
        )
        if changes.number_ids is not msgspec.UNSET:
            await store_numbers(campaign_id, draft.number_ids)
        if changes.messages is not msgspec.UNSET:
            await store_messages(campaign_id, draft.messages)


async def delete_campaign(user_id: int, campaign_id: int) -> None:
    """Delete a campaign that is not sending; its rows stay for the reports of contacts."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] in {CampaignStatus.RUNNING, CampaignStatus.PAUSED}:
            raise ConflictError("A campaign that has begun is cancelled before it is deleted.", code="campaign_state")
        await database.execute("UPDATE campaigns SET deleted_at = now() WHERE id = $1", campaign_id)


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
        _expect(row, *STARTABLE, verb="started")
        draft = await _merge(row, CampaignUpdate())
        await check_draft(user_id, draft, complete=True)
        now = await _now()
        if draft.schedule_date is not None and draft.schedule_date > now:
            await ensure_feature(user_id, "schedule")
            await _set_status(campaign_id, CampaignStatus.DRAFT, "scheduled", now)
        else:
            await begin(campaign_id, user_id, now)
        await record("campaign.started", user_id=user_id, facts={"campaign_id": campaign_id})


async def begin(campaign_id: int, user_id: int, now: datetime) -> None:
    """Set a locked campaign running and have its audience frozen; inside the caller's unit of work."""
    await database.execute(
        "UPDATE campaigns SET status = 2, status_reason = 'freezing', started_at = $2, version = version + 1,"
        " updated_at = $2 WHERE id = $1",
        campaign_id,
        now,
    )
    await create_job("campaigns.freeze", user_id=user_id, subject_id=campaign_id, cancelable=False)


async def start_due(now: datetime) -> int:
    """Begin every scheduled campaign whose time has come; return how many."""
    rows = await database.fetch(
        "SELECT id, user_id FROM campaigns WHERE status = 1 AND status_reason = 'scheduled' AND schedule_date <= $1"
        " AND deleted_at IS NULL ORDER BY schedule_date LIMIT 100",
        now,
    )
    for row in rows:
        async with database.unit_of_work():
            locked = await lock(row["user_id"], row["id"])
            if locked["status_reason"] == "scheduled":
                await begin(row["id"], row["user_id"], now)
    return len(rows)


async def pause_campaign(user_id: int, campaign_id: int) -> None:
    """Claim nothing more; what is on the wire comes home."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.PAUSED:
            return
        _expect(row, CampaignStatus.RUNNING, verb="paused")
        await _set_status(campaign_id, CampaignStatus.PAUSED, "paused_by_user", await _now())


async def resume_campaign(user_id: int, campaign_id: int) -> None:
    """Go on where the campaign was paused."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.RUNNING:
            return
        _expect(row, CampaignStatus.PAUSED, verb="resumed")
        now = await _now()
        await _set_status(campaign_id, CampaignStatus.RUNNING, "sending" if row["frozen_at"] else "freezing", now)
        await lanes.wake(campaign_id, now)
        enqueue("campaigns.dispatch", queue=DISPATCH)


async def cancel_campaign(user_id: int, campaign_id: int) -> None:
    """End a campaign: nothing pending will be sent; cancelling twice changes nothing."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        if row["status"] == CampaignStatus.CANCELED:
            return
        _expect(row, *OPEN, verb="cancelled")
        await _set_status(campaign_id, CampaignStatus.CANCELED, "canceled_by_user", await _now())
        await create_job("campaigns.skip_pending", user_id=user_id, subject_id=campaign_id, cancelable=False)
        await record("campaign.canceled", user_id=user_id, facts={"campaign_id": campaign_id})


async def retry_failed(user_id: int, campaign_id: int) -> int:
    """Make failed rows pending again with what was frozen, and return how many."""
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        _expect(row, *RETRIABLE, verb="retried")
        now = await _now()
        rows = await database.fetch(
            "SELECT id FROM message_by_contacts WHERE campaign_id = $1 AND state = 'failed' ORDER BY id", campaign_id
        )
        if rows:
            ids = [found["id"] for found in rows]
            # A person's retry is a new beginning: five tries and a day again.
            await database.execute(
                "UPDATE message_by_contacts SET failures = 0, first_attempt_at = NULL WHERE id = ANY($1::bigint[])", ids
            )
            await apply(now, [_pending_again(recipient_id, now) for recipient_id in ids], shard=RESOLVE_SHARD)
            await restore_following(ids, now, RESOLVE_SHARD)
            await _reopen(row, now)
        return len(rows)


async def resolve_recipient(user_id: int, campaign_id: int, recipient_id: int, action: str) -> None:
    """Decide of a row in doubt: send it again, or count it as sent; either way the contact's later steps go on.

    Raises:
        ConflictError: The row is not in doubt, or is being looked up; or the campaign was cancelled.
    """
    async with database.unit_of_work():
        row = await lock(user_id, campaign_id)
        open_again = row["status"] in RETRIABLE
        if action == "retry":
            _expect(row, *RETRIABLE, verb="retried")
        now = await _now()
        found = await database.fetch_row(
            "SELECT state, lease_until FROM message_by_contacts WHERE id = $1 AND campaign_id = $2 FOR UPDATE",
            recipient_id,
            campaign_id,
        )
        if found is None:
            raise NotFoundError("recipient", recipient_id)
        if found["state"] != RecipientState.UNKNOWN or found["lease_until"] is not None:
            raise ConflictError(
                "Only a recipient that needs attention can be resolved; this one is settled or being looked up.",
                code="recipient_state",
            )
        restored = await restore_following([recipient_id], now, RESOLVE_SHARD) if open_again else 0
        transition = _assumed_sent(recipient_id, now) if action == "assume_sent" else _pending_again(recipient_id, now)
        await apply(now, [transition], shard=RESOLVE_SHARD)
        if open_again and (action == "retry" or restored or row["status"] == CampaignStatus.RUNNING):
            await _reopen(row, now)


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


def _expect(row: asyncpg.Record, *allowed: CampaignStatus, verb: str) -> None:
    if row["status"] not in allowed:
        present = CampaignStatus(row["status"]).name.lower()
        raise ConflictError(f"A campaign that is {present} cannot be {verb}.", code="campaign_state", state=present)


async def _set_status(campaign_id: int, status: CampaignStatus, reason: str, now: datetime) -> None:
    await database.execute(
        "UPDATE campaigns SET status = $2, status_reason = $3, version = version + 1, updated_at = $4 WHERE id = $1",
        campaign_id,
        status,
        reason,
        now,
    )


async def _reopen(row: asyncpg.Record, now: datetime) -> None:
    """Let a completed or waiting campaign send again; a paused one stays paused."""
    if row["status"] != CampaignStatus.PAUSED:
        await _set_status(row["id"], CampaignStatus.RUNNING, "sending" if row["frozen_at"] else "freezing", now)
        await database.execute("UPDATE campaigns SET completed_at = NULL WHERE id = $1", row["id"])
    await lanes.wake(row["id"], now)
    enqueue("campaigns.dispatch", queue=DISPATCH)


def _pending_again(recipient_id: int, now: datetime) -> Transition:
    return Transition(
        id=recipient_id,
        attempt=0,
        allowed=mask(RecipientState.FAILED, RecipientState.UNKNOWN),
        state=RecipientState.PENDING,
        reason="retried_by_user",
        due_at=now,
        requeued=1,
    )


def _assumed_sent(recipient_id: int, now: datetime) -> Transition:
    return Transition(
        id=recipient_id,
        attempt=0,
        allowed=mask(RecipientState.UNKNOWN),
        state=RecipientState.SENT,
        reason="assumed_sent",
        sent_at=now,
    )


def _with_pacing(kind: CampaignType, settings: CampaignSettings) -> CampaignSettings:
    """Write the type's default pacing out, so that later defaults do not change an old campaign."""
    if settings.pacing is not None or kind is CampaignType.CUSTOM:
        return settings
    return msgspec.structs.replace(settings, pacing=DEFAULT_PACING)


async def _merge(row: asyncpg.Record, changes: CampaignUpdate) -> CampaignCreate:
    """Put a stored draft and its changes together, to be checked as a whole."""
    numbers = await database.fetch(
        "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY id", row["id"]
    )
    messages = await database.fetch(
        "SELECT content, delay, type_message FROM messages WHERE campaign_id = $1 AND deleted_at IS NULL"
        " ORDER BY position",
        row["id"],
    )
    stored = {
        "name": row["name"],
        "number_ids": [number["number_id"] for number in numbers],
        "public_id": row["public_id"],
        "schedule_date": row["schedule_date"],
        "settings": msgspec.json.decode(row["settings"]),
        "messages": [dict(message) for message in messages],
    }
    changed = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET}
    return msgspec.convert({"type": row["type"], **stored, **changed}, CampaignCreate, from_attributes=True)


async def _now() -> datetime:
    clock = DatabaseClock()
    await clock.sync()
    return clock.now()
