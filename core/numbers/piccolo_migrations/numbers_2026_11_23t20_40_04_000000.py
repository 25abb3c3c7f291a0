from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:40:04:000000"
VERSION = "1.38.0"
DESCRIPTION = "keys of servers, answers and identities; what is due to be asked"

STATEMENTS = (
    "CREATE UNIQUE INDEX servers_name_key ON servers (provider, name) WHERE deleted_at IS NULL",
    "CREATE INDEX numbers_poll_at ON numbers (poll_at) WHERE poll_at IS NOT NULL AND removed_at IS NULL",
    "CREATE UNIQUE INDEX number_checks_key ON number_checks (provider, number)",
    "CREATE INDEX number_checks_address ON number_checks (address) WHERE found",
    "CREATE INDEX number_checks_checked_at ON number_checks (checked_at)",
    "CREATE UNIQUE INDEX number_identities_key ON number_identities (number_id, address)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="numbers", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
