from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T17:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "numbers that work are no news"

STATEMENTS = ("UPDATE numbers SET told_connected = true WHERE status_connection",)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="numbers", description=DESCRIPTION)

    async def fill() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(fill)
    return manager
