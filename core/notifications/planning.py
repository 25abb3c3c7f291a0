"""Planning: from a notification to its deliveries, by what the user chose; several of one kind become one.

One planner works at a time, so that what arrives together is folded together. The first of a kind leaves at once;
what follows within ``FOLD_SECONDS`` waits until they are over and leaves as one.
"""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import structlog

from core import database, queue
from core.notifications.channels import EMAIL, Lane, lanes
from core.notifications.choices import NotificationChoices, choices_of, wanted
from core.notifications.kinds import KINDS, Kind
from core.plugin import Channel

DELIVER = "notifications.deliver"
LOCK_KEY = 0x7263_6E70
"""Advisory lock: "rcnp" in ASCII. Whoever locks deliveries in the same unit of work takes it first."""
PORTION = 100
FOLD_SECONDS: dict[Channel, int] = {"email": 600, "realtime": 10}
FOLD_LIST = timedelta(seconds=FOLD_SECONDS["email"])

_UNPLANNED = """
SELECT n.id, n.key, n.kind, n.topic, n.user_id, n.created_at, now() AS now, u.id IS NOT NULL AS known,
    u.email_confirmed_at IS NOT NULL AS confirmed
FROM notifications n LEFT JOIN users u ON u.id = n.user_id AND u.deleted_at IS NULL
WHERE n.planned_at IS NULL ORDER BY n.id LIMIT $1
"""
_AGAIN = """
SELECT n.id, n.key, n.kind, n.topic, n.user_id, n.created_at, now() AS now
FROM notifications n JOIN users u ON u.id = n.user_id AND u.deleted_at IS NULL AND u.email_confirmed_at IS NOT NULL
WHERE n.id IN (SELECT notification_id FROM notification_deliveries
               WHERE id = ANY($1::bigint[]) OR into_id = ANY($1::bigint[]))
ORDER BY n.id
"""
_HEAD = """
UPDATE notifications SET times = times + 1 WHERE id = (
    SELECT id FROM notifications WHERE user_id = $1 AND kind = $2 AND topic = $4 AND listed AND folded_into IS NULL
        AND read_at IS NULL AND planned_at IS NOT NULL AND created_at > $3
    ORDER BY id DESC LIMIT 1)
RETURNING id
"""
_PLANNED = "UPDATE notifications SET planned_at = now(), listed = $2, folded_into = $3 WHERE id = $1"
_LATEST = """
SELECT d.id, d.due_at, d.status = 'pending' AND d.attempts = 0 AS waits
FROM notification_deliveries d JOIN notifications n ON n.id = d.notification_id
WHERE d.user_id = $1 AND d.kind = $2 AND d.channel = $3 AND d.notifier = $4 AND n.topic = $6 AND d.due_at > $5
    AND d.status NOT IN ('folded', 'failed', 'refused')
ORDER BY d.id DESC LIMIT 1 FOR UPDATE OF d
"""
_INSERT = """
INSERT INTO notification_deliveries (key, notification_id, user_id, kind, channel, notifier, status, into_id,
    falls_back, due_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now()) ON CONFLICT (key) DO NOTHING
"""
_log = structlog.get_logger(__name__)


async def plan() -> None:
    """Plan every notification that waits for it, and have the lanes delivered; harmless when there is none.

    Where another planner is at it, nobody waits for it: what it does not see any more, the sweep finds.
    """
    while await _plan_some():
        pass
    for lane in lanes():
        await queue.send(DELIVER, lane.name, queue=queue.NOTIFICATIONS)


async def any_unplanned() -> bool:
    """Whether a notification waits to be planned."""
    return bool(await database.fetch_value("SELECT EXISTS (SELECT FROM notifications WHERE planned_at IS NULL)"))


async def alone() -> None:
    """Keep other planners out until the present unit of work is over."""
    await database.execute("SELECT pg_advisory_xact_lock($1)", LOCK_KEY)


async def mail_instead(delivery_ids: Sequence[int]) -> None:
    """Have mailed what deliveries were to tell, their own notification and those folded into it.

    Each is mailed once, and folded as others are.
    """
    async with database.unit_of_work():
        await alone()
        rows = await database.fetch(_AGAIN, list(delivery_ids))
        for row in rows:
            await _add(row, KINDS[row["kind"]], EMAIL, falls_back=False)
        if rows and EMAIL in lanes():
            queue.enqueue(DELIVER, EMAIL.name, queue=queue.NOTIFICATIONS)


async def _plan_some() -> bool:
    async with database.unit_of_work():
        if not await database.fetch_value("SELECT pg_try_advisory_xact_lock($1)", LOCK_KEY):
            return False
        rows = await database.fetch(_UNPLANNED, PORTION)
        choices: dict[int, NotificationChoices] = {}
        for row in rows:
            kind = KINDS.get(row["kind"])
            if kind is None or not row["known"]:
                # A kind of another version of the platform, or somebody who left meanwhile.
                _log.warning("notification_dropped", id=row["id"], kind=row["kind"])
                await database.execute(_PLANNED, row["id"], False, None)
                continue
            if row["user_id"] not in choices:
                choices[row["user_id"]] = await choices_of(row["user_id"])
            await _plan(row, kind, choices[row["user_id"]])
    return len(rows) == PORTION


async def _plan(row: asyncpg.Record, kind: Kind, choices: NotificationChoices) -> None:
    head: object = None
    if kind.listed and kind.folds:
        head = await database.fetch_value(_HEAD, row["user_id"], kind.name, row["created_at"] - FOLD_LIST, row["topic"])
    await database.execute(_PLANNED, row["id"], kind.listed, head)
    if row["now"] - row["created_at"] > kind.lasts:
        _log.warning("notification_too_old", id=row["id"], kind=kind.name)
        return
    told = wanted(kind, choices)
    falls_back = told.falls_back and not told.email and EMAIL in lanes()
    for lane in lanes():
        if lane.channel == "email":
            if told.email and (row["confirmed"] or not kind.listed):
                await _add(row, kind, lane, falls_back=False)
        elif told.realtime and kind.listed:
            await _add(row, kind, lane, falls_back=falls_back)


async def _add(row: asyncpg.Record, kind: Kind, lane: Lane, *, falls_back: bool) -> None:
    """Add one delivery: due at once, after the latest one of its kind, or folded into one that waits already."""
    due_at, status, into = row["now"], "pending", None
    window = timedelta(seconds=FOLD_SECONDS[lane.channel])
    if kind.folds:
        place = (row["user_id"], kind.name, lane.channel, lane.notifier)
        latest = await database.fetch_row(_LATEST, *place, row["now"] - window, row["topic"])
        if latest is not None and latest["waits"]:
            status, into, due_at = "folded", latest["id"], latest["due_at"]
        elif latest is not None:
            due_at = latest["due_at"] + window
    await database.execute(
        _INSERT,
        f"{row['key']}:{lane.name}",
        row["id"],
        row["user_id"],
        kind.name,
        lane.channel,
        lane.notifier,
        status,
        into,
        falls_back,
        due_at,
    )
