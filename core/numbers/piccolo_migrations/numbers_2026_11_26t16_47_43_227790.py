from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.columns.base import OnDelete
from piccolo.columns.column_types import Boolean
from piccolo.columns.column_types import ForeignKey
from piccolo.columns.indexes import IndexMethod

ID = "2026-11-26T16:47:43:227790"
VERSION = "1.38.0"
DESCRIPTION = "what owners were told of connections"


async def forwards():
    manager = MigrationManager(migration_id=ID, app_name="numbers", description=DESCRIPTION)

    manager.add_column(
        table_class_name="Number",
        tablename="numbers",
        column_name="told_connected",
        db_column_name="told_connected",
        column_class_name="Boolean",
        column_class=Boolean,
        params={
            "default": False,
            "null": False,
            "primary_key": False,
            "unique": False,
            "index": False,
            "index_method": IndexMethod.btree,
            "choices": None,
            "db_column_name": None,
            "secret": False,
        },
        schema=None,
    )

    return manager
