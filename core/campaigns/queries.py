"""Reading campaigns: lists, and one with everything."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import msgspec

from core import database
from core.campaigns.schemas import (
    CampaignListed,
    CampaignRead,
    CampaignSettings,
    MessageRead,
    Totals,
)
from core.campaigns.tables import CampaignStatus, CampaignType, MessageType
from core.errors import NotFoundError
from core.listing import Listing
from core.media.services import find_media

SORTS: Mapping[str, str] = {"id": "k.id", "name": "k.name", "created_at": "k.created_at", "status": "k.status"}
EXPORT_ROWS = 2_000

TOTALS = """
LEFT JOIN LATERAL (
    SELECT coalesce(sum(accepted), 0)::bigint AS accepted, coalesce(sum(sent), 0)::bigint AS sent,
        coalesce(sum(delivered), 0)::bigint AS delivered, coalesce(sum(read), 0)::bigint AS readed,
        coalesce(sum(replied), 0)::bigint AS replied, coalesce(sum(failed), 0)::bigint AS failed,
        coalesce(sum(unknown), 0)::bigint AS unknown, coalesce(sum(skipped), 0)::bigint AS skipped
    FROM campaign_counters c WHERE c.campaign_id = k.id
) t ON true
"""


async def get_campaign(user_id: int, campaign_id: int) -> CampaignRead:
    """Return one campaign with its messages and totals."""
    row = await find_campaign(user_id, campaign_id)
    numbers = await database.fetch(
        "SELECT number_id FROM campaign_numbers WHERE campaign_id = $1 ORDER BY id", campaign_id
    )
    messages = await database.fetch(
        "SELECT id, position, delay, content, type_message, media_id FROM messages WHERE campaign_id = $1"
        " AND deleted_at IS NULL ORDER BY position",
        campaign_id,
    )
    files = await find_media(user_id, [message["media_id"] for message in messages if message["media_id"]])
    return CampaignRead(
        **_common(row),
        number_id=row["number_id"],
        number_ids=[number["number_id"] for number in numbers],
        public_id=row["public_id"],
        settings=msgspec.json.decode(row["settings"], type=CampaignSettings),
        version=row["version"],
        frozen_at=row["frozen_at"],
        updated_at=row["updated_at"],
        messages=[
            MessageRead(
                id=message["id"],
                position=message["position"],
                delay=message["delay"],
                content=message["content"],
                type_message=MessageType(message["type_message"]),
                media_id=message["media_id"],
                media=files.get(message["media_id"]),
            )
            for message in messages
        ],
    )


async def find_campaign(user_id: int, campaign_id: int) -> asyncpg.Record:
    """Return a tenant's campaign row with the sums of its counters; ``NotFoundError`` for another's."""
    row = await database.fetch_row(
        f"SELECT k.*, t.* FROM campaigns k {TOTALS} WHERE k.id = $1 AND k.user_id = $2 AND k.deleted_at IS NULL",
        campaign_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    return row


def totals_of(row: Mapping[str, Any]) -> Totals:
    """Return the totals of a row as ``find_campaign`` reads it."""
    settled = row["accepted"] + row["sent"] + row["failed"] + row["unknown"] + row["skipped"]
    # While the audience is being frozen the total is not known yet, so what is pending cannot be told.
    total = row["total"] if row["frozen_at"] is not None else settled
    return Totals(
        total=total,
        pending=max(0, total - settled),
        accepted=row["accepted"],
        sent=row["sent"],
        delivered=row["delivered"],
        readed=row["readed"],
        replied=row["replied"],
        failed=row["failed"],
        unknown=row["unknown"],
        skipped=row["skipped"],
    )


def progress_of(totals: Totals, status: int) -> int:
    """Return how much of a frozen campaign is settled, in per cent."""
    if status == CampaignStatus.COMPLETED:
        return 100
    return (totals.total - totals.pending - totals.accepted) * 100 // totals.total if totals.total else 0


def _common(row: Mapping[str, Any]) -> dict[str, Any]:
    totals = totals_of(row)
    return {
        "id": row["id"],
        "name": row["name"],
        "type": CampaignType(row["type"]),
        "status": CampaignStatus(row["status"]),
        "status_reason": row["status_reason"],
        "schedule_date": row["schedule_date"],
        "progress": progress_of(totals, row["status"]) if row["frozen_at"] is not None else 0,
        "started_at": row["started_at"],
        "completed_at": row["completed_at"],
        "created_at": row["created_at"],
        "totals": totals,
    }


def _listed(row: Mapping[str, Any]) -> CampaignListed:
    return CampaignListed(**_common(row))


CAMPAIGNS = Listing(
    kind=CampaignListed,
    read=_listed,
    columns="k.*, t.*",
    source=f"campaigns k {TOTALS}",
    counted="campaigns k",
    always="k.deleted_at IS NULL",
    conditions={
        "user_id": "k.user_id = {}",
        "status": "k.status = {}",
        "search": "strpos(lower(k.name), lower({})) > 0",
    },
    sorts=SORTS,
    key="k.id",
)
"""The campaigns of the tenant whom the filter names."""
