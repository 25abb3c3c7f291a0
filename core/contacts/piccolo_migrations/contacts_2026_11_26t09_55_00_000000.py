from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T09:55:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of deletions, selections and what was decided of a contact"

STATEMENTS = (
    "CREATE INDEX contacts_deletion ON contacts (deletion_id, id) WHERE deletion_id IS NOT NULL",
    "CREATE INDEX contacts_merged ON contacts (merged_into) WHERE merged_into IS NOT NULL",
    "CREATE INDEX contact_deletions_user_id ON contact_deletions (user_id, id DESC)",
    "CREATE INDEX bulk_selections_job_id ON bulk_selections (job_id, id)",
    "CREATE INDEX contact_events_contact_id ON contact_events (contact_id, id)",
    "CREATE INDEX contact_events_user_id ON contact_events (user_id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
