from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T16:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "what planning, delivery and the list look for"

STATEMENTS = (
    "CREATE INDEX notifications_unplanned ON notifications (id) WHERE planned_at IS NULL",
    "CREATE INDEX notifications_listed ON notifications (user_id, id) WHERE listed AND folded_into IS NULL",
    "CREATE INDEX notifications_unread ON notifications (user_id, kind, id)"
    " WHERE listed AND folded_into IS NULL AND read_at IS NULL",
    "CREATE INDEX notifications_folded_into ON notifications (folded_into) WHERE folded_into IS NOT NULL",
    "CREATE INDEX notifications_created_at ON notifications (created_at)",
    "CREATE INDEX notification_deliveries_due ON notification_deliveries (channel, notifier, due_at)"
    " WHERE status = 'pending'",
    "CREATE INDEX notification_deliveries_leased ON notification_deliveries (lease_until)"
    " WHERE status IN ('claimed', 'sending')",
    "CREATE INDEX notification_deliveries_latest ON notification_deliveries (user_id, kind, channel, notifier, id)",
    "CREATE INDEX notification_deliveries_of ON notification_deliveries (notification_id)",
    "CREATE INDEX notification_deliveries_into ON notification_deliveries (into_id) WHERE into_id IS NOT NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="notifications", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
