from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:30:01:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes"

STATEMENTS = ("CREATE UNIQUE INDEX configurations_user_id_key ON configurations (user_id, key)",)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="settings", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
