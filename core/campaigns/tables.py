"""Campaigns, their messages, and the engine's rows: recipients, attempts, lanes and counters."""

from enum import IntEnum, StrEnum

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, ForeignKey, Integer, SmallInt, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.accounts.tables import User
from core.columns import CreatedAt, SoftDelete, Timestamps


class CampaignType(IntEnum):
    """How a campaign is put together."""

    STANDARD = 1
    SIMPLIFIED = 2
    CUSTOM = 3
    BY_LABELS = 4


class CampaignStatus(IntEnum):
    """Where a campaign stands; ``campaigns.status_reason`` says why."""

    DRAFT = 1
    RUNNING = 2
    PAUSED = 3
    COMPLETED = 4
    CANCELED = 5
    FAILED = 6


class MessageType(IntEnum):
    """What a message carries, in the seed's numbers."""

    TEXT = 1
    IMAGE = 2
    AUDIO = 3
    DOCUMENT = 4
    VIDEO = 5


class RecipientState(StrEnum):
    """Where one message to one contact stands."""

    PENDING = "pending"
    LEASED = "leased"
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


class Campaign(SoftDelete, Table, tablename="campaigns"):
    """A campaign; ``total`` counts its recipient rows once ``frozen_at`` is set, ``version`` is its ETag."""

    id = BigSerial(primary_key=True)
    user_id = ForeignKey(references=User, null=False, on_delete=OnDelete.restrict)
    number_id = BigInt(default=None, null=True)
    public_id = BigInt(default=None, null=True)
    name = Varchar(length=160)
    type = SmallInt(default=CampaignType.STANDARD)
    status = SmallInt(default=CampaignStatus.DRAFT)
    status_reason = Varchar(length=120, default="draft")
    schedule_date = Timestamptz(default=None, null=True)
    progress = SmallInt(default=0)
    settings = JSONB(default="{}")
    version = Integer(default=1)
    total = BigInt(default=0)
    zones = JSONB(default="[]")
    """Time zones of its recipients, written by the freeze where the windows go by them."""
    started_at = Timestamptz(default=None, null=True)
    frozen_at = Timestamptz(default=None, null=True)
    completed_at = Timestamptz(default=None, null=True)
    recipients_removed_at = Timestamptz(default=None, null=True)
    """When its settled recipient rows were removed for their age; counters and report stay."""


class CampaignNumber(Table, tablename="campaign_numbers"):
    """A number that may send for a campaign; ``unable_since`` is when it was first seen unable to."""

    id = BigSerial(primary_key=True)
    campaign_id = BigInt()
    number_id = BigInt()
    unable_since = Timestamptz(default=None, null=True)


class Message(SoftDelete, Table, tablename="messages"):
    """One step of a campaign; ``delay`` is in seconds after the step before was sent to that contact.

    ``media_path`` is the key in the store of the file ``media_id``, once it is there.
    """

    id = BigSerial(primary_key=True)
    campaign_id = BigInt()
    position = SmallInt(default=1)
    delay = Integer(default=0)
    content = Text(default="")
    media_path = Text(default=None, null=True)
    type_message = SmallInt(default=MessageType.TEXT)
    media_id = BigInt(default=None, null=True)


class Recipient(Timestamps, Table, tablename="message_by_contacts"):
    """One message to one contact, as frozen at the start; claimable only while ``due_at`` is set.

    ``number_id`` is empty while any number of the campaign may send it. ``lease_until`` is when the row must be
    looked at again: a lease's end, and for accepted and unknown rows the next look-up. ``failures`` counts tries
    that burnt one of the allowed five. No foreign keys: a million rows are written at once, and they outlive what
    they point at.
    """

    id = BigSerial(primary_key=True)
    user_id = BigInt()
    campaign_id = BigInt()
    message_id = BigInt()
    contact_id = BigInt()
    position = SmallInt(default=1)
    number_id = BigInt(default=None, null=True)
    state = Varchar(length=10, default=RecipientState.PENDING)
    reason = Varchar(length=60, default="")
    address = Varchar(length=120, default="")
    provider_address = Varchar(length=120, default=None, null=True)
    variables = JSONB(default=None, null=True)
    zone = Varchar(length=40, default=None, null=True)
    attempt = SmallInt(default=0)
    failures = SmallInt(default=0)
    requeues = SmallInt(default=0)
    due_at = Timestamptz(default=None, null=True)
    lease_until = Timestamptz(default=None, null=True)
    claimed_at = Timestamptz(default=None, null=True)
    previous_claimed_at = Timestamptz(default=None, null=True)
    first_attempt_at = Timestamptz(default=None, null=True)
    accepted_at = Timestamptz(default=None, null=True)
    sent_at = Timestamptz(default=None, null=True)
    delivered_at = Timestamptz(default=None, null=True)
    read_at = Timestamptz(default=None, null=True)
    replied_at = Timestamptz(default=None, null=True)


