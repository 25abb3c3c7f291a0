from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from core.piccolo_conf import DB

ID = "2026-11-26T14:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "indexes and checks of subscriptions and what is asked of gateways"

STATEMENTS = (
    "CREATE INDEX checkouts_user ON checkouts (user_id, id)",
    "CREATE INDEX checkouts_unfinished ON checkouts (updated_at) WHERE status IN ('created', 'open')",
    "CREATE INDEX checkouts_gateway ON checkouts (gateway, gateway_id) WHERE gateway_id <> ''",
    "CREATE UNIQUE INDEX subscriptions_gateway ON subscriptions (gateway, gateway_id)",
    "CREATE UNIQUE INDEX subscriptions_one_alive ON subscriptions (user_id)"
    "  WHERE NOT duplicate AND status NOT IN ('pending', 'canceled')",
    "CREATE INDEX subscriptions_user ON subscriptions (user_id, id)",
    "CREATE INDEX subscriptions_open ON subscriptions (fetched_at) WHERE closed_at IS NULL",
    "CREATE INDEX payments_subscription ON payments (subscription_id, id)",
    "ALTER TABLE payments ADD CHECK (status IN ('pending', 'completed', 'failed')), ADD CHECK (refunded_amount >= 0)",
    "CREATE UNIQUE INDEX gateway_fetches_subject ON gateway_fetches (gateway, subject)",
    "CREATE INDEX gateway_fetches_due ON gateway_fetches (due_at) WHERE failed_at IS NULL",
    "CREATE INDEX gateway_actions_due ON gateway_actions (due_at) WHERE status = 'pending'",
    "CREATE INDEX gateway_actions_subscription ON gateway_actions (subscription_id, id)",
    "CREATE UNIQUE INDEX gateway_plans_once ON gateway_plans (gateway, plan_id, currency, interval, amount)",
    "CREATE INDEX gateway_plans_reference ON gateway_plans (gateway, reference)",
    "CREATE UNIQUE INDEX gateway_customers_user ON gateway_customers (gateway, user_id)",
    "CREATE UNIQUE INDEX gateway_webhooks_once ON gateway_webhooks (gateway, gateway_id)",
)


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="payments", description=DESCRIPTION)

    async def build() -> None:
        for statement in STATEMENTS:
            await DB.run_ddl(statement)

    manager.add_raw(build)
    return manager
