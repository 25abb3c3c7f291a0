"""What people write to a tenant's numbers, told to live listeners and webhooks with the contact they are."""

import hashlib
from collections.abc import Collection, Mapping, Sequence

import asyncpg

from core import database
from core.announcing import emit_all
from core.contacts.identities import number_forms
from core.events.catalogue import MessageReceived
from core.plugin import MessageInEvent
from core.webhooks.handlers import StoredEvent, event_handler

_WRITERS = """
WITH given AS MATERIALIZED (
    SELECT g.event_id, g.form, n.user_id FROM unnest($1::bigint[], $2::bigint[], $3::text[])
        AS g(event_id, number_id, form) JOIN numbers n ON n.id = g.number_id
), numbered AS (
    SELECT event_id, user_id, form AS number FROM given
    UNION SELECT g.event_id, g.user_id, i.phone FROM given g JOIN number_identities i ON i.address = g.form
        JOIN numbers n ON n.id = i.number_id AND n.user_id = g.user_id
    UNION SELECT g.event_id, g.user_id, k.number FROM given g JOIN number_checks k ON k.address = g.form AND k.found
), found AS (
    SELECT w.event_id, c.id, c.name, c.number FROM numbered w
    JOIN contacts c ON c.user_id = w.user_id AND c.number = w.number AND c.deleted_at IS NULL
    UNION SELECT g.event_id, c.id, c.name, c.number FROM given g JOIN contact_addresses a ON a.address = g.form
    JOIN contacts c ON c.id = a.contact_id AND c.user_id = g.user_id AND c.deleted_at IS NULL
)
SELECT DISTINCT ON (g.event_id) g.event_id, g.user_id, f.id, f.name, f.number
FROM given g LEFT JOIN found f ON f.event_id = g.event_id ORDER BY g.event_id, f.id
"""


@event_handler("message_in")
async def tell_received(batch: Sequence[StoredEvent]) -> Collection[int]:
    """Emit every message of a batch; one that comes again, for another handler, is the same event and told once."""
    wanted = [(stored, stored.event) for stored in batch if isinstance(stored.event, MessageInEvent)]
    writers = await _writers(wanted)
    told = [(stored, event, writers[stored.id]) for stored, event in wanted if stored.id in writers]
    await emit_all(
        [(writer["user_id"], _received(stored, event, writer)) for stored, event, writer in told],
        [_event_id(stored, event) for stored, event, _ in told],
    )
    return [stored.id for stored in batch]


def _event_id(stored: StoredEvent, event: MessageInEvent) -> str:
    """Return an id that is the message's own, whatever row it is stored in.

    The row's number comes again where a database is restored from a back-up, and receivers drop ids that they know.
    """
    return f"evt_{hashlib.sha256(f'{stored.number_id}:{event.dedupe_key}'.encode()).hexdigest()[:24]}"


async def _writers(wanted: Sequence[tuple[StoredEvent, MessageInEvent]]) -> Mapping[int, asyncpg.Record]:
    """Return the tenant, and the contact where there is one, by the id of the stored event."""
    forms = [
        (stored.id, stored.number_id, form)
        for stored, event in wanted
        for form in sorted({event.address, *(number_forms(event.phone) if event.phone else ())})
    ]
    rows = await database.fetch(_WRITERS, *(list(column) for column in zip(*forms, strict=True))) if forms else ()
    return {row["event_id"]: row for row in rows}


def _received(stored: StoredEvent, event: MessageInEvent, writer: asyncpg.Record) -> MessageReceived:
    return MessageReceived(
        number_id=stored.number_id,
        contact_id=writer["id"],
        sender=event.phone or writer["number"] or event.address,
        name=writer["name"] or "",
        text=event.text,
        received_at=stored.received_at,
    )
