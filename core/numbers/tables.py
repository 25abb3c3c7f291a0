"""Servers and numbers, and what was learnt about the people numbers write to."""

from piccolo.columns import (
    JSONB,
    BigInt,
    BigSerial,
    Boolean,
    DoublePrecision,
    ForeignKey,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import SoftDelete


class Server(SoftDelete, Table, tablename="servers"):
    """One server of a messaging service; ``credentials`` is encrypted JSON, ``capabilities`` the last good probe.

    ``status`` says whether it answered the last probe (``checked_at``), ``status_reason`` why not.
    """

    id = BigSerial(primary_key=True)
    name = Varchar(length=120)
    provider = Varchar(length=60)
    url = Varchar(length=500)
    credentials = Text(default="", secret=True)
    status = Boolean(default=True)
    status_reason = Varchar(length=500, default="")
    capacity = Integer(default=None, null=True)
    capabilities = JSONB(default="{}")
    checked_at = Timestamptz(default=None, null=True)
    report = JSONB(default="{}")
    """The last ``ServerReport``, where the provider makes one."""


class ServerHealth(Table, tablename="server_health"):
    """How one server was at one moment; a line at each probe.

    ``sends`` and ``acknowledged`` are those of its numbers' last messages, so a server that answers and sends nothing
    is seen as such.
    """

    id = BigSerial(primary_key=True)
    server_id = BigInt()
    checked_at = Timestamptz()
    status = Boolean()
    reason = Varchar(length=500, default="")
    version = Varchar(length=60, default="")
    engine = Varchar(length=60, default="")
    memory_bytes = BigInt(default=None, null=True)
    sessions = Integer(default=None, null=True)
    connected = Integer(default=None, null=True)
    numbers = Integer(default=0)
    numbers_connected = Integer(default=0)
    sends = Integer(default=0)
    acknowledged = Integer(default=0)
    last_event_at = Timestamptz(default=None, null=True)


class Number(SoftDelete, Table, tablename="numbers"):
    """A sending number; ``instance`` names it on its server, ``connection`` is a ``SenderState``.

    ``connection_at`` is the service's own time of its last word, so that an older word is known as such.
    """

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    server_id = ForeignKey(references=Server, null=False, on_delete=OnDelete.restrict)
    instance = Varchar(length=120, unique=True)
    name = Varchar(length=120, default="")
    number = Varchar(length=32, default="")
    address = Varchar(length=120, default="")
    status = Boolean(default=True)
    status_connection = Boolean(default=False)
    connection = Varchar(length=20, default="stopped")
    connection_reason = Varchar(length=255, default="")
    connection_at = Timestamptz(default=None, null=True)
    connection_since = Timestamptz(default=None, null=True)
    """When ``connection`` became what it is, by the platform's clock."""
    restricted_until = Timestamptz(default=None, null=True)
    first_connected_at = Timestamptz(default=None, null=True)
    extra = Boolean(default=False)
    webhook_url = Varchar(length=500, default=None, null=True)
    webhook_token = Varchar(length=64, unique=True, secret=True)
    webhook_secret = Text(secret=True)
    settings = JSONB(default="{}")
    poll_at = Timestamptz(default=None, null=True)
    """When the server is next asked about the number: its state, or its removal once it is deleted."""
    removed_at = Timestamptz(default=None, null=True)
    """When a deleted number was gone from its server."""
    silent_until = Timestamptz(default=None, null=True)
    """Until when it is not used although its server says that it is connected: its messages were not acknowledged."""
    restarted_at = Timestamptz(default=None, null=True)
    """When the platform last restarted it by itself."""
    moved_at = Timestamptz(default=None, null=True)
    """When it was put on another server, which knows nothing of what it sent before."""
    owner_asked_at = Timestamptz(default=None, null=True)
    told_connected = Boolean(default=False)
    """When its owner asked for the end of its connection, until that is lost: it is no news then."""
    webhook_checked_at = Timestamptz(default=None, null=True)
    last_event_at = Timestamptz(default=None, null=True)
    """When its server last told us anything, to within half a minute."""
    recent_sends = SmallInt(default=0)
    """Of its last messages, those old enough to have been acknowledged ..."""
    recent_acknowledged = SmallInt(default=0)
    """... and those that were."""


class NumberAnswer(Table, tablename="number_checks"):
    """What a service answered about one number; kept for a while, for every tenant alike."""

    id = BigSerial(primary_key=True)
    provider = Varchar(length=60)
    number = Varchar(length=32)
    found = Boolean(default=False)
    address = Varchar(length=120, default="")
    checked_at = Timestamptz()


class CheckBudget(Table, tablename="check_budgets"):
    """How many phone numbers a number may still look up: a bucket that fills with time, and a count for each day."""

    number_id = BigInt(primary_key=True)
    tokens = DoublePrecision()
    filled_at = Timestamptz()
    day_start = Timestamptz()
    day_used = Integer(default=0)


class NumberIdentity(Table, tablename="number_identities"):
    """The phone number behind an address, as a service told it to one of our numbers."""

    id = BigSerial(primary_key=True)
    number_id = BigInt()
    address = Varchar(length=120)
    phone = Varchar(length=32)
    updated_at = Timestamptz()


class EventCursor(Table, tablename="event_cursors"):
    """Up to where a service was asked for the events of a number, and which process asks for them until when."""

    number_id = BigInt(primary_key=True)
    cursor = Text(default="")
    holder = Varchar(length=60, default=None, null=True)
    lease_until = Timestamptz(default=None, null=True)
    updated_at = Timestamptz()
