"""The audit log."""

from piccolo.columns import JSONB, BigInt, BigSerial, Text, Varchar
from piccolo.table import Table

from core.columns import CreatedAt


class Log(CreatedAt, Table, tablename="logs"):
    """One action of a user or of the platform (``user_id`` empty).

    ``account_id`` is whose account it concerns, ``actor_id`` the administrator who acted in the user's name;
    ``changes`` maps fields to what they were and what they became.
    """

    id = BigSerial(primary_key=True)
    user_id = BigInt(default=None, null=True)
    action = Varchar(length=80)
    description = Text(default="")
    data = JSONB(default="{}")
    account_id = BigInt(default=None, null=True)
    actor_id = BigInt(default=None, null=True)
    api_key_id = BigInt(default=None, null=True)
    entity = Varchar(length=40, default="")
    entity_id = BigInt(default=None, null=True)
    changes = JSONB(default="{}")
    address = Varchar(length=64, default="")
    request_id = Varchar(length=32, default="")
