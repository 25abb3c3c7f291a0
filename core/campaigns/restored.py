"""A restored backup must not send again what was sent since: on another database whatever would send is held."""

import structlog

from core import database
from core.campaigns.status_events import tell

KEY = "system_identifier"

_log = structlog.get_logger(__name__)


async def pause_after_restore() -> int:
    """Compare the server's ``system_identifier`` with the stored one; hold all that would send on a mismatch.

    Running campaigns are paused, and scheduled ones that are due wait for a person. Returns how many that were. A
    logical restore into another server changes the identifier; PostgreSQL keeps it for the life of a data folder.
    """
    present = await database.fetch_value("SELECT system_identifier::text FROM pg_control_system()")
    async with database.unit_of_work():
        stored = await database.fetch_value("SELECT value FROM settings WHERE key = $1 FOR UPDATE", KEY)
        if stored == present:
            return 0
        await database.execute(
            "INSERT INTO settings (key, value, description) VALUES ($1, $2, 'The database server the rows were"
            " written on.') ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = now()",
            KEY,
            present,
        )
        if stored is None:
            return 0
        paused = await database.fetch(
            "UPDATE campaigns SET status = 3, status_reason = 'database_restored', version = version + 1,"
            " updated_at = now() WHERE status = 2 RETURNING id"
        )
        # One that was due since the backup may have been sent; a person starts it, or does not.
        waiting = await database.fetch(
            "UPDATE campaigns SET status_reason = 'database_restored', version = version + 1, updated_at = now()"
            " WHERE status = 1 AND status_reason = 'scheduled' AND schedule_date <= now()"
            " RETURNING id"
        )
        for row in (*paused, *waiting):
            await tell(row["id"])
    count = len(paused) + len(waiting)
    _log.warning("campaigns_paused_after_restore", campaigns=count)
    return count
