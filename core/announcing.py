"""Telling of an event: to live listeners and tenants' webhooks, and to the person, in the unit of work of its cause."""

from collections.abc import Sequence
from functools import partial

from core import database
from core.events.catalogue import LIVE, WEBHOOK, Event, seal
from core.live import stream
from core.notifications import outbox
from core.notifications.kinds import OF_EVENT
from core.webhooks.outgoing import queueing


async def announce(user_id: int, event: Event, key: str) -> bool:
    """Notify a user of an event and emit it, once for each ``key``; return whether it is new.

    It joins the present unit of work.
    """
    return await announce_all([(user_id, event, key)]) == 1


async def announce_all(told: Sequence[tuple[int, Event, str]]) -> int:
    """Announce several events, each with its user's id and its key; return how many are new."""
    events = {key: (user_id, event) for user_id, event, key in told}
    added = await outbox.put_all(
        [
            outbox.Entry(kind=OF_EVENT[type(event)].name, user_id=user_id, key=key, detail=event)
            for key, (user_id, event) in events.items()
        ]
    )
    await emit_all([events[entry.key] for entry in added])
    return len(added)


async def emit(user_id: int, event: Event) -> None:
    """Tell live listeners and webhooks of an event that nobody is notified of; joins the present unit of work."""
    await emit_all([(user_id, event)])


async def emit_all(events: Sequence[tuple[int, Event]], ids: Sequence[str] = ()) -> None:
    """Emit several events, each with its user's id; ``ids`` name them, so that what is emitted again is told once."""
    named = ids or [""] * len(events)
    sealed = [
        (user_id, seal(event, event_id=event_id)) for (user_id, event), event_id in zip(events, named, strict=True)
    ]
    webhooks = [(user_id, envelope) for user_id, envelope in sealed if envelope.type in WEBHOOK]
    if webhooks:
        await queueing.queue(webhooks)
    live = [(user_id, envelope) for user_id, envelope in sealed if envelope.type in LIVE]
    if live:
        database.after_commit(partial(stream.publish, live))
