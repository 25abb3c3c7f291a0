from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:30:05:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes"

STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE UNIQUE INDEX contacts_number_key ON contacts (user_id, number) WHERE deleted_at IS NULL AND number IS NOT NULL",
    "CREATE INDEX contacts_user_id ON contacts (user_id, id DESC) WHERE deleted_at IS NULL",
    "CREATE INDEX contacts_labels ON contacts USING gin (labels jsonb_path_ops)",
    "CREATE INDEX contacts_search ON contacts USING gin ((coalesce(number, '') || ' ' || name) gin_trgm_ops)",
    "CREATE UNIQUE INDEX contact_addresses_key ON contact_addresses (contact_id, provider)",
    "CREATE INDEX contact_addresses_address ON contact_addresses (address)",
    "CREATE UNIQUE INDEX labels_name_key ON labels (user_id, lower(name)) WHERE deleted_at IS NULL",
    "CREATE INDEX publics_user_id ON publics (user_id) WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX public_by_contacts_key ON public_by_contacts (public_id, contact_id)",
    "CREATE INDEX public_by_contacts_contact_id ON public_by_contacts (contact_id)",
    "CREATE UNIQUE INDEX block_contacts_key ON block_contacts (user_id, number)",
    "CREATE INDEX imports_user_id ON imports (user_id, id DESC)",
    "CREATE INDEX import_errors_import_id ON import_errors (import_id, line)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
