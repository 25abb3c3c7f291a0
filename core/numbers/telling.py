"""Telling who looks at a number that its connection changed."""

from collections.abc import Collection

from core import database
from core.announcing import emit_all
from core.events.catalogue import NumberChanged


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
