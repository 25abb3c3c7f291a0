from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T08:45:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "one kept mapping for each set of headers"

STATEMENTS = ("CREATE UNIQUE INDEX import_mappings_headers_key ON import_mappings (user_id, headers)",)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def index() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(index)
    return manager
