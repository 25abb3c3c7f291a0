from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T10:05:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "what an import changed is found by the import and by the contact"

STATEMENTS = (
    "CREATE INDEX import_steps_import_id ON import_steps (import_id, id)",
    "CREATE UNIQUE INDEX import_changes_key ON import_changes (import_id, contact_id)",
    "CREATE INDEX import_changes_contact_id ON import_changes (contact_id)",
    "CREATE INDEX imports_undo_job_id ON imports (undo_job_id) WHERE undo_job_id IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def index() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(index)
    return manager
