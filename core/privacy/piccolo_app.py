"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.privacy.tables import DataExport

APP_CONFIG = AppConfig(
    app_name="privacy",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[DataExport],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
