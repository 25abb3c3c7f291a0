"""Telling of a number's connection: who looks at it of any change, and its owner of what matters."""

from collections.abc import Collection

import asyncpg

from core import database
from core.announcing import announce_all, emit_all
from core.events.catalogue import Event, NumberChanged, NumberConnected, NumberDisconnected, NumberRestricted
from core.notifications.alarms import standing_alarms

ASKED_FOR = "2 minutes"
"""A connection lost so soon after its owner asked for that was lost because of it: a server may take its time."""

_STANDING = f"""
SELECT id, user_id, name, number, connection, status_connection, connection_reason, told_connected, now() AS moment,
    connection = 'connected' AND silent_until IS NOT NULL AS is_held,
    coalesce(owner_asked_at > now() - interval '{ASKED_FOR}', false) AS asked
FROM numbers WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL ORDER BY id FOR UPDATE
"""
# What is lost after that, when a restart brought it back for instance, nobody asked for.
_TOLD = """
UPDATE numbers n SET told_connected = t.works, owner_asked_at = CASE WHEN t.works THEN n.owner_asked_at END
FROM unnest($1::bigint[], $2::bool[]) AS t(id, works) WHERE n.id = t.id
"""


async def tell_changed(number_ids: Collection[int]) -> None:
    """Emit ``number.changed`` for these numbers; it joins the unit of work of the change."""
    rows = await database.fetch(
        "SELECT id, user_id, connection, status_connection, connection_reason FROM numbers"
        " WHERE id = ANY($1::bigint[]) ORDER BY id",
        list(number_ids),
    )
    await emit_all(
        [
            (
                row["user_id"],
                NumberChanged(
                    number_id=row["id"],
                    connection=row["connection"],
                    status_connection=row["status_connection"],
                    reason=row["connection_reason"],
                ),
            )
            for row in rows
        ]
    )


async def tell_owners(number_ids: Collection[int]) -> None:
    """Tell the owners of numbers that work, or no longer do, unlike when they were last told; in the unit of work.

    A number that is held back for a moment, while what it sent is looked up, works until an alarm says that it is
    silent. Whoever asked for the end of a connection knows of it: programs are told of it, and no person. Of a number
    that was removed nothing is told.
    """
    if not number_ids:
        return
    rows = await database.fetch(_STANDING, list(number_ids))
    held = [row["id"] for row in rows if row["is_held"]]
    silent = await standing_alarms("number", held, ["number_silent"]) if held else frozenset()
    turned = [(row, works) for row in rows if (works := _works(row, silent)) != row["told_connected"]]
    if not turned:
        return
    await database.execute(_TOLD, [row["id"] for row, _ in turned], [works for _, works in turned])
    await emit_all([(row["user_id"], _turn(row, works=works)) for row, works in turned if row["asked"] and not works])
    told = [(row, _turn(row, works=works)) for row, works in turned if works or not row["asked"]]
    await announce_all([(row["user_id"], event, _key(row, event)) for row, event in told])


def _works(row: asyncpg.Record, silent: Collection[int]) -> bool:
    return bool(row["status_connection"]) or (row["is_held"] and row["id"] not in silent)


async def tell_restricted(number_ids: Collection[int]) -> None:
    """Tell the owners of numbers whose ``restricted_until`` has just come to lie ahead, in the unit of work of that."""
    if not number_ids:
        return
    rows = await database.fetch(
        "SELECT id, user_id, name, number, restricted_until, now() AS moment FROM numbers"
        " WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL ORDER BY id",
        list(number_ids),
    )
    told = [
        (
            row,
            NumberRestricted(
                number_id=row["id"],
                name=row["name"],
                number=row["number"],
                restricted_until=row["restricted_until"],
            ),
        )
        for row in rows
    ]
    await announce_all([(row["user_id"], event, _key(row, event)) for row, event in told])


def _turn(row: asyncpg.Record, *, works: bool) -> NumberConnected | NumberDisconnected:
    if works:
        return NumberConnected(number_id=row["id"], name=row["name"], number=row["number"])
    return NumberDisconnected(
        number_id=row["id"],
        name=row["name"],
        number=row["number"],
        connection=row["connection"],
        reason=row["connection_reason"],
    )


def _key(row: asyncpg.Record, event: Event) -> str:
    """Return the key of what has just happened: the moment of the change is that of its unit of work."""
    return f"{event.type}:{row['id']}:{row['moment'].isoformat()}"
