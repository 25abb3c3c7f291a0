from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-25T21:31:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "which messages carry a file"


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="campaigns", description=DESCRIPTION)

    async def create_index() -> None:
        await DB.run_ddl("CREATE INDEX messages_media_id ON messages (media_id) WHERE media_id IS NOT NULL")

    manager.add_raw(create_index)
    return manager
