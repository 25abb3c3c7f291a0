"""Exports of everything that is held of a user."""

from piccolo.columns import BigInt, BigSerial, ForeignKey, Timestamptz, Varchar
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import CreatedAt


class DataExport(CreatedAt, Table, tablename="data_exports"):
    """One export: the job that makes it, and where its file is kept from ``ready_at`` until ``removed_at``."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    requested_by = BigInt()
    job_id = BigInt(default=None, null=True)
    path = Varchar(length=80)
    size = BigInt(default=0)
    ready_at = Timestamptz(default=None, null=True)
    expires_at = Timestamptz(default=None, null=True)
    removed_at = Timestamptz(default=None, null=True)
