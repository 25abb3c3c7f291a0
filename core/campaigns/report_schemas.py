"""What a report says."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from core.campaigns.schemas import Totals
from core.campaigns.tables import CampaignStatus

Share = Annotated[float, msgspec.Meta(ge=0, le=1, examples=[0.93])]
ErrorClass = Literal["refused", "gave_up", "network", "unknown"]
"""As ``retry`` takes them, and ``unknown`` for messages in doubt."""


class Rates(msgspec.Struct, kw_only=True):
    """Shares from 0 to 1; null where there is nothing to take a share of."""

    delivered: Share | None
    """Of the messages that the service took."""
    readed: Share | None
    """Of the messages that the service took; a lower bound, since people can hide that they read."""
    replied: Share | None
    """Of the messages that the service took."""
    failed: Share | None
    """Of the messages that were tried: taken, failed or unknown."""


class MessageReport(msgspec.Struct, kw_only=True):
    """One message of the campaign."""

    message_id: int
    position: int
    totals: Totals


class NumberReport(msgspec.Struct, kw_only=True):
    """One number's share of the messages."""

    number_id: int
    name: str
    number: str
    totals: Totals


class ErrorReport(msgspec.Struct, kw_only=True):
    """Messages that failed or stayed unknown for one reason."""

    error_class: Annotated[ErrorClass, msgspec.Meta(examples=["refused"])] = msgspec.field(name="class")
    reason: Annotated[str, msgspec.Meta(examples=["invalid_number"])]
    messages: int


class CurvePoint(msgspec.Struct, kw_only=True):
    """What happened within one hour or day."""

    at: Annotated[datetime, msgspec.Meta(examples=["2026-12-01T09:00:00-03:00"])]
    """Its beginning, in the tenant's time zone."""
    sent: int = 0
    delivered: int = 0
    readed: int = 0
    replied: int = 0
    failed: int = 0


class Curve(msgspec.Struct, kw_only=True):
    """The course of the campaign; hours or days in which nothing happened are left out."""

    interval: Literal["hour", "day"]
    """Days once there would be more than 336 hours."""
    timezone: str
    points: list[CurvePoint]


class Durations(msgspec.Struct, kw_only=True):
    """Seconds since the service took a message, of those of which it is known."""

    median: float
    p90: float


class Report(msgspec.Struct, kw_only=True):
    """What became of a campaign."""

    campaign_id: int
    name: str
    status: CampaignStatus
    status_reason: str
    started_at: datetime | None
    completed_at: datetime | None
    seconds: float | None
    totals: Totals
    reasons: dict[str, dict[str, int]]
    """State to reason to rows, for failed, unknown and skipped rows."""
    rates: Rates
    messages: list[MessageReport]
    numbers: list[NumberReport]
    errors: list[ErrorReport]
    """The most frequent first."""
    curve: Curve
    time_to_delivered: Durations | None
    time_to_readed: Durations | None
