from piccolo.apps.migrations.auto.migration_manager import MigrationManager

ID = "2026-11-26T12:05:48:017951"
VERSION = "1.38.0"
DESCRIPTION = "a gateway customer id is a row of gateway_customers"


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="accounts", description=DESCRIPTION)

    manager.drop_column(
        table_class_name="User",
        tablename="users",
        column_name="stripe_id",
        db_column_name="stripe_id",
        schema=None,
    )

    return manager
