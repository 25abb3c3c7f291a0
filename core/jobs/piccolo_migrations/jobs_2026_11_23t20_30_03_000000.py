from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:30:03:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes"

STATEMENTS = (
    "CREATE INDEX jobs_user_id ON jobs (user_id, id DESC)",
    "CREATE INDEX jobs_open ON jobs (lease_until) WHERE status IN ('waiting', 'running')",
    "CREATE INDEX jobs_subject ON jobs (kind, subject_id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="jobs", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
