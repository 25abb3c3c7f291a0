from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T03:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "addresses are searched, blocked once, and listed once"

STATEMENTS = (
    "CREATE INDEX contact_addresses_search ON contact_addresses USING gin (address gin_trgm_ops)",
    "CREATE UNIQUE INDEX block_contacts_address_key ON block_contacts (user_id, address)",
    "ALTER TABLE block_contacts ADD CONSTRAINT block_contacts_one_of CHECK (num_nonnulls(number, address) = 1)",
    "CREATE UNIQUE INDEX contact_sync_entries_key ON contact_sync_entries (job_id, address)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def index() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(index)
    return manager
