from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-23T20:30:06:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes"

STATEMENTS = (
    "CREATE INDEX campaigns_user_id ON campaigns (user_id, id DESC) WHERE deleted_at IS NULL",
    "CREATE INDEX campaigns_running ON campaigns (id) WHERE status = 2",
    "CREATE INDEX campaigns_due ON campaigns (schedule_date) WHERE status = 1 AND schedule_date IS NOT NULL",
    "CREATE UNIQUE INDEX campaign_numbers_key ON campaign_numbers (campaign_id, number_id)",
    "CREATE INDEX campaign_numbers_number_id ON campaign_numbers (number_id)",
    "CREATE INDEX messages_campaign_id ON messages (campaign_id, position)",
    "CREATE UNIQUE INDEX message_by_contacts_key ON message_by_contacts (message_id, contact_id)",
    "CREATE UNIQUE INDEX message_by_contacts_address_key ON message_by_contacts (message_id, provider_address) WHERE provider_address IS NOT NULL",
    "CREATE INDEX message_by_contacts_claim ON message_by_contacts (campaign_id, number_id, due_at, id) WHERE state = 'pending' AND due_at IS NOT NULL",
    "CREATE INDEX message_by_contacts_watch ON message_by_contacts (lease_until) WHERE state IN ('leased', 'accepted', 'unknown')",
    "CREATE INDEX message_by_contacts_campaign_id ON message_by_contacts (campaign_id, id)",
    "CREATE UNIQUE INDEX message_attempts_key ON message_attempts (recipient_id, attempt)",
    "CREATE INDEX message_attempts_provider_id ON message_attempts (provider_id, number_id) WHERE provider_id IS NOT NULL",
    "CREATE INDEX lanes_due ON lanes (due_at) WHERE due_at IS NOT NULL",
    "CREATE UNIQUE INDEX campaign_counters_key ON campaign_counters (campaign_id, shard)",
    "CREATE UNIQUE INDEX send_counters_key ON send_counters (scope, scope_id, period)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="campaigns", description=DESCRIPTION)

    async def create_indexes() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(create_indexes)
    return manager
