from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T03:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the latest messages of a number"

STATEMENTS = (
    "CREATE INDEX message_attempts_number_id ON message_attempts (number_id, claimed_at)",
    "CREATE UNIQUE INDEX status_polls_key ON status_polls (number_id, pass_number)",
    "CREATE INDEX status_polls_due_at ON status_polls (due_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="campaigns", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
