"""Every event with its typed body: the same in ``GET /api/events``, at realtime services and in outgoing webhooks.

What happened to a tenant's rows is one class each. ``docs/reference/events.md`` is written from this module, and the
tests compare both with what is sent.
"""

import secrets
from datetime import UTC, datetime
from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to one tenant; its fields are the body, ids are those of the REST API."""

    type: ClassVar[str]
    """Its name on the wire: ``campaign.completed``."""
    live: ClassVar[bool] = True
    """Told in ``GET /api/events`` and at realtime services."""
    webhook: ClassVar[bool] = True
    """Offered to outgoing webhooks."""


class CampaignStarted(Event, frozen=True, kw_only=True):
    """A campaign began to send, for the first time or again."""

    type = "campaign.started"
    campaign_id: int
    name: str


class CampaignWaiting(Event, frozen=True, kw_only=True):
    """A campaign was started and waits for a number to connect."""

    type = "campaign.waiting"
    campaign_id: int
    name: str


class CampaignPaused(Event, frozen=True, kw_only=True):
    """A campaign stopped sending or did not begin; ``reason`` is its ``status_reason``, such as ``paused_by_user``."""

    type = "campaign.paused"
    campaign_id: int
    name: str
    reason: str


class CampaignCompleted(Event, frozen=True, kw_only=True):
    """A campaign is over; the counts are those of its report, ``unknown`` what nobody could tell of."""

    type = "campaign.completed"
    campaign_id: int
    name: str
    reason: str
    total: int
    sent: int
    delivered: int
    read: int
    failed: int
    skipped: int
    unknown: int


class CampaignNeedsAttention(Event, frozen=True, kw_only=True):
    """Only messages are left of which nobody knows whether they were sent; a person decides."""

    type = "campaign.needs_attention"
    campaign_id: int
    name: str
    unknown: int


class CampaignProgress(Event, frozen=True, kw_only=True):
    """Where a running campaign stands, at most twice a second; ``progress`` is in per cent."""

    type = "campaign.progress"
    webhook = False
    campaign_id: int
    status: int
    status_reason: str
    progress: int
    total: int
    accepted: int
    sent: int
    delivered: int
    read: int
    failed: int
    skipped: int
    unknown: int


class NumberChanged(Event, frozen=True, kw_only=True):
    """The connection of a number changed in any way; a frontend that shows a QR code fetches the next one now."""

    type = "number.changed"
    webhook = False
    number_id: int
    connection: str
    status_connection: bool
    reason: str


class NumberConnected(Event, frozen=True, kw_only=True):
    """A number can send."""

    type = "number.connected"
    number_id: int
    name: str
    number: str


class NumberDisconnected(Event, frozen=True, kw_only=True):
    """A number that could send no longer can; ``connection`` and ``reason`` as in ``GET /api/numbers/{id}``."""

    type = "number.disconnected"
    number_id: int
    name: str
    number: str
    connection: str
    reason: str


class NumberRestricted(Event, frozen=True, kw_only=True):
    """WhatsApp lets a number write to no new people until ``restricted_until``."""

    type = "number.restricted"
    number_id: int
    name: str
    number: str
    restricted_until: datetime


class JobProgress(Event, frozen=True, kw_only=True):
    """Where long work stands: an import, an export, a change of many contacts; at most twice a second."""

    type = "job.progress"
    webhook = False
    job_id: int
    kind: str
    subject_id: int | None
    status: str
    done: int
    total: int | None


class ImportFinished(Event, frozen=True, kw_only=True):
    """An import of contacts is over; ``status`` is ``done``, ``failed`` or ``canceled``."""

    type = "import.finished"
    import_id: int
    name: str
    status: str
    rows_total: int
    rows_created: int
    rows_updated: int
    rows_skipped: int
    rows_failed: int


class PaymentSucceeded(Event, frozen=True, kw_only=True):
    """A payment was made; ``amount`` is a decimal text in units of ``currency``."""

    type = "payment.succeeded"
    payment_id: int
    plan_id: int
    gateway: str
    amount: str
    currency: str
    receipt_url: str


class PaymentFailed(Event, frozen=True, kw_only=True):
    """A payment was refused: ``failure_code`` is the gateway's word, and ``failure`` what it means to a payer.

    ``next_attempt_at`` says when the gateway tries again, ``action_url`` where to pay.
    """

    type = "payment.failed"
    payment_id: int
    plan_id: int
    gateway: str
    amount: str
    currency: str
    attempt: int
    failure_code: str
    failure: str
    next_attempt_at: datetime | None
    action_url: str


class PaymentRefunded(Event, frozen=True, kw_only=True):
    """Money of a payment was given back; ``refunded_amount`` is the whole of what was."""

    type = "payment.refunded"
    payment_id: int
    plan_id: int
    gateway: str
    amount: str
    currency: str
    refunded_amount: str


class PlanChanged(Event, frozen=True, kw_only=True):
    """The account is on another plan; ``reason`` is ``subscription_changed`` or ``subscription_over``."""

    type = "plan.changed"
    plan_before: int | None
    plan_after: int
    reason: str


class AccessEnds(Event, frozen=True, kw_only=True):
    """The access that was paid for ends at ``access_until`` and is not renewed by itself."""

    type = "access.ends"
    plan_id: int
    access_until: datetime
    reason: str


class TrialEnds(Event, frozen=True, kw_only=True):
    """A trial ends at ``access_until``; then ``amount`` is charged."""

    type = "trial.ends"
    plan_id: int
    access_until: datetime
    amount: str
    currency: str


class NewDevice(Event, frozen=True, kw_only=True):
    """Somebody signed in from a device that was not seen before."""

    type = "account.new_device"
    webhook = False
    address: str
    user_agent: str


class PasswordChanged(Event, frozen=True, kw_only=True):
    """The password of the account was changed."""

    type = "account.password_changed"
    webhook = False


class MessageReceived(Event, frozen=True, kw_only=True):
    """Somebody wrote to a number; ``sender`` is E.164 digits where they are known, ``contact_id`` a known contact."""

    type = "message.received"
    number_id: int
    contact_id: int | None
    sender: str
    name: str
    text: str
    received_at: datetime


class MessageUpdated(Event, frozen=True, kw_only=True):
    """What is known of one message of a campaign changed; too many for a frontend, so webhooks alone have it.

    ``state`` is ``accepted``, ``sent``, ``failed``, ``unknown`` or ``skipped``. What was left out before the
    service was asked to take it stands in the campaign's report alone.
    """

    type = "message.updated"
    live = False
    recipient_id: int
    campaign_id: int
    contact_id: int
    number_id: int | None
    state: str
    reason: str
    delivered_at: datetime | None
    read_at: datetime | None


class ContactOptedOut(Event, frozen=True, kw_only=True):
    """Somebody wrote that they want no more messages: ``source`` is ``word``.

    ``number`` is E.164 digits where they are known, else the address they wrote from.
    """

    type = "contact.opted_out"
    contact_id: int | None
    number: str
    source: str


class WebhookTest(Event, frozen=True, kw_only=True):
    """What an endpoint is sent when its tenant tries it; it cannot be subscribed."""

    type = "webhook.test"
    live = False
    webhook = False
    endpoint_id: int


class WebhookDisabled(Event, frozen=True, kw_only=True):
    """An outgoing webhook failed for so long that it was switched off."""

    type = "webhook.disabled"
    webhook = False
    endpoint_id: int
    url: str
    reason: str


class AlarmRaised(Event, frozen=True, kw_only=True):
    """For administrators: something has to be looked at; ``text`` is in the administrator's language."""

    type = "alarm.raised"
    webhook = False
    alarm_id: int
    kind: str
    subject_type: str
    subject_id: int
    text: str


