"""What a user wants to be told, and where: the platform tells it by every channel that is on, unless it is muted."""

from typing import Annotated

import msgspec

from core import database
from core.notifications.kinds import MutableKind
from core.settings.services import get_configuration, put_configuration, remove_configuration

KEY = "notifications"


class NotificationChoices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a user wants to be told, and where."""

    email: bool = True
    realtime: bool = True
    """Events of the open dashboard."""
    muted: Annotated[tuple[MutableKind, ...], msgspec.Meta(max_length=20)] = ()
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
