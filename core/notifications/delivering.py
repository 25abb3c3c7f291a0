"""Delivering: what is due in one lane goes out, a few at a time; what its notifier says decides what becomes of it.

A process works on a lane once at a time, every call has a deadline, and lanes know nothing of each other: a notifier
that hangs or raises delays its own deliveries alone.
"""

import asyncio
import time
from collections.abc import Sequence

import structlog

from core import database
from core.jobs.leasing import holder_name
from core.notifications import notifier_states, planning
from core.notifications.alarms import raise_alarm
from core.notifications.channels import Lane, lane_named, notifiers_of
from core.notifications.claims import Delivery, LeaseLostError, claim, finish, give_back, hand_over, postpone
from core.notifications.composing import compose
from core.notifications.kinds import KINDS
from core.plugin import (
    LimitReachedError,
    MisconfiguredError,
    Notification,
    Notifier,
    ProviderError,
    RefusedError,
    UnavailableError,
    UncertainError,
)
from core.runtime import runtime

AT_ONCE = 4
TURN_SECONDS = 60.0
"""A lane that is always busy gives its thread back after so long; the sweep hints at the rest."""
SEND_SECONDS = 45.0
FALLS_BACK_AFTER = 3
"""Attempts at a realtime service before what matters is mailed instead."""

_log = structlog.get_logger(__name__)
_working: set[str] = set()
_asked_again: set[str] = set()


async def deliver(lane_name: str) -> None:
    """Deliver what is due in a lane; harmless when nothing is, or when this process is at it."""
    _asked_again.add(lane_name)
    lane = lane_named(lane_name)
    if lane is None or lane_name in _working:
        return
    _working.add(lane_name)
    began = time.monotonic()
    try:
        while lane_name in _asked_again and time.monotonic() - began < TURN_SECONDS:
            _asked_again.discard(lane_name)
            while not runtime().stopping.is_set() and await _deliver_some(lane):
                if time.monotonic() - began >= TURN_SECONDS:
                    return
    finally:
        _working.discard(lane_name)


async def _deliver_some(lane: Lane) -> bool:
    notifiers = notifiers_of(lane)
    usable = await notifier_states.usable([found.name for found in notifiers])
    notifier = next((found for found in notifiers if found.name in usable), None)
    if notifier is None:
        return False
    claimed = await claim(lane, holder_name(), AT_ONCE)
    await asyncio.gather(*(_deliver(delivery, lane, notifier) for delivery in claimed))
    return len(claimed) > 0


async def _deliver(delivery: Delivery, lane: Lane, notifier: Notifier) -> None:
    try:
        notification = await compose(delivery, lane)
        if notification is None:
            await finish(delivery, "failed", "nobody is left to tell, or nothing to tell can be read")
            return
        await _send(delivery, lane, notifier, notification)
    except LeaseLostError:
        _log.warning("notification_lease_lost", delivery_id=delivery.id)
    except Exception:  # noqa: BLE001 - one that cannot be told must not keep its neighbours
        _log.exception("notification_not_delivered", delivery_id=delivery.id, kind=delivery.kind)
        await give_back(delivery, "an error of the platform: see the log")


async def _send(delivery: Delivery, lane: Lane, notifier: Notifier, notification: Notification) -> None:
    going = False

    async def handing_over() -> None:
        nonlocal going
        await hand_over(delivery, notifier.name)
        going = True

    try:
        async with asyncio.timeout(SEND_SECONDS):
            await notifier.send(notification, handing_over)
    except LeaseLostError:
        raise
    except (UnavailableError, MisconfiguredError, RefusedError) as answer:
        await _not_taken(delivery, lane, notifier, answer)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        told = _told(error)
        if not isinstance(error, ProviderError | TimeoutError):
            _log.exception("notifier_failed", notifier=notifier.name, delivery_id=delivery.id)
        if going or isinstance(error, UncertainError):
            await _not_known(delivery, lane, notifier, told)
        else:
            await _not_taken(delivery, lane, notifier, UnavailableError(told))
    else:
        await finish(delivery, "sent", f"taken by {notifier.name}")
        await notifier_states.note_success(notifier.name)


async def _not_taken(
    delivery: Delivery, lane: Lane, notifier: Notifier, answer: UnavailableError | MisconfiguredError | RefusedError
) -> None:
    """The service has not taken it, which it says itself or which is certain."""
    if isinstance(answer, RefusedError):
        await _refused(delivery, lane, notifier, answer)
        return
    if isinstance(answer, MisconfiguredError):
        await notifier_states.note_misconfigured(notifier.name, answer)
    else:
        await notifier_states.note_unavailable(notifier.name, answer)
    # Another notifier of the lane may take it at once; where there is none, the lane waits as a whole.
    paused = isinstance(answer, LimitReachedError | MisconfiguredError)
    seconds = 1.0 if paused else getattr(answer, "retry_after", None)
    if delivery.falls_back and (delivery.attempts >= FALLS_BACK_AFTER or paused):
        await _fall_back(delivery, str(answer))
        return
    await postpone(delivery, str(answer), seconds)


async def _refused(delivery: Delivery, lane: Lane, notifier: Notifier, answer: RefusedError) -> None:
    await notifier_states.note_success(notifier.name)
    if delivery.falls_back:
        await _fall_back(delivery, str(answer))
        return
    async with database.unit_of_work():
        if await finish(delivery, "refused", str(answer)) and lane.channel == "email":
            await raise_alarm("email_refused", "user", delivery.user_id, name=str(delivery.user_id), reason=str(answer))


async def _not_known(delivery: Delivery, lane: Lane, notifier: Notifier, reason: str) -> None:
    """Nobody can say whether it arrived: two receipts are better than none, and no news twice."""
    await notifier_states.note_unavailable(notifier.name, UnavailableError(reason))
    if lane.channel == "email" and KINDS[delivery.kind].repeats:
        await postpone(delivery, reason)
    else:
        await finish(delivery, "unknown", reason)


async def _fall_back(delivery: Delivery, reason: str) -> None:
    async with database.unit_of_work():
        if await finish(delivery, "failed", f"mailed instead: {reason}"):
            await planning.mail_instead(await _told_of(delivery))


async def _told_of(delivery: Delivery) -> Sequence[int]:
    """Return the notifications that a delivery tells of: its own, and those folded into it."""
    rows = await database.fetch(
        "SELECT notification_id FROM notification_deliveries WHERE id = $1 OR into_id = $1", delivery.id
    )
    return [row["notification_id"] for row in rows]


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {SEND_SECONDS:g} s"
    return str(error) if isinstance(error, ProviderError) else f"the plugin failed: {type(error).__name__}"
