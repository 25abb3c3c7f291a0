from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:40:08:000000"
VERSION = "1.38.0"
DESCRIPTION = "open events in the order they are due, inbound messages apart; applied ones by age"

STATEMENTS = (
    "DROP INDEX webhook_events_open",
    "CREATE INDEX webhook_events_open ON webhook_events (due_at, id) WHERE applied_at IS NULL AND kind <> 'message_in'",
    "CREATE INDEX webhook_events_inbound ON webhook_events (due_at, id) WHERE applied_at IS NULL AND kind = 'message_in'",
    "CREATE INDEX webhook_events_applied ON webhook_events (applied_at) WHERE applied_at IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="webhooks", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
