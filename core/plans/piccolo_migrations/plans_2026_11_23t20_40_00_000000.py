from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:40:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "the plan that new users start with"

STATEMENT = (
    "INSERT INTO plans (name, value, currency, unlimited, medias, reports, schedule, numbers_limit, contacts_limit,"
    " campaigns_limit, monthly_messages, created_at, updated_at)"
    " VALUES ('Free', 0, 'BRL', false, true, true, true, 1, 1000, 5, 1000, now(), now())"
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="plans", description=DESCRIPTION)

    async def insert() -> None:
        await DB.run_ddl(STATEMENT)

    manager.add_raw(insert)
    return manager
