"""The audit log."""

from piccolo.columns import JSONB, BigInt, BigSerial, Text, Varchar
from piccolo.table import Table

from core.columns import CreatedAt


class Log(CreatedAt, Table, tablename="logs"):
    """One action of a user or of the platform (``user_id`` empty)."""

    id = BigSerial(primary_key=True)
    user_id = BigInt(default=None, null=True)
    action = Varchar(length=80)
    description = Text(default="")
    data = JSONB(default="{}")
