"""Delivering: what is due in one lane goes out, a few at a time; what its notifier says decides what becomes of it.

A process works on a lane once at a time, every call has a deadline, and lanes know nothing of each other: a notifier
that hangs or raises delays its own deliveries alone, and an answer that is late no other one.
"""

import asyncio
import time

import structlog

from core import database
from core.jobs.leasing import holder_name
from core.notifications import notifier_states, planning
from core.notifications.alarms import clear_alarms, raise_alarm
from core.notifications.channels import Lane, lane_named, notifiers_of
from core.notifications.claims import (
    ANSWER_SECONDS,
    Delivery,
    LeaseLostError,
    claim,
    finish,
    give_back,
    hand_over,
    postpone,
)
from core.notifications.composing import compose, is_wanted
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
"""A lane that is always busy begins nothing after so long, and gives its thread back; the sweep hints at the rest."""
SEND_SECONDS = 90.0
"""To hand a delivery over: to wait for room at a mail server, to sign in, to agree on the recipient. Its answer has a
limit of its own."""
FALLS_BACK_AFTER = 3
"""Attempts at a realtime service before what matters is mailed instead."""

_log = structlog.get_logger(__name__)
_working: dict[str, asyncio.Event] = {}
"""The lanes this process is at; the event says that there may be more to do."""


async def deliver(lane_name: str) -> None:
    """Deliver what is due in a lane; harmless when nothing is, or when this process is at it."""
    if lane_name in _working:
        _working[lane_name].set()
        return
    lane = lane_named(lane_name)
    if lane is None:
        return
    more = _working[lane_name] = asyncio.Event()
    running: set[asyncio.Task[None]] = set()
    try:
        await _work(lane, more, running)
    except Exception:
        # What is on its way may still hear its answer.
        await asyncio.gather(*running, return_exceptions=True)
        raise
    finally:
        del _working[lane_name]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _work(lane: Lane, more: asyncio.Event, running: set[asyncio.Task[None]]) -> None:
    """Keep up to ``AT_ONCE`` deliveries on their way: one that waits for its answer holds no other one up."""
    until = time.monotonic() + TURN_SECONDS
    while True:
        more.clear()
        if time.monotonic() < until and not runtime().stopping.is_set():
            running |= await _begin_some(lane, AT_ONCE - len(running))
        if not running and not more.is_set():
            return
        told = asyncio.ensure_future(more.wait())
        try:
            done, _ = await asyncio.wait({*running, told}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told.cancel()
        running -= done


async def _begin_some(lane: Lane, room: int) -> set[asyncio.Task[None]]:
    notifiers = notifiers_of(lane)
    usable = await notifier_states.usable([found.name for found in notifiers])
    notifier = next((found for found in notifiers if found.name in usable), None)
    if notifier is None or room == 0:
        return set()
    claimed = await claim(lane, holder_name(), room)
    return {asyncio.create_task(_deliver(delivery, lane, notifier)) for delivery in claimed}


async def _deliver(delivery: Delivery, lane: Lane, notifier: Notifier) -> None:
    try:
        if not await is_wanted(delivery, lane):
            await finish(delivery, "failed", "the user does not want it any more")
            return
        notification = await compose(delivery, lane)
        if notification is None:
            await finish(delivery, "failed", "nobody is left to tell, or nothing: it is over, or cannot be read")
            return
        await _send(delivery, lane, notifier, notification)
    except LeaseLostError:
        _log.warning("notification_lease_lost", delivery_id=delivery.id)
    except Exception:  # noqa: BLE001 - one that cannot be told must not keep its neighbours
        _log.exception("notification_not_delivered", delivery_id=delivery.id, kind=delivery.kind)
        await give_back(delivery, "an error of the platform: see the log")


async def _send(delivery: Delivery, lane: Lane, notifier: Notifier, notification: Notification) -> None:
    going = False
    answer_seconds = ANSWER_SECONDS[lane.channel]

    async def handing_over() -> None:
        nonlocal going
        await hand_over(delivery, notifier.name, answer_seconds)
        limit.reschedule(asyncio.get_running_loop().time() + answer_seconds)
        going = True

    try:
        async with asyncio.timeout(SEND_SECONDS) as limit:
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
        if lane.channel == "email":
            await clear_alarms("user", [delivery.user_id], ["email_refused"])


async def _not_taken(
    delivery: Delivery, lane: Lane, notifier: Notifier, answer: UnavailableError | MisconfiguredError | RefusedError
) -> None:
    """The service has not taken it, which it says itself or which is certain."""
    if isinstance(answer, RefusedError):
        await _refused(delivery, lane, notifier, answer)
        return
    if isinstance(answer, MisconfiguredError):
        await notifier_states.note_misconfigured(notifier.name, answer)
    elif not answer.of_recipient:
        await notifier_states.note_unavailable(notifier.name, answer)
    # Another notifier of the lane may take it at once; where there is none, the lane waits as a whole.
    paused = isinstance(answer, LimitReachedError | MisconfiguredError)
    seconds = 1.0 if paused else getattr(answer, "retry_after", None)
    if delivery.falls_back and (delivery.attempts >= FALLS_BACK_AFTER or paused):
        await _fall_back(delivery, str(answer))
        return
    await postpone(delivery, str(answer), seconds)


async def _refused(delivery: Delivery, lane: Lane, notifier: Notifier, answer: RefusedError) -> None:
    if answer.provider_code or answer.http_status:
        # It answered; what is refused for its form alone says nothing of the service.
        await notifier_states.note_success(notifier.name)
    if delivery.falls_back:
        await _fall_back(delivery, str(answer))
        return
    async with database.unit_of_work():
        if await finish(delivery, "refused", str(answer)) and lane.channel == "email":
            await raise_alarm("email_refused", "user", delivery.user_id, reason=str(answer))


async def _not_known(delivery: Delivery, lane: Lane, notifier: Notifier, reason: str) -> None:
    """Nobody can say whether it arrived: two receipts are better than none but not three, and no news twice."""
    await notifier_states.note_unavailable(notifier.name, UnavailableError(reason))
    if delivery.falls_back:
        await _fall_back(delivery, reason, "unknown")
    elif lane.channel == "email" and KINDS[delivery.kind].repeats and not delivery.doubts:
        await postpone(delivery, reason, in_doubt=True)
    else:
        await finish(delivery, "unknown", reason)


async def _fall_back(delivery: Delivery, reason: str, status: str = "failed") -> None:
    async with database.unit_of_work():
        # Before the delivery is locked: a planner holds this, and may wait for that.
        await planning.alone()
        if await finish(delivery, status, f"mailed instead: {reason}"):
            await planning.mail_instead([delivery.id])


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) if isinstance(error, ProviderError) else f"the plugin failed: {type(error).__name__}"
