"""What a user wants to be told, and where: the kind decides unless the user does."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
import structlog

from core import database
from core.notifications.kinds import Kind, MutableKind
from core.settings.services import get_configuration, put_configuration, remove_configuration

KEY = "notifications"

_log = structlog.get_logger(__name__)


class Channels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where notifications of one kind are told; what is absent stays as the kind has it."""

    email: bool | None = None
    realtime: bool | None = None


class NotificationChoices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a user wants to be told, and where."""

    email: bool = True
    """E-mails at all; what concerns the security of the account is mailed all the same, a sign-in from a new device
    unless that is muted."""
    realtime: bool = True
    """Events of the open dashboard."""
    muted: Annotated[tuple[MutableKind, ...], msgspec.Meta(max_length=20)] = ()
    """Told in no other way than in the list of notifications."""
    kinds: Annotated[Mapping[MutableKind, Channels], msgspec.Meta(max_length=20)] = {}
    """Where a kind is told that is told elsewhere by itself."""


class Wanted(msgspec.Struct, frozen=True):
    """Where one notification is told."""

    email: bool
    realtime: bool
    falls_back: bool
    """A mail takes the place of the realtime event that cannot be delivered."""


async def choices_of(user_id: int) -> NotificationChoices:
    """Return what the user decided, else everything as its kind has it."""
    stored = await get_configuration(user_id, KEY)
    if stored is None:
        return NotificationChoices()
    try:
        return msgspec.json.decode(stored, type=NotificationChoices)
    except msgspec.DecodeError:
        # Of another version of the platform; one user's choices must not keep everybody from being told.
        _log.warning("notification_choices_unreadable", user_id=user_id)
        return NotificationChoices()


async def set_choices(user_id: int, wanted: NotificationChoices | None) -> None:
    """Set what the user is told; ``None`` goes back to everything as its kind has it."""
    if wanted is None:
        await remove_configuration(user_id, KEY)
    else:
        await put_configuration(user_id, KEY, database.encode_json(wanted))


def wanted(kind: Kind, choices: NotificationChoices) -> Wanted:
    """Say where a notification of ``kind`` is told to somebody with these choices."""
    if not kind.muted:
        return Wanted(kind.email, realtime=True, falls_back=kind.matters)
    if kind.name in choices.muted:
        return Wanted(email=False, realtime=False, falls_back=False)
    own = next((own for name, own in choices.kinds.items() if name == kind.name), Channels())
    mails = choices.email or kind.security
    return Wanted(
        email=mails and (kind.email if own.email is None else own.email),
        realtime=choices.realtime and own.realtime is not False,
        falls_back=mails and kind.matters,
    )
