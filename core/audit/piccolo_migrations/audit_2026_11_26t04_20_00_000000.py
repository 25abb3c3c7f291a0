from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T04:20:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "whose account older lines concern; keys of lists and of retention"

STATEMENTS = (
    "UPDATE logs SET account_id = user_id, entity = split_part(action, '.', 1)",
    "CREATE INDEX logs_account_id ON logs (account_id, id DESC)",
    "CREATE INDEX logs_entity ON logs (entity, entity_id, id DESC)",
    "CREATE INDEX logs_actor_id ON logs (actor_id, id DESC) WHERE actor_id IS NOT NULL",
    "CREATE INDEX logs_created_at ON logs (created_at)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="audit", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
