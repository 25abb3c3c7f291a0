"""Erasing a contact: whatever tells who it was goes; counts stay, and the hash by which nobody writes to it again.

The same person as a contact of another tenant is another matter: nothing of theirs is touched.
"""

from collections.abc import Sequence

import asyncpg

from core import database
from core.audit import services as audit
from core.campaigns.claims import Ineligible
from core.campaigns.skipping import skip
from core.campaigns.tables import RecipientState
from core.campaigns.transitions import Transition, apply, mask
from core.clock import synced_clock
from core.contacts.identities import number_forms
from core.contacts.suppressions import find_person, remember
from core.errors import ConflictError, NotFoundError
from core.privacy.traces import remove_traces

SHARD = 26
"""Of the counters; no other process writes this one."""

_CONTACTS = """
SELECT id, name FROM contacts
WHERE user_id = $1 AND (id = $2 OR merged_into = $2 OR (number = ANY($3::text[]) AND number <> ''))
ORDER BY id FOR UPDATE
"""
_KNOWN = """
SELECT c.number, a.address FROM contacts c LEFT JOIN contact_addresses a ON a.contact_id = c.id
WHERE c.id = $1 OR c.merged_into = $1
"""
_ROWS = """
SELECT m.id, m.state, m.address, m.provider_address FROM campaigns k JOIN messages g ON g.campaign_id = k.id
JOIN message_by_contacts m ON m.message_id = g.id AND m.contact_id = ANY($2::bigint[])
WHERE k.user_id = $1 ORDER BY m.id FOR UPDATE OF m
"""
_EMPTY_ROWS = """
UPDATE message_by_contacts SET address = '', provider_address = NULL, variables = NULL, zone = NULL,
    lease_until = NULL WHERE id = ANY($1::bigint[])
"""
# Services build their ids of the person's address (WAHA: true_<chat>_<id>); the id made before the send stays.
_EMPTY_ATTEMPTS = "UPDATE message_attempts SET provider_id = NULL WHERE recipient_id = ANY($1::bigint[])"
_EMPTY_CONTACTS = """
UPDATE contacts SET number = NULL, name = '', variables = '{}', labels = '[]', last_inbound_at = NULL,
    blocked_at = coalesce(blocked_at, now()), deleted_at = coalesce(deleted_at, now()), deletion_id = NULL,
    updated_at = now()
WHERE id = ANY($1::bigint[])
"""
_FORGET = (
    "DELETE FROM contact_addresses WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM public_by_contacts WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM import_changes WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM conversations WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM contact_events WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM contact_activity WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM send_counters WHERE scope = 'contact' AND scope_id = ANY($1::bigint[])",
    (
        "UPDATE logs SET data = '{}', changes = '{}', description = ''"
        " WHERE entity = 'contact' AND entity_id = ANY($1::bigint[])"
    ),
)


async def erase_contact(user_id: int, contact_id: int) -> None:
    """Erase a contact, also one that was deleted before, and every other row of the tenant about the same person.

    Whoever is erased counts as opted out: made or imported again, they are blocked at once.

    Raises:
        NotFoundError: The tenant has no such contact.
        ConflictError: A message to them is being sent at this moment.
    """
    async with database.unit_of_work():
        ids, forms, names = await _find(user_id, contact_id)
        rows = await database.fetch(_ROWS, user_id, ids)
        if any(row["state"] == RecipientState.LEASED for row in rows):
            raise ConflictError(
                "A message to this contact is being sent at this moment: try again in a minute.", code="contact_busy"
            )
        forms |= {row[name] for row in rows for name in ("address", "provider_address") if row[name]}
        if forms:
            await remember(user_id, forms)
        await _settle(rows)
        row_ids = [row["id"] for row in rows]
        await database.execute(_EMPTY_ROWS, row_ids)
        await database.execute(_EMPTY_ATTEMPTS, row_ids)
        for statement in (_EMPTY_CONTACTS, *_FORGET):
            await database.execute(statement, ids)
        await remove_traces(user_id, forms, names)
        await audit.record("contact.erased", user_id=user_id, entity_id=contact_id)


async def _find(user_id: int, contact_id: int) -> tuple[list[int], set[str], set[str]]:
    """Lock the contact; return the ids of all rows of the person, the forms they are known in, and their names."""
    given = await database.fetch_value(
        "SELECT id FROM contacts WHERE id = $1 AND user_id = $2 FOR UPDATE", contact_id, user_id
    )
    if given is None:
        raise NotFoundError("contact", contact_id)
    known = await database.fetch(_KNOWN, contact_id)
    forms = {form for row in known for form in row} - {None, ""}
    if forms:
        person = await find_person(user_id, forms)
        forms |= person.forms
    numbers = sorted({wider for form in forms for wider in number_forms(form)})
    rows = await database.fetch(_CONTACTS, user_id, contact_id, numbers)
    return [row["id"] for row in rows], forms, {row["name"] for row in rows}


async def _settle(rows: Sequence[asyncpg.Record]) -> None:
    """Skip what was not sent yet; what the service took counts as sent, since nobody can ask for it any more."""
    now = (await synced_clock()).now()
    by_state = {state: [row["id"] for row in rows if row["state"] == state] for state in RecipientState}
    await skip(now, [Ineligible(row_id, "contact_deleted") for row_id in by_state[RecipientState.PENDING]])
    taken = [
        Transition(
            id=row_id,
            attempt=0,
            allowed=mask(RecipientState.ACCEPTED),
            state=RecipientState.SENT,
            reason="assumed_sent",
            sent_at=now,
        )
        for row_id in by_state[RecipientState.ACCEPTED]
    ]
    if taken:
        await apply(now, taken, shard=SHARD)
