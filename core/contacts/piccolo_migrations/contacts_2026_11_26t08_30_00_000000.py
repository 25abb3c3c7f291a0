from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T08:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "lists of a million contacts: names without accents, and an index for every order and filter"

STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS unaccent",
    # With a body of this kind the names are bound once, whatever the search path of a later reader is.
    "CREATE FUNCTION recado_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE"
    " RETURN lower(unaccent('unaccent'::regdictionary, $1))",
    "ALTER TABLE contacts ADD COLUMN name_folded text NOT NULL GENERATED ALWAYS AS (recado_fold(name)) STORED",
    "DROP INDEX contacts_search",
    "CREATE INDEX contacts_search ON contacts USING gin ((coalesce(number, '') || ' ' || name_folded) gin_trgm_ops)",
    "CREATE INDEX contacts_variables ON contacts USING gin (variables jsonb_path_ops)",
    'CREATE INDEX contacts_name ON contacts (user_id, (name_folded COLLATE "C"), id) WHERE deleted_at IS NULL',
    "CREATE INDEX contacts_number ON contacts (user_id, (coalesce(number, '') COLLATE \"C\"), id)"
    " WHERE deleted_at IS NULL",
    "CREATE INDEX contacts_created ON contacts (user_id, created_at, id) WHERE deleted_at IS NULL",
    "CREATE INDEX contacts_updated ON contacts (user_id, updated_at, id) WHERE deleted_at IS NULL",
    "CREATE INDEX contacts_inbound ON contacts (user_id, coalesce(last_inbound_at, 'epoch'), id)"
    " WHERE deleted_at IS NULL",
    "CREATE INDEX contacts_status ON contacts (user_id, status, id) WHERE deleted_at IS NULL",
    "CREATE INDEX contacts_groups ON contacts (user_id, id) WHERE deleted_at IS NULL AND type = 2",
    "CREATE INDEX contacts_blocked ON contacts (user_id, id) WHERE deleted_at IS NULL AND blocked_at IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="contacts", description=DESCRIPTION)

    async def change() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(change)
    return manager
