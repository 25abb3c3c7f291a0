"""The webhook inbox and the log of deliveries."""

from piccolo.columns import JSONB, BigInt, BigSerial, Integer, SmallInt, Text, Timestamptz, Varchar
from piccolo.table import Table

from core.columns import CreatedAt


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
