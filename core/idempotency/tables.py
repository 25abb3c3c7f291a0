"""The keys of requests that may be repeated."""

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, Bytea, SmallInt, Timestamptz, Varchar
from piccolo.table import Table

from core.columns import CreatedAt


class IdempotencyKey(CreatedAt, Table, tablename="idempotency_keys"):
    """A key of one tenant, the request it came with, and its answer once there is one.

    While ``status`` is empty the request runs, for at most as long as ``lease_until``. ``atomic`` tells whether its
    effects and its answer are committed together, so that one without an answer had no effect.
    """

    id = BigSerial(primary_key=True)
    user_id = BigInt()
    key = Varchar(length=255)
    method = Varchar(length=10)
    path = Varchar(length=500)
    fingerprint = Bytea()
    atomic = Boolean(default=True)
    holder = Varchar(length=32)
    lease_until = Timestamptz()
    status = SmallInt(default=None, null=True)
    headers = JSONB(default="{}")
    body = Bytea(default=b"")
