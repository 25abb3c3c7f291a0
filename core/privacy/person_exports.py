"""What is held of one contact, as a small ZIP to hand to that person."""

from typing import Any

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.queries import get_contact
from core.privacy.archives import zip_of

_MESSAGES = """
SELECT k.id AS campaign_id, k.name AS campaign, m.position, g.content AS template, m.variables::text AS variables,
    m.address, m.state, m.reason, n.number AS sent_from, m.created_at, m.accepted_at, m.sent_at, m.delivered_at,
    m.read_at, m.replied_at
FROM campaigns k JOIN messages g ON g.campaign_id = k.id
JOIN message_by_contacts m ON m.message_id = g.id AND m.contact_id IN
    (SELECT id FROM contacts WHERE user_id = $1 AND (id = $2 OR merged_into = $2))
LEFT JOIN numbers n ON n.id = m.number_id
WHERE k.user_id = $1 ORDER BY m.id
"""
_IMPORTS = """
SELECT i.id, i.filename, i.created_at, i.options::text AS options FROM imports i
JOIN publics p ON p.id = i.public_id AND p.user_id = i.user_id
JOIN public_by_contacts b ON b.public_id = p.id AND b.contact_id = $2
WHERE i.user_id = $1 ORDER BY i.id
"""
_PARTS = {
    "addresses": "SELECT a.provider, a.number, a.address, a.checked_at FROM contact_addresses a"
    " JOIN contacts c ON c.id = a.contact_id WHERE c.user_id = $1 AND a.contact_id = $2 ORDER BY a.id",
    "labels": "SELECT l.id, l.name FROM labels l JOIN contacts c ON c.labels @> to_jsonb(l.id)"
    " WHERE l.user_id = $1 AND c.user_id = $1 AND c.id = $2 AND l.deleted_at IS NULL ORDER BY l.id",
    "audiences": "SELECT p.id, p.name, b.created_at AS added_at FROM publics p JOIN public_by_contacts b"
    " ON b.public_id = p.id WHERE p.user_id = $1 AND b.contact_id = $2 ORDER BY p.id",
    "before_imports": "SELECT h.import_id, h.name, h.variables::text AS variables, h.written_at FROM import_changes h"
    " JOIN imports i ON i.id = h.import_id WHERE i.user_id = $1 AND h.contact_id = $2 ORDER BY h.id",
    "wrote_last": "SELECT n.number AS to_number, v.last_inbound_at FROM conversations v JOIN numbers n"
    " ON n.id = v.number_id WHERE v.user_id = $1 AND v.contact_id = $2 ORDER BY v.id",
    "events": "SELECT kind, source, reason, created_at FROM contact_events WHERE user_id = $1 AND contact_id = $2"
    " ORDER BY id",
    "blocks": "SELECT b.reason, b.created_at FROM block_contacts b JOIN contacts c ON c.number = b.number"
    " WHERE b.user_id = $1 AND c.user_id = $1 AND c.id = $2",
}
_OPT_OUT = "SELECT blocked_at FROM contacts WHERE user_id = $1 AND id = $2"
_LOG = """
SELECT created_at, action, changes::text AS changes FROM logs
WHERE account_id = $1 AND entity = 'contact' AND entity_id = $2 ORDER BY id
"""


async def export_contact(user_id: int, contact_id: int) -> bytes:
    """Return a ZIP of everything the tenant holds of a contact: profile, messages, replies, opt-outs, where it is from.

    Raises:
        NotFoundError: The tenant has no such contact.
    """
    contact = await get_contact(user_id, contact_id)

    async def rows(statement: str) -> list[dict[str, Any]]:
        return [dict(row) for row in await database.fetch(statement, user_id, contact_id)]

    opt_out = (await rows(_OPT_OUT))[0]["blocked_at"]
    profile = {
        "contact": msgspec.to_builtins(contact),
        "opted_out_at": opt_out,
        "imported_by": await rows(_IMPORTS),
        **{name: await rows(statement) for name, statement in _PARTS.items()},
    }
    files = {"contact.json": profile, "messages.csv": await rows(_MESSAGES), "log.csv": await rows(_LOG)}
    await audit.record("contact.exported", user_id=user_id, entity_id=contact_id)
    return zip_of(files)
