"""Bodies of the routes of outgoing webhooks."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from core.webhooks.tables import DeliveryStatus, EndpointStatus

EventType = Literal[
    "access.ends",
    "campaign.completed",
    "campaign.needs_attention",
    "campaign.paused",
    "campaign.started",
    "campaign.waiting",
    "contact.opted_out",
    "import.finished",
    "message.received",
    "message.updated",
    "number.connected",
    "number.disconnected",
    "number.restricted",
    "payment.failed",
    "payment.refunded",
    "payment.succeeded",
    "plan.changed",
    "trial.ends",
]
"""What can be subscribed: the events of the catalogue that webhooks are offered."""
EventTypes = Annotated[tuple[EventType, ...], Meta(min_length=1, max_length=100, examples=[["campaign.completed"]])]
Url = Annotated[str, Meta(min_length=1, max_length=500, examples=["https://shop.example/hooks/recado"])]
Name = Annotated[str, Meta(max_length=120, examples=["Shop"])]
SigningSecret = Annotated[str, Meta(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="])]
DisabledReason = Literal["", "failing", "gone", "by_hand"]


class EndpointCreate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new endpoint."""

    url: Url
    events: EventTypes
    """What it is told of: types of the event catalogue."""
    name: Name = ""


class EndpointUpdate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may change on an endpoint."""

    url: Url | UnsetType = UNSET
    events: EventTypes | UnsetType = UNSET
    name: Name | UnsetType = UNSET


class EndpointRead(msgspec.Struct, frozen=True, kw_only=True):
    """Where a tenant is told of events."""

    id: int
    name: str
    url: str
    events: tuple[str, ...]
    number_id: int | None
    """The number whose forward address it is; such an endpoint is told of that number's events alone."""
    status: EndpointStatus
    failing_since: datetime | None
    """The first failure after which nothing was delivered."""
    disabled_at: datetime | None
    disabled_reason: DisabledReason
    """``failing`` after a day of failures, ``gone`` after an answer 410, ``by_hand``."""
    previous_secret_until: datetime | None
    """Until when deliveries are signed with a secret from before as well."""
    created_at: datetime
    updated_at: datetime


class EndpointSecret(EndpointRead, frozen=True, kw_only=True):
    """An endpoint with its secret, which is shown here and never again."""

    secret: SigningSecret


class EventRead(msgspec.Struct, frozen=True, kw_only=True):
    """An event in its envelope, the same on every wire."""

    id: Annotated[str, Meta(examples=["evt_5f0a6d1c3b2e4f7a8b9c0d1e"])]
    type: str
    created_at: datetime
    data: dict[str, object]
    """What the event catalogue says of its type."""


class DeliveryRead(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint, or there."""

    id: int
    endpoint_id: int
    event_id: Annotated[str, Meta(examples=["evt_5f0a6d1c3b2e4f7a8b9c0d1e"])]
    """The header ``Webhook-Id``, the same at every attempt."""
    type: str
    status: DeliveryStatus
    attempts: int
    response_code: int | None
    """Of the last attempt; ``null`` where no answer came."""
    response_body: str
    """How the last answer began."""
    error: str
    """Why the last attempt failed: ``status``, ``redirect``, ``timeout``, ``unreachable`` ..."""
    body: EventRead
    """What is sent."""
    next_attempt_at: datetime | None
    attempted_at: datetime | None
    finished_at: datetime | None
    created_at: datetime


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deliveries of an endpoint are asked for."""

    endpoint_id: int
    status: DeliveryStatus | None = None
    type: str | None = None


class EndpointFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which endpoints are asked for."""

    user_id: int
    status: EndpointStatus | None = None
    search: str | None = None
    """Part of the name or the address, whatever its case."""
