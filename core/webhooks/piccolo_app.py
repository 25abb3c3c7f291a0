"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.webhooks.tables import WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookLog

APP_CONFIG = AppConfig(
    app_name="webhooks",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookLog],
    migration_dependencies=[],
    commands=[],
)
