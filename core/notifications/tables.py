"""The alarms, and what people are to be told."""

from piccolo.columns import JSONB, BigInt, BigSerial, Integer, Text, Timestamptz, Varchar
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


class Notification(Table, tablename="notifications"):
    """Something one person is to be told: written with its cause, delivered after the commit, at most once by its key.

    ``detail`` is encrypted: it may hold a link that signs somebody in.
    """

    id = BigSerial(primary_key=True)
    key = Varchar(length=160, unique=True)
    kind = Varchar(length=60)
    user_id = BigInt()
    detail = Text(default="", secret=True)
    created_at = Timestamptz()
    sent_at = Timestamptz(default=None, null=True)
