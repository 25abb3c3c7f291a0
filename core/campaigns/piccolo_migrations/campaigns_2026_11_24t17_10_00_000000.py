from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-24T17:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes, and room on the pages of what every claim updates"

STATEMENTS = (
    "ALTER TABLE contact_activity SET (fillfactor = 70)",
    "CREATE UNIQUE INDEX conversations_key ON conversations (contact_id, number_id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="campaigns", description=DESCRIPTION)

    async def run_statements() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run_statements)
    return manager
