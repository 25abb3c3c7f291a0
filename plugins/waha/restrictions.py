"""What WhatsApp forbids a number for a while: writing to people it never wrote to, or who never wrote to it.

WAHA tells it in four places: ``reachoutTimelock`` in the data of a ``session.status`` and in ``me``, ``messageCapping``
in ``me``, and an ``error`` in an acknowledgement (``src/structures/sessions.dto.ts`` and
``src/core/engines/noweb/restriction.ts`` of devlikeapro/waha).
"""

from datetime import UTC, datetime, timedelta

import msgspec

from plugins.waha.connection import NOTHING, part

RESTRICTED = "463"
"""WhatsApp's code for a message to a stranger that it refuses."""
_UNNAMED = timedelta(days=1)
"""How long a restriction is taken to last whose end nobody names."""


class Timelock(msgspec.Struct, rename="camel"):
    """Messages to strangers are refused (WAHA 2026.7.2)."""

    is_active: bool = False
    time_enforcement_ends: float | None = None


class Capping(msgspec.Struct, rename="camel"):
    """The quota of new chats in a cycle; ``CAPPED`` means that it is used up."""

    capping_status: str = ""
    cycle_end: float | None = None


class Refusal(msgspec.Struct):
    """The ``error`` of an acknowledgement."""

    code: str | int | None = None
    reason: str | None = None
    until: object = None

    @property
    def restricts(self) -> bool:
        """Whether it concerns the number, not this message alone."""
        return self.reason == "account_restricted" or str(self.code) == RESTRICTED

    def end(self, now: datetime) -> datetime:
        """Return when it ends; a day from ``now`` where it does not say."""
        return self.named_end() or now + _UNNAMED

    def named_end(self) -> datetime | None:
        """Return the end that it names."""
        try:
            named = msgspec.convert(self.until, datetime | None)
        except msgspec.ValidationError:
            return None
        return named if named is None or named.tzinfo else named.replace(tzinfo=UTC)


class _Limits(msgspec.Struct):
    """The parts of ``me``, and of a status' data, that restrict."""

    timelock: msgspec.Raw = msgspec.field(name="reachoutTimelock", default=NOTHING)
    capping: msgspec.Raw = msgspec.field(name="messageCapping", default=NOTHING)


def restricted_until(raw: msgspec.Raw, now: datetime) -> datetime | None:
    """Return when the last restriction that ``me``, or a status' data, tells ends; nothing where there is none."""
    limits = part(raw, _Limits) or _Limits()
    lock, capping = part(limits.timelock, Timelock), part(limits.capping, Capping)
    ends = []
    if lock and lock.is_active:
        ends.append(moment(lock.time_enforcement_ends) or now + _UNNAMED)
    if capping and capping.capping_status == "CAPPED":
        ends.append(moment(capping.cycle_end) or now + _UNNAMED)
    return max(ends, default=None)


def moment(seconds: float | None) -> datetime | None:
    """Return a moment in UTC from Unix time, nothing where there is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds and seconds > 0 else None
    except (OverflowError, ValueError, OSError):
        return None
