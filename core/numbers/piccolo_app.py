"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.numbers.tables import CheckBudget, EventCursor, Number, NumberAnswer, NumberIdentity, Server, ServerHealth

APP_CONFIG = AppConfig(
    app_name="numbers",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[Server, ServerHealth, Number, NumberAnswer, NumberIdentity, CheckBudget, EventCursor],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
