"""Alarms: raised once for as long as their cause lasts, cleared by whoever sees it gone.

Where nobody can see that, as of a payment's dispute, an administrator clears it by hand. ``docs/reference/alarms.md``
says of each when it ends.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal

import asyncpg
import msgspec
import structlog

from core import database
from core.audit import services as audit
from core.errors import NotFoundError
from core.events.catalogue import AlarmRaised, seal
from core.live import stream
from core.notifications import outbox
from core.notifications.schemas import AlarmRead
from core.notifications.wording import alarm_says
from core.pagination import PageQuery

_SORTS = {"id": "id", "raised_at": "raised_at", "noticed_at": "noticed_at"}

_RAISE = """
INSERT INTO alarms (kind, subject_type, subject_id, detail, noticed, raised_at, noticed_at)
VALUES ($1, $2, $3, $4, 1, now(), now())
ON CONFLICT (kind, subject_type, subject_id) WHERE cleared_at IS NULL
DO UPDATE SET noticed = alarms.noticed + 1, noticed_at = now(), detail = excluded.detail
RETURNING id, noticed
"""

_ADMINISTRATORS = """
SELECT id, locale, timezone FROM users WHERE profile = 'administrator' AND status = 'active' AND deleted_at IS NULL
ORDER BY id
"""

Subject = Literal[
    "server",
    "number",
    "subscription",
    "payment",
    "gateway_fetch",
    "gateway_action",
    "notifier",
    "user",
    "queue",
    "platform",
]
"""What an alarm is about: whose row ``subject_id`` is; a queue's place in ``QUEUES`` from 1, 0 for the platform."""
Kind = Literal[
    "server_down",
    "server_refuses",
    "number_failed",
    "number_silent",
    "gateway_fetch_failed",
    "gateway_action_failed",
    "subscription_duplicate",
    "subscription_missing",
    "subscription_strange",
    "payment_disputed",
    "notifier_down",
    "notifier_misconfigured",
    "notifier_limited",
    "email_refused",
    "queue_stuck",
    "workers_gone",
    "disk_low",
]
"""Each has its text in every language."""

NUMBER_ALARMS: tuple[Kind, ...] = ("number_failed", "number_silent")
FETCH_ALARMS: tuple[Kind, ...] = ("gateway_fetch_failed",)
SERVER_ALARMS: tuple[Kind, ...] = ("server_down", "server_refuses")

_log = structlog.get_logger(__name__)


async def raise_alarm(kind: Kind, subject: Subject, subject_id: int, **detail: str | int) -> bool:
    """Raise an alarm, or note that one which stands already was noticed again; return whether it is new.

    It joins the present unit of work, or has one of its own. Only a new one is logged, and told to administrators.
    """
    async with database.unit_of_work():
        row = await database.fetch_row(_RAISE, kind, subject, subject_id, database.encode_json(detail))
        if row is None or row["noticed"] != 1:
            return False
        await _tell(row["id"], kind, subject, subject_id, detail)
    _log.error("alarm", kind=kind, subject=subject, subject_id=subject_id, **detail)
    return True


async def _tell(alarm_id: int, kind: Kind, subject: Subject, subject_id: int, detail: Mapping[str, str | int]) -> None:
    """Notify every administrator, each in their language."""
    told = []
    for person in await database.fetch(_ADMINISTRATORS):
        text = alarm_says(kind, subject_id, detail, person["locale"], person["timezone"])
        event = AlarmRaised(alarm_id=alarm_id, kind=kind, subject_type=subject, subject_id=subject_id, text=text)
        await outbox.put("alarm_raised", person["id"], f"alarm:{alarm_id}:{person['id']}", event)
        told.append((person["id"], seal(event)))
    if told:
        database.after_commit(partial(stream.publish, told))


async def clear_alarms(subject: Subject, subject_ids: Collection[int], kinds: Collection[Kind]) -> int:
    """End the alarms of these kinds about these rows; return how many stood."""
    return await database.execute(
        "UPDATE alarms SET cleared_at = now() WHERE subject_type = $1 AND subject_id = ANY($2::bigint[])"
        " AND kind = ANY($3::text[]) AND cleared_at IS NULL",
        subject,
        list(subject_ids),
        list(kinds),
    )


async def standing_alarms(subject: Subject, subject_ids: Collection[int], kinds: Collection[Kind]) -> frozenset[int]:
    """Return those of these rows about which one of these alarms stands."""
    rows = await database.fetch(
        "SELECT subject_id FROM alarms WHERE subject_type = $1 AND subject_id = ANY($2::bigint[])"
        " AND kind = ANY($3::text[]) AND cleared_at IS NULL",
        subject,
        list(subject_ids),
        list(kinds),
    )
    return frozenset(row["subject_id"] for row in rows)


async def list_alarms(
    query: PageQuery, language: str, timezone: str, *, standing: bool | None
) -> tuple[Sequence[AlarmRead], int]:
    """Return one page of alarms, the newest first, and how many there are."""
    where = "($1::bool IS NULL OR (cleared_at IS NULL) = $1)"
    rows = await database.fetch(
        f"SELECT * FROM alarms WHERE {where} ORDER BY {query.order_by(_SORTS, '-id')} LIMIT $2 OFFSET $3",
        standing,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM alarms WHERE {where}", standing)
    return [_read(row, language, timezone) for row in rows], int(str(total))


async def clear_by_hand(actor_id: int, alarm_id: int, language: str, timezone: str) -> AlarmRead:
    """End an alarm because an administrator says so; one that is over stays as it is.

    Whoever still sees its cause raises it anew.

    Raises:
        NotFoundError: There is no such alarm.
    """
    async with database.unit_of_work():
        cleared = await database.fetch_row(
            "UPDATE alarms SET cleared_at = now() WHERE id = $1 AND cleared_at IS NULL RETURNING *", alarm_id
        )
        row = cleared or await database.fetch_row("SELECT * FROM alarms WHERE id = $1", alarm_id)
        if row is None:
            raise NotFoundError("alarm", alarm_id)
        if cleared is not None:
            about = {"kind": row["kind"], "subject_type": row["subject_type"], "subject_id": row["subject_id"]}
            await audit.record("alarm.cleared", user_id=actor_id, entity_id=alarm_id, facts=about)
    return _read(row, language, timezone)


async def forget_alarms(before: datetime, limit: int) -> int:
    """Delete up to ``limit`` alarms that were over before a moment; return how many."""
    return await database.execute(
        "DELETE FROM alarms WHERE id IN (SELECT id FROM alarms WHERE cleared_at < $1 ORDER BY cleared_at LIMIT $2)",
        before,
        limit,
    )


def _read(row: asyncpg.Record, language: str, timezone: str) -> AlarmRead:
    detail: Mapping[str, object] = msgspec.json.decode(row["detail"])
    return AlarmRead(
        id=row["id"],
        kind=row["kind"],
        text=alarm_says(row["kind"], row["subject_id"], detail, language, timezone),
        subject_type=row["subject_type"],
        subject_id=row["subject_id"],
        noticed=row["noticed"],
        raised_at=row["raised_at"],
        noticed_at=row["noticed_at"],
        cleared_at=row["cleared_at"],
    )
