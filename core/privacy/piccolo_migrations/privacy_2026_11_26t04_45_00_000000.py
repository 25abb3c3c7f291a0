from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T04:45:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "keys of exports"

STATEMENTS = (
    "CREATE INDEX data_exports_user_id ON data_exports (user_id, id DESC)",
    "CREATE INDEX data_exports_expires_at ON data_exports (expires_at) WHERE removed_at IS NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="privacy", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
