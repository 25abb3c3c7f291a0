"""The list of notifications: what a user was told of, whatever became of mails and events."""

from collections.abc import Sequence

import asyncpg
import msgspec

from core import database
from core.errors import NotFoundError
from core.notifications.composing import read_detail
from core.notifications.schemas import DeliveryRead, NotificationDetail, NotificationRead
from core.notifications.wording import text_of, title_of
from core.pagination import PageQuery

FOLDED_SHOWN = 50
_SORTS = {"id": "n.id", "created_at": "n.id"}
_LISTED = "n.user_id = $1 AND n.listed AND n.folded_into IS NULL AND n.planned_at IS NOT NULL"
_COLUMNS = "n.id, n.kind, n.detail, n.times, n.created_at, n.read_at"


async def list_notifications(
    user_id: int, query: PageQuery, language: str, timezone: str, *, unread: bool | None, kind: str | None
) -> tuple[Sequence[NotificationRead], int]:
    """Return one page of a user's notifications, the newest first, and how many there are."""
    where = f"{_LISTED} AND ($2::bool IS NULL OR (n.read_at IS NULL) = $2) AND ($3::text IS NULL OR n.kind = $3)"
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM notifications n WHERE {where} ORDER BY {query.order_by(_SORTS, '-id', tie='n.id')}"
        " LIMIT $4 OFFSET $5",
        user_id,
        unread,
        kind,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM notifications n WHERE {where}", user_id, unread, kind)
    return [_read(row, language, timezone) for row in rows], int(str(total))


async def count_unread(user_id: int) -> int:
    """Return how many notifications of the list a user has not read."""
    found = await database.fetch_value(
        f"SELECT count(*) FROM notifications n WHERE {_LISTED} AND n.read_at IS NULL", user_id
    )
    return int(str(found))


async def get_notification(user_id: int, notification_id: int, language: str, timezone: str) -> NotificationDetail:
    """Return one notification with the latest of those folded into it.

    Raises:
        NotFoundError: The user has no such notification.
    """
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM notifications n WHERE {_LISTED} AND n.id = $2", user_id, notification_id
    )
    if row is None:
        raise NotFoundError("notification", notification_id)
    folded = await database.fetch(
        f"SELECT {_COLUMNS} FROM notifications n WHERE n.user_id = $1 AND n.folded_into = $2 ORDER BY n.id DESC"
        " LIMIT $3",
        user_id,
        notification_id,
        FOLDED_SHOWN,
    )
    deliveries = await database.fetch(
        "SELECT channel, notifier, status, attempts, due_at, sent_at FROM notification_deliveries"
        " WHERE user_id = $1 AND notification_id = $2 ORDER BY id",
        user_id,
        notification_id,
    )
    shown = _read(row, language, timezone)
    return NotificationDetail(
        id=shown.id,
        kind=shown.kind,
        title=shown.title,
        text=shown.text,
        count=shown.count,
        created_at=shown.created_at,
        read_at=shown.read_at,
        detail=read_detail(row["kind"], row["detail"]),
        folded=[_read(one, language, timezone) for one in folded],
        deliveries=[msgspec.convert(dict(delivery), DeliveryRead) for delivery in deliveries],
    )


async def mark_read(user_id: int, notification_id: int, *, read: bool) -> None:
    """Mark a notification as read, or as unread; repeatable.

    Raises:
        NotFoundError: The user has no such notification.
    """
    marked = await database.execute(
        "UPDATE notifications n SET read_at = CASE WHEN $3 THEN coalesce(n.read_at, now()) END"
        f" WHERE {_LISTED} AND n.id = $2",
        user_id,
        notification_id,
        read,
    )
    if not marked:
        raise NotFoundError("notification", notification_id)


async def mark_all_read(user_id: int, up_to: int | None) -> int:
    """Mark every notification as read, or those with ids up to ``up_to``; return how many were not."""
    return await database.execute(
        f"UPDATE notifications n SET read_at = now() WHERE {_LISTED} AND n.read_at IS NULL"
        " AND ($2::bigint IS NULL OR n.id <= $2)",
        user_id,
        up_to,
    )


def _read(row: asyncpg.Record, language: str, timezone: str) -> NotificationRead:
    detail = read_detail(row["kind"], row["detail"])
    return NotificationRead(
        id=row["id"],
        kind=row["kind"],
        # What an older version wrote in another shape still has its name.
        title=row["kind"].replace("_", " ") if detail is None else title_of(row["kind"], detail, language),
        text="" if detail is None else text_of(row["kind"], detail, language, timezone),
        count=row["times"],
        created_at=row["created_at"],
        read_at=row["read_at"],
    )
