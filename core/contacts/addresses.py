"""What services call contacts beside their numbers: a group's address, a chat of somebody who has no number there."""

from collections.abc import Collection, Mapping

from core import database
from core.contacts.identities import is_group_address, phone_in
from core.contacts.tables import ContactType
from core.errors import ConflictError
from core.runtime import providers
from core.texts import text

CURRENT = "a.address <> '' AND a.number IN ('', coalesce(c.number, ''))"
"""The condition on ``contact_addresses a`` of ``contacts c`` for an address that still holds.

One that a service answered for a number ends with that number; one without a number is the contact's own.
"""


def address_errors(kind: ContactType, addresses: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what is wrong with addresses in a request, by field: no such provider, or not of that kind of contact."""
    known = providers().messaging_by_name
    errors: dict[str, list[str]] = {}
    for provider, address in addresses.items():
        if provider not in known:
            reason = text("choice", allowed=", ".join(known))
        elif phone_in(address):
            reason = text("address_is_phone") if kind is ContactType.PERSON else text("address_of_person")
        elif kind is ContactType.PERSON and is_group_address(address):
            reason = text("address_of_group")
        else:
            continue
        errors[f"addresses.{provider}"] = [reason]
    return errors


async def refuse_taken_addresses(user_id: int, addresses: Mapping[str, str], *, but: int | None = None) -> None:
    """Refuse addresses that another live contact than ``but`` has; ``ConflictError`` names it."""
    for provider, address in addresses.items():
        taken = await database.fetch_value(
            "SELECT c.id FROM contact_addresses a JOIN contacts c ON c.id = a.contact_id"
            " WHERE a.address = $3 AND a.provider = $2 AND c.user_id = $1 AND c.deleted_at IS NULL"
            f" AND {CURRENT} AND c.id IS DISTINCT FROM $4::bigint LIMIT 1",
            user_id,
            provider,
            address,
            but,
        )
        if taken is not None:
            raise ConflictError(text("contact_has_address", id=taken), code="contact_exists", id=taken)


async def put_addresses(contact_id: int, addresses: Mapping[str, str]) -> None:
    """Make these the addresses of a contact, whatever its number; others of it go."""
    names, given = list(addresses), list(addresses.values())
    await database.execute(
        "DELETE FROM contact_addresses WHERE contact_id = $1 AND NOT provider = ANY($2::text[])", contact_id, names
    )
    await database.execute(
        "INSERT INTO contact_addresses AS a (contact_id, provider, number, address, checked_at)"
        " SELECT $1, provider, '', address, now() FROM unnest($2::text[], $3::text[]) AS g(provider, address)"
        " ON CONFLICT (contact_id, provider) DO UPDATE SET number = '', address = excluded.address, checked_at = now()"
        " WHERE a.address <> excluded.address",
        contact_id,
        names,
        given,
    )


async def block_listed_groups(user_id: int, contact_ids: Collection[int]) -> None:
    """Block those of the groups whose address is on the block list; nothing else ever blocks a group."""
    await database.execute(
        "UPDATE contacts c SET blocked_at = clock_timestamp() FROM contact_addresses a"
        " JOIN block_contacts b ON b.user_id = $1 AND b.address = a.address"
        " WHERE c.user_id = $1 AND c.id = ANY($2::bigint[]) AND a.contact_id = c.id AND c.type = 2"
        " AND c.blocked_at IS NULL",
        user_id,
        list(contact_ids),
    )
