"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.accounts.tables import (
    AccountToken,
    ApiKey,
    ReplacedToken,
    SignInFailure,
    TwoFactor,
    User,
    UserSession,
)

APP_CONFIG = AppConfig(
    app_name="accounts",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[User, UserSession, ReplacedToken, ApiKey, TwoFactor, AccountToken, SignInFailure],
    migration_dependencies=["core.plans.piccolo_app"],
    commands=[],
)
