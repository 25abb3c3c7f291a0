from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-24T16:45:03:000000"
VERSION = "1.38.0"
DESCRIPTION = "rows that belong to somebody always do, and do not vanish with their owner"

STATEMENTS = (
    "ALTER TABLE numbers ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT numbers_user_id_fkey,"
    " ADD CONSTRAINT numbers_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
    "ALTER TABLE numbers ALTER COLUMN server_id SET NOT NULL, DROP CONSTRAINT numbers_server_id_fkey,"
    " ADD CONSTRAINT numbers_server_id_fkey FOREIGN KEY (server_id) REFERENCES servers ON DELETE RESTRICT ON UPDATE CASCADE",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="numbers", description=DESCRIPTION)

    async def tighten() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(tighten)
    return manager
