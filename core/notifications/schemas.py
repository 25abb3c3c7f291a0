"""Bodies of the alarms' routes."""

from datetime import datetime
from typing import Annotated

import msgspec


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
