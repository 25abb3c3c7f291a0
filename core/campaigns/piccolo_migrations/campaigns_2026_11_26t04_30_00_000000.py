from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T04:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "key of what is over"

STATEMENTS = (
    "CREATE INDEX campaigns_over ON campaigns (coalesce(completed_at, updated_at)) WHERE status IN (4, 5, 6)"
    " AND recipients_removed_at IS NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="campaigns", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
