"""What webhooks say about our own numbers: their connection, and who is behind an address."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from core import database
from core.numbers.states import Sighting, write_sightings
from core.plugin import IdentityEvent, SenderStatusEvent
from core.webhooks.handlers import StoredEvent, event_handler

CLOCK_TOLERANCE = timedelta(days=1)
"""A time further ahead than this is a broken clock and must not outrank every later event."""
NOTE = """
UPDATE numbers n SET last_event_at = h.at FROM (
    SELECT n.id, e.at FROM unnest($1::bigint[], $2::timestamptz[]) AS e(id, at) JOIN numbers n ON n.id = e.id
    WHERE n.last_event_at IS NULL OR n.last_event_at < e.at - interval '30 seconds'
    ORDER BY n.id FOR UPDATE OF n SKIP LOCKED) h
WHERE n.id = h.id
"""


@event_handler("sender_status")
async def apply_statuses(batch: Sequence[StoredEvent]) -> Collection[int]:
    """Write the newest connection of each number by the service's time."""
    newest: dict[int, SenderStatusEvent] = {}
    for stored in batch:
        event = stored.event
        if isinstance(event, SenderStatusEvent):
            event = msgspec.structs.replace(event, at=min(event.at, stored.received_at + CLOCK_TOLERANCE))
            known = newest.get(stored.number_id)
            if known is None or event.at >= known.at:
                newest[stored.number_id] = event
    await write_sightings(
        [
            Sighting(
                number_id=number_id,
                state=event.state,
                reason=event.raw,
                address=event.address,
                name=event.name,
                restricted_until=event.restricted_until,
                at=event.at,
            )
            for number_id, event in sorted(newest.items())
        ]
    )
    return [stored.id for stored in batch]


@event_handler("identity")
async def apply_identities(batch: Sequence[StoredEvent]) -> Collection[int]:
    """Remember the phone number behind an address; the last word counts."""
    found = {
        (stored.number_id, stored.event.address[:120]): stored.event.phone[:32]
        for stored in batch
        if isinstance(stored.event, IdentityEvent) and stored.event.address and stored.event.phone
    }
    keys = sorted(found)
    await database.execute(
        "INSERT INTO number_identities (number_id, address, phone, updated_at)"
        " SELECT i.number_id, i.address, i.phone, now()"
        " FROM unnest($1::bigint[], $2::text[], $3::text[]) AS i(number_id, address, phone)"
        " ON CONFLICT (number_id, address) DO UPDATE SET phone = excluded.phone, updated_at = now()"
        " WHERE number_identities.phone <> excluded.phone",
        [number_id for number_id, _ in keys],
        [address for _, address in keys],
        [found[key] for key in keys],
    )
    return [stored.id for stored in batch]


@event_handler("sender_status")
@event_handler("identity")
@event_handler("message_status")
@event_handler("message_in")
@event_handler("message_out_foreign")
async def note_events(batch: Sequence[StoredEvent]) -> Collection[int]:
    """Note that the servers of these numbers speak to us; a row that somebody else holds is noted the next time."""
    latest: dict[int, datetime] = {}
    for stored in batch:
        latest[stored.number_id] = max(stored.received_at, latest.get(stored.number_id, stored.received_at))
    await database.execute(NOTE, sorted(latest), [latest[number_id] for number_id in sorted(latest)])
    return [stored.id for stored in batch]


async def phones_behind(addresses: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], str]:
    """Return the phones known for pairs of number id and address; pairs without one are left out."""
    pairs = sorted(addresses)
    rows = await database.fetch(
        "SELECT number_id, address, phone FROM number_identities WHERE (number_id, address) IN"
        " (SELECT * FROM unnest($1::bigint[], $2::text[]))",
        [number_id for number_id, _ in pairs],
        [address for _, address in pairs],
    )
    return {(row["number_id"], row["address"]): row["phone"] for row in rows}
