"""Bodies of the routes of notifications and alarms."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from core.notifications.tables import DeliveryStatus
from core.validation import MAXIMUM_BIGINT


class AlarmRead(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm."""

    id: int
    kind: Annotated[str, msgspec.Meta(examples=["server_down"])]
    text: Annotated[str, msgspec.Meta(examples=["The server waha-1 does not answer: no answer in time."])]
    """What happened and what to do, in the language of the request."""
    subject_type: Annotated[str, msgspec.Meta(examples=["server"])]
    subject_id: int
    noticed: int
    """How often it was noticed since it was raised."""
    raised_at: datetime
    noticed_at: datetime
    cleared_at: datetime | None
    """When it was over; ``null`` while it lasts."""


class NotificationRead(msgspec.Struct, frozen=True, kw_only=True):
    """A notification in the list."""

    id: int
    kind: Annotated[str, msgspec.Meta(examples=["campaign_completed"])]
    title: Annotated[str, msgspec.Meta(examples=["The campaign Spring is complete"])]
    text: Annotated[str, msgspec.Meta(examples=["120 sent, 3 failed, 1 unknown."])]
    """What happened, in the language of the request."""
    count: int
    """How many of its kind it stands for: those that come within some minutes are folded into one."""
    created_at: datetime
    read_at: datetime | None


class DeliveryRead(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a notification in one channel."""

    channel: Literal["email", "realtime"]
    notifier: str
    """The realtime service, `live` for the built-in stream; empty for e-mail."""
    status: DeliveryStatus
    attempts: int
    due_at: datetime
    """When it is tried, or was."""
    sent_at: datetime | None


class NotificationDetail(NotificationRead, frozen=True, kw_only=True):
    """A notification with what its event says, and the latest of those folded into it."""

    detail: Any
    """The body of its event, see the catalogue of events."""
    folded: Sequence[NotificationRead]
    deliveries: Sequence[DeliveryRead]


class Unread(msgspec.Struct, frozen=True):
    """How many notifications are unread."""

    unread: int


class ReadUpTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which notifications are read."""

    up_to: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_BIGINT)] | None = None
    """The newest id that was shown; what came later stays unread. Without it all are read."""


class ReadMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether a notification is read."""

    read: bool
