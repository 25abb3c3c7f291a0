from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "a plan in use cannot be deleted; sessions by their end"

STATEMENTS = (
    "ALTER TABLE users DROP CONSTRAINT users_plan_id_fkey",
    "ALTER TABLE users ADD CONSTRAINT users_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES plans (id) ON DELETE RESTRICT",
    "CREATE INDEX users_plan_id ON users (plan_id)",
    "CREATE INDEX users_administrators ON users (id) WHERE profile = 'administrator' AND deleted_at IS NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="accounts", description=DESCRIPTION)

    async def alter() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(alter)
    return manager
