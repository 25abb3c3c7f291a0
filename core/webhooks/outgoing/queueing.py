"""From an event to its deliveries: a row for every endpoint that wants it, in the unit of work of its cause."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from core import database
from core.events.catalogue import Envelope, Event, seal
from core.queue import NOTIFICATIONS, send
from core.webhooks.hints import Hints

ACTOR = "webhooks.deliver"
GIVE_UP_AFTER = timedelta(hours=24)

# Rows are locked in the order of endpoints everywhere, so that nobody waits in a circle.
_QUEUE = """
INSERT INTO webhook_deliveries
    (endpoint_id, user_id, event_id, type, body, status, due_at, give_up_at, created_at)
SELECT e.id, e.user_id, v.event_id, v.type, v.body, 'pending', now(), now() + $6::interval, now()
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
    WITH ORDINALITY AS v(user_id, event_id, type, body, number_id, place)
JOIN webhook_endpoints e ON e.user_id = v.user_id AND e.status = 'active' AND e.events ? v.type
    AND (e.number_id IS NULL OR e.number_id = v.number_id)
ORDER BY e.id, v.place
ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""
_QUEUE_ONE = """
INSERT INTO webhook_deliveries
    (endpoint_id, user_id, event_id, type, body, status, due_at, give_up_at, created_at)
SELECT id, user_id, $2, $3, $4, 'pending', now(), now() + $5::interval, now() FROM webhook_endpoints WHERE id = $1
RETURNING id
"""


async def _send_deliver(_line: str) -> None:
    await send(ACTOR, queue=NOTIFICATIONS)


_hints = Hints(_send_deliver)


async def _want() -> None:
    _hints.want(ACTOR)


def hint() -> None:
    """Let workers look for deliveries once the present unit of work is committed, however many it made."""
    database.after_commit(_want)


class _Place(msgspec.Struct):
    """What an event's body says of where it belongs; everything else is passed over."""

    number_id: int | None = None


_place = msgspec.json.Decoder(_Place)
_encode = msgspec.json.Encoder().encode


async def queue(events: Sequence[tuple[int, Envelope]]) -> int:
    """Have events, each with its user's id, delivered to whoever wants them; return how many deliveries that makes.

    It joins the present unit of work. An event that an endpoint has already is passed over.
    """
    added = await database.execute(
        _QUEUE,
        [user_id for user_id, _ in events],
        [envelope.id for _, envelope in events],
        [envelope.type for _, envelope in events],
        [_encode(envelope).decode() for _, envelope in events],
        [_place.decode(envelope.data).number_id for _, envelope in events],
        GIVE_UP_AFTER,
    )
    if added:
        hint()
    return added


async def queue_for(endpoint_id: int, event: Event) -> int:
    """Have one endpoint told of an event, whatever it subscribed; return the delivery's id."""
    envelope = seal(event)
    found = await database.fetch_value(
        _QUEUE_ONE, endpoint_id, envelope.id, envelope.type, _encode(envelope).decode(), GIVE_UP_AFTER
    )
    hint()
    return int(str(found))
