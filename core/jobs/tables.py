"""Jobs."""

from enum import StrEnum

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, Real, SmallInt, Text, Timestamptz, Varchar
from piccolo.table import Table

from core.columns import Timestamps


class JobStatus(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


class Job(Timestamps, Table, tablename="jobs"):
    """One piece of long work; ``checkpoint`` is what a successor needs to go on after a crash.

    ``lease_until`` of a running job is how long its holder may be silent; of a waiting one, when it is hinted at next.
    ``attempts`` counts the tries since the last checkpoint; ``rate`` is parts per second over the last of them.
    """

    id = BigSerial(primary_key=True)
    user_id = BigInt(default=None, null=True)
    kind = Varchar(length=40)
    status = Varchar(length=10, default=JobStatus.WAITING, choices=JobStatus)
    subject_id = BigInt(default=None, null=True)
    params = JSONB(default="{}")
    checkpoint = JSONB(default="{}")
    result = JSONB(default="{}")
    error = Text(default="")
    total = BigInt(default=None, null=True)
    done = BigInt(default=0)
    rate = Real(default=None, null=True)
    attempts = SmallInt(default=0)
    cancelable = Boolean(default=True)
    holder = Varchar(length=40, default=None, null=True)
    lease_until = Timestamptz(default=None, null=True)
    cancel_requested_at = Timestamptz(default=None, null=True)
    started_at = Timestamptz(default=None, null=True)
    finished_at = Timestamptz(default=None, null=True)
