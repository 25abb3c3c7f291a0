"""What a user wants to be told, and where: the platform tells it by every channel that is on, unless it is muted."""

from typing import Annotated, Literal

import msgspec

from core import database
from core.settings.services import get_configuration, put_configuration, remove_configuration

KEY = "notifications"

Kind = Literal[
    "campaign_started",
    "campaign_waiting",
    "campaign_paused",
    "campaign_completed",
    "campaign_needs_attention",
    "number_connected",
    "number_disconnected",
    "number_restricted",
    "import_finished",
    "payment_succeeded",
    "payment_failed",
    "payment_refunded",
    "plan_changed",
    "access_ends",
    "trial_ends",
    "new_device",
]
"""What can be muted; what concerns the security of the account, a changed password for instance, cannot."""


class NotificationChoices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a user wants to be told, and where."""

    email: bool = True
    realtime: bool = True
    """Events of the open dashboard."""
    muted: Annotated[tuple[Kind, ...], msgspec.Meta(max_length=20)] = ()
    """Told in no other way than in the list of notifications."""


async def choices_of(user_id: int) -> NotificationChoices:
    """Return what the user decided, else everything by every channel."""
    stored = await get_configuration(user_id, KEY)
    return NotificationChoices() if stored is None else msgspec.json.decode(stored, type=NotificationChoices)


async def set_choices(user_id: int, wanted: NotificationChoices | None) -> None:
    """Set what the user is told; ``None`` goes back to everything."""
    if wanted is None:
        await remove_configuration(user_id, KEY)
    else:
        await put_configuration(user_id, KEY, database.encode_json(wanted))
