from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T19:23:02:000000"
VERSION = "1.38.0"
DESCRIPTION = "previous secrets are moved, and attempts in the air are found by tenant"

STATEMENTS = (
    "UPDATE webhook_endpoints SET previous_secrets ="
    " jsonb_build_array(jsonb_build_object('secret', previous_secret, 'until', previous_until))"
    " WHERE previous_secret IS NOT NULL AND previous_until > now()",
    "CREATE INDEX webhook_deliveries_flying ON webhook_deliveries (user_id, endpoint_id) WHERE lease_until IS NOT NULL",
    "DROP INDEX webhook_deliveries_leased",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="webhooks", description=DESCRIPTION)

    async def run_statements() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(run_statements)
    return manager
