"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.media.tables import Media

APP_CONFIG = AppConfig(
    app_name="media",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[Media],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
