"""The alarms."""

from piccolo.columns import JSONB, BigInt, BigSerial, Integer, Timestamptz, Varchar
from piccolo.table import Table


class Alarm(Table, tablename="alarms"):
    """Something an administrator has to look at; one row for as long as it lasts, however often it is noticed.

    ``subject_type`` and ``subject_id`` name the row it is about, ``detail`` fills the placeholders of its text.
    """

    id = BigSerial(primary_key=True)
    kind = Varchar(length=60)
    subject_type = Varchar(length=30)
    subject_id = BigInt()
    detail = JSONB(default="{}")
    noticed = Integer(default=1)
    raised_at = Timestamptz()
    noticed_at = Timestamptz()
    cleared_at = Timestamptz(default=None, null=True)
