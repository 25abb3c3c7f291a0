from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-25T21:03:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "imports whose file is kept"

STATEMENT = "CREATE INDEX imports_with_file ON imports (path) WHERE file_removed_at IS NULL"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def create_index() -> None:
        await DB.run_ddl(STATEMENT)

    manager.add_raw(create_index)
    return manager
