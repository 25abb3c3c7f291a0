from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-24T16:45:02:000000"
VERSION = "1.38.0"
DESCRIPTION = "rows that belong to somebody always do, and do not vanish with their owner"

STATEMENTS = (
    "ALTER TABLE contacts ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT contacts_user_id_fkey,"
    " ADD CONSTRAINT contacts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
    "ALTER TABLE publics ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT publics_user_id_fkey,"
    " ADD CONSTRAINT publics_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
    "ALTER TABLE labels ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT labels_user_id_fkey,"
    " ADD CONSTRAINT labels_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
    "ALTER TABLE block_contacts ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT block_contacts_user_id_fkey,"
    " ADD CONSTRAINT block_contacts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
    "ALTER TABLE imports ALTER COLUMN user_id SET NOT NULL, DROP CONSTRAINT imports_user_id_fkey,"
    " ADD CONSTRAINT imports_user_id_fkey FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT ON UPDATE CASCADE",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def tighten() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(tighten)
    return manager