class Attempt(Table, tablename="message_attempts"):
    """One try to send one recipient row, as long-lived as that; found by the ids the service may name."""

    id = BigSerial(primary_key=True)
    recipient_id = BigInt()
    attempt = SmallInt()
    number_id = BigInt()
    client_id = Varchar(length=64)
    provider_id = Varchar(length=160, default=None, null=True)
    outcome = Varchar(length=20, default="")
    code = Varchar(length=60, default="")
    claimed_at = Timestamptz()
    ended_at = Timestamptz(default=None, null=True)


class Lane(CreatedAt, Table, tablename="lanes"):
    """One sending number's turn: when it is due, who holds it, and the pacing slot taken by compare-and-set."""

    number_id = BigInt(primary_key=True)
    user_id = BigInt()
    due_at = Timestamptz(default=None, null=True)
    holder = Varchar(length=40, default=None, null=True)
    lease_until = Timestamptz(default=None, null=True)
    pause_until = Timestamptz(default=None, null=True)
    wakes = BigInt(default=0)
    slot = BigInt(default=0)
    burst = Integer(default=0)
    failures = Integer(default=0)
    open_until = Timestamptz(default=None, null=True)
    wait_reason = Varchar(length=60, default="")


class ServerBreaker(Table, tablename="server_breakers"):
    """The circuit breaker of one messaging server: nothing is tried before ``open_until``, then one message first."""

    server_id = BigInt(primary_key=True)
    failures = Integer(default=0)
    open_until = Timestamptz(default=None, null=True)
    reason = Varchar(length=60, default="")


class StatusPoll(Table, tablename="status_polls"):
    """How far one number's messages were looked up for acknowledgements that never came as events.

    Every message is looked at in each ``pass_number`` once; ``seen_until`` is when the last of them was claimed, and
    ``seen_id`` its attempt.
    """

    id = BigSerial(primary_key=True)
    number_id = BigInt()
    pass_number = SmallInt()
    seen_until = Timestamptz()
    seen_id = BigInt(default=0)
    due_at = Timestamptz()


class ContactActivity(Table, tablename="contact_activity"):
    """What was sent to one contact over all campaigns; ``claims`` is compared and set by every claim.

    ``other_at`` is the last message of a campaign other than ``campaign_id``, and ``before_*`` is what a message that
    was certainly not sent gives back.
    """

    contact_id = BigInt(primary_key=True)
    user_id = BigInt()
    claims = BigInt(default=0)
    day_start = Timestamptz()
    day_used = Integer(default=0)
    unanswered = Integer(default=0)
    campaign_id = BigInt()
    last_at = Timestamptz(default=None, null=True)
    other_at = Timestamptz(default=None, null=True)
    before_campaign_id = BigInt(default=None, null=True)
    before_at = Timestamptz(default=None, null=True)
    before_other_at = Timestamptz(default=None, null=True)


class Conversation(Table, tablename="conversations"):
    """A contact who wrote to a number: whoever did may be written to while the number is restricted to such people."""

    id = BigSerial(primary_key=True)
    user_id = BigInt()
    contact_id = BigInt()
    number_id = BigInt()
    last_inbound_at = Timestamptz()


class CampaignCounter(Table, tablename="campaign_counters"):
    """A campaign's recipient rows by state, changed with the rows; sharded so that processes do not queue."""

    id = BigSerial(primary_key=True)
    campaign_id = BigInt()
    shard = SmallInt(default=0)
    accepted = BigInt(default=0)
    sent = BigInt(default=0)
    delivered = BigInt(default=0)
    read = BigInt(default=0)
    replied = BigInt(default=0)
    failed = BigInt(default=0)
    unknown = BigInt(default=0)
    skipped = BigInt(default=0)


class CampaignReport(Table, tablename="campaign_reports"):
    """The report of a completed campaign as it was counted for one ``version`` of it.

    A ``final`` one was made before the campaign's rows were removed, and can no longer be counted anew.
    """

    id = BigSerial(primary_key=True)
    campaign_id = BigInt(unique=True)
    version = Integer()
    body = JSONB()
    made_at = Timestamptz()
    final = Boolean(default=False)


class SendCounter(Table, tablename="send_counters"):
    """Messages counted against one cap: plan, campaign, number or contact, in one period of the tenant's zone."""

    id = BigSerial(primary_key=True)
    scope = Varchar(length=10)
    scope_id = BigInt()
    period = Varchar(length=20)
    used = BigInt(default=0)
