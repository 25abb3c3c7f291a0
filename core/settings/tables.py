"""Platform settings and tenants' configurations."""

from piccolo.columns import BigSerial, ForeignKey, Text, Varchar
from piccolo.table import Table

from core.accounts.tables import User
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
    user_id = ForeignKey(references=User)
    key = Varchar(length=120)
    value = Text(default="")
