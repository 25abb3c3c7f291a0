from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T04:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "keys of devices, keys and tokens; addresses of before count as confirmed"

STATEMENTS = (
    "CREATE INDEX replaced_tokens_session_id ON replaced_tokens (session_id)",
    "CREATE INDEX api_keys_user_id ON api_keys (user_id) WHERE revoked_at IS NULL",
    "CREATE INDEX account_tokens_user_id ON account_tokens (user_id, purpose) WHERE used_at IS NULL",
    "CREATE INDEX account_tokens_expires_at ON account_tokens (expires_at)",
    "CREATE INDEX sign_in_failures_failed_at ON sign_in_failures (failed_at)",
    "CREATE INDEX user_sessions_expires_at ON user_sessions (expires_at)",
    "UPDATE users SET email_confirmed_at = created_at WHERE email_confirmed_at IS NULL",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="accounts", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
