"""Telling of a number's connection: who looks at it of any change, and its owner of what matters."""

from collections.abc import Collection

import asyncpg

from core import database
from core.announcing import announce_all, emit_all
from core.events.catalogue import Event, NumberChanged, NumberConnected, NumberDisconnected, NumberRestricted

ASKED_FOR = "2 minutes"
"""A connection lost so soon after its owner asked for that was lost because of it: a server may take its time."""

_FLIPPED = f"""
SELECT id, user_id, name, number, connection, status_connection, connection_reason, updated_at,
    NOT status_connection AND coalesce(owner_asked_at > now() - interval '{ASKED_FOR}', false) AS asked
FROM numbers WHERE id = ANY($1::bigint[]) AND deleted_at IS NULL ORDER BY id
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


async def tell_flipped(number_ids: Collection[int]) -> None:
    """Tell the owners of numbers whose ``status_connection`` has just become another, in the unit of work of that.

    Whoever asked for the end of a connection knows of it: programs are told of it, and no person. Of a number that
    was removed nothing is told.
    """
    rows = await database.fetch(_FLIPPED, list(number_ids)) if number_ids else []
    asked = [row for row in rows if row["asked"]]
    if asked:
        # What is lost after that, when a restart brought it back for instance, nobody asked for.
        await database.execute(
            "UPDATE numbers SET owner_asked_at = NULL WHERE id = ANY($1::bigint[])", [row["id"] for row in asked]
        )
        await emit_all([(row["user_id"], _flip(row)) for row in asked])
    unasked = [(row, _flip(row)) for row in rows if not row["asked"]]
    await announce_all([(row["user_id"], event, _key(row, event)) for row, event in unasked])


async def tell_restricted(number_ids: Collection[int]) -> None:
    """Tell the owners of numbers whose ``restricted_until`` has just come to lie ahead, in the unit of work of that."""
    if not number_ids:
        return
    rows = await database.fetch(
        "SELECT id, user_id, name, number, restricted_until, updated_at FROM numbers"
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


def _flip(row: asyncpg.Record) -> NumberConnected | NumberDisconnected:
    if row["status_connection"]:
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
    return f"{event.type}:{row['id']}:{row['updated_at'].isoformat()}"
