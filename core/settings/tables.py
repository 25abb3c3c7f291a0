"""Platform settings and tenants' configurations."""

from piccolo.columns import BigSerial, ForeignKey, Text, Varchar
from piccolo.columns.reference import LazyTableReference
from piccolo.table import Table

from core.columns import Timestamps


class Setting(Timestamps, Table, tablename="settings"):
    """One setting of the platform."""

    id = BigSerial(primary_key=True)
    key = Varchar(length=120, unique=True)
    value = Text(default="")
    description = Varchar(length=255, default="")


class Configuration(Timestamps, Table, tablename="configurations"):
    """One setting of one tenant."""

    id = BigSerial(primary_key=True)
    # Named, not imported: accounts keep the set-up token and plans the default plan in settings.
    user_id: ForeignKey[Table] = ForeignKey(
        references=LazyTableReference(table_class_name="User", app_name="accounts"), null=False
    )
    key = Varchar(length=120)
    value = Text(default="")
