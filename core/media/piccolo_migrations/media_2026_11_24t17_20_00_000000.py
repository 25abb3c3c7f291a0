from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-24T17:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes"

STATEMENTS = (
    "CREATE INDEX media_user_id ON media (user_id, id DESC) WHERE deleted_at IS NULL",
    "CREATE INDEX media_sha256 ON media (user_id, sha256) WHERE deleted_at IS NULL AND state = 'ready'",
    "CREATE INDEX media_path ON media (path) WHERE path <> ''",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="media", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
