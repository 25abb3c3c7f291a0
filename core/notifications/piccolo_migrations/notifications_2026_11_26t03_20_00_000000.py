from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T03:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "one standing alarm for each cause"

STATEMENTS = (
    "CREATE UNIQUE INDEX alarms_standing_key ON alarms (kind, subject_type, subject_id) WHERE cleared_at IS NULL",
    "CREATE INDEX alarms_cleared_at ON alarms (cleared_at) WHERE cleared_at IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="notifications", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
