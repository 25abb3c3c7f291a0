"""Reading campaigns: lists, one with everything, its recipients and its report."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg
import msgspec

from core import database
from core.campaigns.schemas import (
    CampaignListed,
    CampaignRead,
    CampaignSettings,
    MessageRead,
    RecipientRead,
    Report,
    Totals,
)
from core.campaigns.tables import CampaignStatus, CampaignType, MessageType, RecipientState
from core.errors import NotFoundError
from core.media.services import find_media
from core.pagination import PageQuery

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

RECIPIENTS = """
SELECT m.id, m.message_id, m.contact_id, coalesce(c.name, '') AS contact_name, m.address AS number, m.position,
    m.number_id, m.state, m.reason, m.attempt, m.due_at, m.accepted_at, m.sent_at, m.delivered_at, m.read_at,
    m.replied_at, m.state = 'unknown' AND m.lease_until IS NULL AS needs_attention
FROM message_by_contacts m LEFT JOIN contacts c ON c.id = m.contact_id
"""


async def list_campaigns(
    user_id: int, query: PageQuery, status: CampaignStatus | None
) -> tuple[list[CampaignListed], int]:
    """Return one page of a tenant's campaigns and how many there are; ``search`` looks into names."""
    where = (
        "k.user_id = $1 AND k.deleted_at IS NULL AND ($2::smallint IS NULL OR k.status = $2)"
        " AND ($3::text IS NULL OR strpos(lower(k.name), lower($3)) > 0)"
    )
    order = query.order_by(SORTS, "-id", "k.id")
    rows = await database.fetch(
        f"SELECT k.*, t.* FROM campaigns k {TOTALS} WHERE {where} ORDER BY {order} LIMIT $4 OFFSET $5",
        user_id,
        status,
        query.search,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM campaigns k WHERE {where}", user_id, status, query.search)
    return [_listed(row) for row in rows], total if isinstance(total, int) else 0


async def get_campaign(user_id: int, campaign_id: int) -> CampaignRead:
    """Return one campaign with its messages and totals."""
    row = await _row(user_id, campaign_id)
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


async def list_recipients(
    user_id: int, campaign_id: int, query: PageQuery, state: RecipientState | None, message_id: int | None
) -> tuple[list[RecipientRead], int]:
    """Return one page of a campaign's recipient rows and how many there are."""
    await _row(user_id, campaign_id)
    where = (
        "m.campaign_id = $1 AND ($2::text IS NULL OR m.state = $2) AND ($3::bigint IS NULL OR m.message_id = $3)"
        " AND ($4::text IS NULL OR strpos(m.address, $4) > 0)"
    )
    args = (campaign_id, state, message_id, query.search)
    order = query.order_by({"id": "m.id"}, "id", "m.id")
    rows = await database.fetch(
        f"{RECIPIENTS} WHERE {where} ORDER BY {order} LIMIT $5 OFFSET $6", *args, query.limit, query.offset
    )
    total = await database.fetch_value(f"SELECT count(*) FROM message_by_contacts m WHERE {where}", *args)
    return [read_recipient(row) for row in rows], total if isinstance(total, int) else 0


async def get_recipient(user_id: int, campaign_id: int, recipient_id: int) -> RecipientRead:
    """Return one recipient row."""
    row = await database.fetch_row(
        f"{RECIPIENTS} WHERE m.campaign_id = $1 AND m.id = $2 AND m.user_id = $3", campaign_id, recipient_id, user_id
    )
    if row is None:
        raise NotFoundError("recipient", recipient_id)
    return read_recipient(row)


async def stream_recipients(user_id: int, campaign_id: int) -> AsyncIterator[Sequence[RecipientRead]]:
    """Yield all recipient rows of a campaign in batches, in the order they were frozen."""
    await _row(user_id, campaign_id)
    last_id = 0
    while True:
        rows = await database.fetch(
            f"{RECIPIENTS} WHERE m.campaign_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3",
            campaign_id,
            last_id,
            EXPORT_ROWS,
        )
        if not rows:
            return
        last_id = rows[-1]["id"]
        yield [read_recipient(row) for row in rows]


async def report(user_id: int, campaign_id: int) -> Report:
    """Sum a campaign up; ``reasons`` are counted from the rows themselves."""
    row = await _row(user_id, campaign_id)
    found = await database.fetch(
        "SELECT state, reason, count(*) AS rows FROM message_by_contacts WHERE campaign_id = $1"
        " AND state IN ('failed', 'unknown', 'skipped') GROUP BY state, reason ORDER BY state, reason",
        campaign_id,
    )
    reasons: dict[str, dict[str, int]] = {}
    for line in found:
        reasons.setdefault(line["state"], {})[line["reason"]] = line["rows"]
    began, ended = row["started_at"], row["completed_at"]
    return Report(
        campaign_id=row["id"],
        name=row["name"],
        status=CampaignStatus(row["status"]),
        status_reason=row["status_reason"],
        started_at=began,
        completed_at=ended,
        seconds=(ended - began).total_seconds() if began and ended else None,
        totals=_totals(row),
        reasons=reasons,
    )


async def _row(user_id: int, campaign_id: int) -> asyncpg.Record:
    row = await database.fetch_row(
        f"SELECT k.*, t.* FROM campaigns k {TOTALS} WHERE k.id = $1 AND k.user_id = $2 AND k.deleted_at IS NULL",
        campaign_id,
        user_id,
    )
    if row is None:
        raise NotFoundError("campaign", campaign_id)
    return row


def _totals(row: asyncpg.Record) -> Totals:
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


def _progress(totals: Totals, status: int) -> int:
    if status == CampaignStatus.COMPLETED:
        return 100
    return (totals.total - totals.pending - totals.accepted) * 100 // totals.total if totals.total else 0


def _common(row: asyncpg.Record) -> dict[str, Any]:
    totals = _totals(row)
    return {
        "id": row["id"],
        "name": row["name"],
        "type": CampaignType(row["type"]),
        "status": CampaignStatus(row["status"]),
        "status_reason": row["status_reason"],
        "schedule_date": row["schedule_date"],
        "progress": _progress(totals, row["status"]) if row["frozen_at"] is not None else 0,
        "started_at": row["started_at"],
        "completed_at": row["completed_at"],
        "created_at": row["created_at"],
        "totals": totals,
    }


def _listed(row: asyncpg.Record) -> CampaignListed:
    return CampaignListed(**_common(row))


def read_recipient(row: asyncpg.Record) -> RecipientRead:
    """Translate a row into the API's words, with the seed's booleans."""
    state = RecipientState(row["state"])
    return RecipientRead(
        **{**dict(row), "state": state},
        delivered=row["delivered_at"] is not None,
        readed=row["read_at"] is not None,
        error=state is RecipientState.FAILED,
    )
