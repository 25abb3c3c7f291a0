from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-24T16:45:04:000000"
VERSION = "1.38.0"
DESCRIPTION = "rows that belong to somebody always do, and do not vanish with their owner"

STATEMENTS = (
    "ALTER TABLE payments ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT payments_user_id_fkey,"
    " ADD CONSTRAINT payments_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="payments", description=DESCRIPTION)

    async def tighten() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(tighten)
    return manager
