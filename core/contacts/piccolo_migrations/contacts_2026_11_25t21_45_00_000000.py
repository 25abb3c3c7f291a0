from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-25T21:45:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "one suppression for each form of a person"

STATEMENTS = ("CREATE UNIQUE INDEX suppressions_key ON suppressions (user_id, digest)",)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def index() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(index)
    return manager
