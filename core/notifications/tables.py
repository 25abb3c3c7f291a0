"""The alarms, and what people are to be told."""

from enum import StrEnum

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, Integer, Text, Timestamptz, Varchar
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

    ``detail`` is encrypted: it may hold a link that signs somebody in. ``planned_at`` is when it was decided where it
    is told. One that folds stands in the list under ``folded_into``, whose ``times`` says how many there are; only
    those of one ``topic`` fold together.
    """

    id = BigSerial(primary_key=True)
    key = Varchar(length=160, unique=True)
    kind = Varchar(length=60)
    topic = Varchar(length=60, default="")
    user_id = BigInt()
    detail = Text(default="", secret=True)
    listed = Boolean(default=True)
    folded_into = BigInt(default=None, null=True)
    times = Integer(default=1)
    created_at = Timestamptz()
    planned_at = Timestamptz(default=None, null=True)
    read_at = Timestamptz(default=None, null=True)


class DeliveryStatus(StrEnum):
    """What became of a notification in one channel."""

    PENDING = "pending"
    CLAIMED = "claimed"
    """A process works on it, and nothing has gone out."""
    SENDING = "sending"
    """It was handed over; without an answer nobody can say whether it arrived."""
    SENT = "sent"
    FOLDED = "folded"
    """Another delivery tells of it too."""
    REFUSED = "refused"
    """The service will never tell this person."""
    FAILED = "failed"
    """It was tried until it was too late."""
    UNKNOWN = "unknown"
    """Its fate is unknown, and one more would be worse than none."""


class NotificationDelivery(Table, tablename="notification_deliveries"):
    """One notification in one channel; unique by ``key``, so that nobody hears of an event twice in one channel.

    ``notifier`` is empty for e-mail: any e-mail notifier may send it. ``holder`` names the process's turn while
    ``status`` is ``claimed`` or ``sending``. ``falls_back`` says that a mail takes its place when it fails, ``doubts``
    how often it was handed over and nobody answered.
    """

    id = BigSerial(primary_key=True)
    key = Varchar(length=220, unique=True)
    notification_id = BigInt()
    user_id = BigInt()
    kind = Varchar(length=60)
    channel = Varchar(length=20)
    notifier = Varchar(length=60, default="")
    status = Varchar(length=12, choices=DeliveryStatus)
    into_id = BigInt(default=None, null=True)
    falls_back = Boolean(default=False)
    attempts = Integer(default=0)
    doubts = Integer(default=0)
    due_at = Timestamptz()
    holder = Varchar(length=80, default="")
    lease_until = Timestamptz(default=None, null=True)
    reason = Varchar(length=255, default="")
    created_at = Timestamptz()
    sent_at = Timestamptz(default=None, null=True)


class NotifierState(Table, tablename="notifier_states"):
    """How a notifier's service is: one that fails again and again, or takes no more today, is left alone a while."""

    id = BigSerial(primary_key=True)
    name = Varchar(length=60, unique=True)
    failures = Integer(default=0)
    failing_since = Timestamptz(default=None, null=True)
    paused_until = Timestamptz(default=None, null=True)
    reason = Varchar(length=255, default="")
