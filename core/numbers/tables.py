"""Servers and numbers."""

from piccolo.columns import JSONB, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import SoftDelete, Timestamps


class Server(Timestamps, Table, tablename="servers"):
    """One server of a messaging service; ``credentials`` is encrypted JSON, ``capabilities`` the last probe."""

    id = BigSerial(primary_key=True)
    name = Varchar(length=120)
    provider = Varchar(length=60)
    url = Varchar(length=500)
    credentials = Text(default="", secret=True)
    status = Boolean(default=True)
    capacity = Integer(default=None, null=True)
    capabilities = JSONB(default="{}")
    checked_at = Timestamptz(default=None, null=True)


class Number(SoftDelete, Table, tablename="numbers"):
    """A sending number; ``instance`` names it on its server, ``connection`` is a ``SenderState``."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User)
    server_id = ForeignKey(references=Server)
    instance = Varchar(length=120, unique=True)
    name = Varchar(length=120, default="")
    number = Varchar(length=32, default="")
    address = Varchar(length=120, default="")
    status = Boolean(default=True)
    status_connection = Boolean(default=False)
    connection = Varchar(length=20, default="stopped")
    connection_reason = Varchar(length=255, default="")
    connection_at = Timestamptz(default=None, null=True)
    restricted_until = Timestamptz(default=None, null=True)
    first_connected_at = Timestamptz(default=None, null=True)
    extra = Boolean(default=False)
    webhook_url = Varchar(length=500, default=None, null=True)
    webhook_token = Varchar(length=64, unique=True, secret=True)
    webhook_secret = Text(secret=True)
    settings = JSONB(default="{}")
