from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-26T19:23:02:968735"
VERSION = "1.38.0"
DESCRIPTION = "one previous secret is several"


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="webhooks", description=DESCRIPTION)

    manager.drop_column(
        table_class_name="WebhookEndpoint",
        tablename="webhook_endpoints",
        column_name="previous_secret",
        db_column_name="previous_secret",
        schema=None,
    )

    manager.drop_column(
        table_class_name="WebhookEndpoint",
        tablename="webhook_endpoints",
        column_name="previous_until",
        db_column_name="previous_until",
        schema=None,
    )

    return manager
