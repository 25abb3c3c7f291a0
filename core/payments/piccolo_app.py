"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.payments.tables import (
    Checkout,
    GatewayAction,
    GatewayCustomer,
    GatewayFetch,
    GatewayPlan,
    GatewayWebhook,
    Payment,
    Subscription,
)

APP_CONFIG = AppConfig(
    app_name="payments",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[
        Payment,
        Checkout,
        Subscription,
        GatewayFetch,
        GatewayAction,
        GatewayPlan,
        GatewayCustomer,
        GatewayWebhook,
    ],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
