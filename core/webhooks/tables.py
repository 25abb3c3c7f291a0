"""The webhook inbox, the log of deliveries, and what is delivered to tenants' own endpoints."""

from enum import StrEnum

from piccolo.columns import (
    JSONB,
    BigInt,
    BigSerial,
    ForeignKey,
    Integer,
    OnDelete,
    SmallInt,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.table import Table

from core.columns import CreatedAt, Timestamps


class WebhookEvent(Table, tablename="webhook_events"):
    """A normalised event that was verified and stored before it was answered; unique per number and dedupe key.

    Open while ``applied_at`` is empty, and then looked at from ``due_at`` on; once applied, its content is emptied.
    """

    id = BigSerial(primary_key=True)
    plugin = Varchar(length=60)
    number_id = BigInt()
    dedupe_key = Varchar(length=160)
    kind = Varchar(length=30)
    event = JSONB()
    received_at = Timestamptz()
    applied_at = Timestamptz(default=None, null=True)
    attempts = SmallInt(default=0)
    due_at = Timestamptz()


class WebhookLog(CreatedAt, Table, tablename="webhooks_log"):
    """A delivery in or out, cleaned of secrets; kept for a limited time."""

    id = BigSerial(primary_key=True)
    type = Varchar(length=60)
    url = Text(default="")
    payload = JSONB(default="{}")
    response_code = Integer(default=None, null=True)
    response_body = Text(default="")


class EndpointStatus(StrEnum):
    """Whether an endpoint is delivered to."""

    ACTIVE = "active"
    DISABLED = "disabled"


class DeliveryStatus(StrEnum):
    """Where a delivery to an endpoint stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookEndpoint(Timestamps, Table, tablename="webhook_endpoints"):
    """Where a tenant is told of events; the forward address of a number is one with ``number_id``.

    The address of a forward is ``numbers.webhook_url`` and not here. ``previous_secrets`` are objects of an encrypted
    ``secret`` and of the moment ``until`` which it signs too, the next to end first.
    """

    id = BigSerial(primary_key=True)
    user_id = BigInt()
    number_id = BigInt(default=None, null=True)
    name = Varchar(length=120, default="")
    url = Varchar(length=500, default=None, null=True)
    events = JSONB(default="[]")
    secret = Text(secret=True)
    previous_secrets = JSONB(default="[]", secret=True)
    status = Varchar(length=10, default=EndpointStatus.ACTIVE, choices=EndpointStatus)
    failing_since = Timestamptz(default=None, null=True)
    """The first failure after which nothing was delivered."""
    disabled_at = Timestamptz(default=None, null=True)
    disabled_reason = Varchar(length=20, default="")


class WebhookDelivery(CreatedAt, Table, tablename="webhook_deliveries"):
    """One event on its way to one endpoint; unique by endpoint and event id.

    While an attempt is in the air, ``lease_until`` is set and ``due_at`` is the same moment: a process that dies lets
    go of it by that. ``attempts`` tells a late answer of an earlier attempt from that of the present one.
    """

    id = BigSerial(primary_key=True)
    endpoint_id = ForeignKey(references=WebhookEndpoint, null=False, on_delete=OnDelete.cascade, index=False)
    user_id = BigInt()
    event_id = Varchar(length=40)
    type = Varchar(length=60)
    body = Text()
    """The envelope as JSON, exactly as it is signed and sent."""
    status = Varchar(length=10, default=DeliveryStatus.PENDING, choices=DeliveryStatus)
    attempts = Integer(default=0)
    due_at = Timestamptz()
    lease_until = Timestamptz(default=None, null=True)
    give_up_at = Timestamptz()
    response_code = SmallInt(default=None, null=True)
    response_body = Varchar(length=1000, default="")
    error = Varchar(length=30, default="")
    attempted_at = Timestamptz(default=None, null=True)
    finished_at = Timestamptz(default=None, null=True)