class NotificationCreated(Event, frozen=True, kw_only=True):
    """There is something new in the list of notifications, in the user's language; ``count`` are folded into it."""

    type = "notification.created"
    webhook = False
    notification_id: int
    kind: str
    title: str
    text: str
    count: int
    unread: int


class StreamOpened(Event, frozen=True, kw_only=True):
    """Told by ``GET /api/events`` first of all; what is on the screen is fetched again now, unless ``resumed``."""

    type = "stream.opened"
    live = False
    webhook = False
    resumed: bool
    """Every event after the one asked for follows."""


class StreamReset(Event, frozen=True, kw_only=True):
    """Told by ``GET /api/events`` where events were lost between: what is on the screen is fetched again now."""

    type = "stream.reset"
    live = False
    webhook = False


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What goes over every wire: an event with its id, which is the same wherever and however often it is told."""

    id: str
    type: str
    created_at: datetime
    data: msgspec.Raw
    """The body, as JSON."""


def seal(event: Event, *, event_id: str = "", created_at: datetime | None = None) -> Envelope:
    """Put an event into its envelope; without an ``event_id`` it gets one of its own."""
    return Envelope(
        id=event_id or f"evt_{secrets.token_hex(12)}",
        type=event.type,
        created_at=created_at or datetime.now(UTC),
        data=msgspec.Raw(msgspec.json.encode(event)),
    )


def _all() -> dict[str, type[Event]]:
    return {found.type: found for found in Event.__subclasses__()}


EVENTS = _all()
"""Every event by its type."""
LIVE = frozenset(name for name, found in EVENTS.items() if found.live)
WEBHOOK = frozenset(name for name, found in EVENTS.items() if found.webhook)
STREAM = frozenset({StreamOpened.type, StreamReset.type})
"""What a connection of ``GET /api/events`` tells of itself."""
TRIED = frozenset({WebhookTest.type})
"""What an endpoint is sent because its tenant tries it."""
