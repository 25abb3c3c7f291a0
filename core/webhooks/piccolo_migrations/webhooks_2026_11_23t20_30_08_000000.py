from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:30:08:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes"

STATEMENTS = (
    "CREATE UNIQUE INDEX webhook_events_key ON webhook_events (number_id, dedupe_key)",
    "CREATE INDEX webhook_events_open ON webhook_events (id) WHERE applied_at IS NULL",
    "CREATE INDEX webhooks_log_created_at ON webhooks_log (created_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="webhooks", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
