"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.settings.tables import Configuration, Setting

APP_CONFIG = AppConfig(
    app_name="settings",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[Setting, Configuration],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
