"""What a contact has after others were merged into it."""

from collections.abc import Mapping, Sequence
from typing import Literal

from core import database
from core.contacts.identities import phone_in
from core.contacts.schemas import ContactRead
from core.contacts.tables import ContactStatus

Prefer = Literal["contact", "others"]

_FIELDS = """
UPDATE contacts SET number = $2, name = $3, variables = $4, labels = $5, status = $6,
    last_inbound_at = (SELECT max(last_inbound_at) FROM contacts WHERE id = ANY($7::bigint[])), updated_at = now()
WHERE id = $1
"""
_GONE = """
UPDATE contacts SET deleted_at = coalesce(deleted_at, now()), merged_into = $1, updated_at = now()
WHERE id = ANY($2::bigint[]) OR merged_into = ANY($2::bigint[])
"""
# Whatever the others have moves; where both have one, the later wins.
_MOVE = (
    (
        "INSERT INTO public_by_contacts (public_id, contact_id, created_at, updated_at)"
        " SELECT DISTINCT public_id, $1::bigint, now(), now() FROM public_by_contacts"
        " WHERE contact_id = ANY($2::bigint[])"
        " ON CONFLICT (public_id, contact_id) DO NOTHING"
    ),
    (
        "INSERT INTO conversations AS v (user_id, contact_id, number_id, last_inbound_at)"
        " SELECT user_id, $1::bigint, number_id, max(last_inbound_at) FROM conversations"
        " WHERE contact_id = ANY($2::bigint[]) GROUP BY user_id, number_id ON CONFLICT (contact_id, number_id)"
        " DO UPDATE SET last_inbound_at = greatest(v.last_inbound_at, excluded.last_inbound_at)"
    ),
    "UPDATE contact_events SET contact_id = $1 WHERE contact_id = ANY($2::bigint[])",
)
_LEAVE = (
    "DELETE FROM public_by_contacts WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM conversations WHERE contact_id = ANY($1::bigint[])",
    "DELETE FROM contact_addresses WHERE contact_id = ANY($1::bigint[])",
)
_ADDRESSES = """
INSERT INTO contact_addresses (contact_id, provider, number, address, checked_at)
SELECT $1, g.*, now() FROM unnest($2::text[], $3::text[], $4::text[]) AS g(provider, number, address)
ON CONFLICT (contact_id, provider)
DO UPDATE SET number = excluded.number, address = excluded.address, checked_at = excluded.checked_at
"""


async def merge_fields(contact: ContactRead, others: Sequence[ContactRead], prefer: Prefer) -> None:
    """Give a contact what the others have, and delete them, in the present unit of work.

    It keeps its number if it has one. Where both have a name, a variable or an address, ``prefer`` says whose stays, of
    several others the first's. A label of one is a label of all; an inactive one makes it inactive.
    """
    ids = [other.id for other in others]
    first_wins = [contact, *others] if prefer == "contact" else [*others, contact]
    addresses = _addresses(first_wins)
    number = next((one.number for one in (contact, *others) if one.number is not None), None)
    inactive = any(one.status == ContactStatus.INACTIVE for one in first_wins)
    await database.execute(_GONE, contact.id, ids)
    for statement in _MOVE:
        await database.execute(statement, contact.id, ids)
    for statement in _LEAVE:
        await database.execute(statement, ids)
    await database.execute(
        _FIELDS,
        contact.id,
        number,
        next((one.name for one in first_wins if one.name), ""),
        database.encode_json({name: value for one in reversed(first_wins) for name, value in one.variables.items()}),
        database.encode_json(list(dict.fromkeys(label for one in (contact, *others) for label in one.labels))),
        ContactStatus.INACTIVE if inactive else ContactStatus.ACTIVE,
        [contact.id, *ids],
    )
    kept = {name: found for name, found in addresses.items() if contact.addresses.get(name) != found}
    await database.execute(
        _ADDRESSES,
        contact.id,
        list(kept),
        [number or "" if phone_in(address) else "" for address in kept.values()],
        list(kept.values()),
    )


def _addresses(first_wins: Sequence[ContactRead]) -> Mapping[str, str]:
    return {name: address for one in reversed(first_wins) for name, address in one.addresses.items()}
