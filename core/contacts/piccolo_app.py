"""Piccolo's description of this domain's tables and migrations."""

from pathlib import Path

from piccolo.conf.apps import AppConfig

from core.contacts.tables import (
    BlockContact,
    BulkSelection,
    Contact,
    ContactAddress,
    ContactDeletion,
    ContactEvent,
    ContactVariable,
    Import,
    ImportChange,
    ImportFailure,
    ImportMapping,
    ImportStep,
    Label,
    Public,
    PublicByContact,
    Suppression,
    SyncEntry,
)

APP_CONFIG = AppConfig(
    app_name="contacts",
    migrations_folder_path=str(Path(__file__).parent / "piccolo_migrations"),
    table_classes=[
        Contact,
        ContactAddress,
        ContactVariable,
        Public,
        Label,
        PublicByContact,
        BlockContact,
        Suppression,
        Import,
        ImportChange,
        ImportFailure,
        ImportMapping,
        ImportStep,
        SyncEntry,
        ContactDeletion,
        ContactEvent,
        BulkSelection,
    ],
    migration_dependencies=["core.accounts.piccolo_app"],
    commands=[],
)
