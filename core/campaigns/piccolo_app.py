"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.campaigns.tables import (
    Attempt,
    Campaign,
    CampaignCounter,
    CampaignNumber,
    CampaignReport,
    ContactActivity,
    Conversation,
    Lane,
    Message,
    Recipient,
    SendCounter,
    ServerBreaker,
    StatusPoll,
)

APP_CONFIG = AppConfig(
    app_name="campaigns",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[
        Campaign,
        CampaignNumber,
        Message,
        Recipient,
        Attempt,
        Lane,
        ServerBreaker,
        ContactActivity,
        Conversation,
        CampaignCounter,
        CampaignReport,
        SendCounter,
        StatusPoll,
    ],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
