from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T15:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes of outgoing webhooks"

STATEMENTS = (
    "CREATE INDEX webhook_endpoints_user ON webhook_endpoints (user_id)",
    "CREATE UNIQUE INDEX webhook_endpoints_number ON webhook_endpoints (number_id) WHERE number_id IS NOT NULL",
    "CREATE UNIQUE INDEX webhook_deliveries_event ON webhook_deliveries (endpoint_id, event_id)",
    "CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (endpoint_id, id)",
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at, id) WHERE status = 'pending'",
    "CREATE INDEX webhook_deliveries_leased ON webhook_deliveries (endpoint_id) WHERE lease_until IS NOT NULL",
    "CREATE INDEX webhook_deliveries_next ON webhook_deliveries (due_at) WHERE status = 'pending'",
    "CREATE INDEX webhook_deliveries_created_at ON webhook_deliveries (created_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="webhooks", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
