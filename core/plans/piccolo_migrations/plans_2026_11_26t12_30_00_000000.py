from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T12:30:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "one price for each currency and interval"

STATEMENTS = (
    "ALTER TABLE plans ADD CHECK (trial_days >= 0)",
    "CREATE UNIQUE INDEX plan_prices_once ON plan_prices (plan_id, currency, interval)",
    "ALTER TABLE plan_prices ADD CHECK (amount >= 0), ADD CHECK (interval IN ('month', 'year'))",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="plans", description=DESCRIPTION)

    async def build() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(build)
    return manager
