"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.notifications.tables import Alarm, Notification, NotificationDelivery, NotifierState

APP_CONFIG = AppConfig(
    app_name="notifications",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[Alarm, Notification, NotificationDelivery, NotifierState],
    migration_dependencies=[],
    commands=[],
)
