from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-25T21:50:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "each variable once, with those that contacts have already"

STATEMENTS = (
    "CREATE UNIQUE INDEX contact_variables_key ON contact_variables (user_id, name)",
    "INSERT INTO contact_variables (user_id, name) SELECT DISTINCT c.user_id, k"
    " FROM contacts c CROSS JOIN LATERAL jsonb_object_keys(c.variables) AS k",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def fill() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(fill)
    return manager
