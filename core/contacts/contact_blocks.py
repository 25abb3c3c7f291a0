"""Blocking contacts: their numbers, or where they have none their addresses, go onto the block list and off it.

The list is what says who is blocked, so a contact that is blocked here is blocked there, and the other way round.
"""

from collections.abc import Collection, Sequence

from core import database
from core.audit import services as audit
from core.contacts.addresses import block_listed_groups
from core.contacts.contact_events import record_events
from core.contacts.filters import BLOCKED
from core.contacts.queries import get_contact, lock_contact
from core.contacts.schemas import ContactRead
from core.contacts.suppressions import find_person, lift, suppress

_REASON = "SET reason = excluded.reason, updated_at = now() WHERE excluded.reason <> '' AND b.reason <> excluded.reason"
_PUT = f"""
WITH form AS MATERIALIZED (
    SELECT c.id, c.number, NULL::text AS address FROM contacts c
    WHERE c.user_id = $1 AND c.id = ANY($2::bigint[]) AND c.number IS NOT NULL
    UNION ALL SELECT c.id, NULL, a.address FROM contacts c JOIN contact_addresses a ON a.contact_id = c.id
    WHERE c.user_id = $1 AND c.id = ANY($2::bigint[]) AND c.number IS NULL AND a.address <> ''
), numbers AS (
    INSERT INTO block_contacts AS b (user_id, number, reason, created_at, updated_at)
    SELECT DISTINCT $1::bigint, number, $3, now(), now() FROM form WHERE number IS NOT NULL ORDER BY number
    ON CONFLICT (user_id, number) DO UPDATE {_REASON} RETURNING b.number
), addresses AS (
    INSERT INTO block_contacts AS b (user_id, address, reason, created_at, updated_at)
    SELECT DISTINCT $1::bigint, address, $3, now(), now() FROM form WHERE address IS NOT NULL ORDER BY address
    ON CONFLICT (user_id, address) DO UPDATE {_REASON} RETURNING b.address
)
SELECT DISTINCT f.id FROM form f
WHERE f.number IN (SELECT number FROM numbers) OR f.address IN (SELECT address FROM addresses)
"""
_FORMS = """
SELECT c.id, c.type, c.number, array_remove(array_agg(a.address), NULL) AS addresses
FROM contacts c LEFT JOIN contact_addresses a ON a.contact_id = c.id AND a.address <> ''
WHERE c.user_id = $1 AND c.id = ANY($2::bigint[]) AND {condition} GROUP BY c.id ORDER BY c.id
"""


async def block_contact(user_id: int, contact_id: int, reason: str) -> ContactRead:
    """Block a contact; one that is blocked stays so, with the new reason if one is given.

    Raises:
        NotFoundError: The tenant has no such contact.
    """
    async with database.unit_of_work():
        await lock_contact(user_id, contact_id)
        if await block_listed(user_id, [contact_id], reason):
            await audit.record("contact.blocked", user_id=user_id, entity_id=contact_id, facts={"reason": reason})
        return await get_contact(user_id, contact_id)


async def unblock_contact(user_id: int, contact_id: int) -> ContactRead:
    """Take a contact off the block list and end its opt-out; repeatable.

    Raises:
        NotFoundError: The tenant has no such contact.
    """
    async with database.unit_of_work():
        await lock_contact(user_id, contact_id)
        if await unblock_listed(user_id, [contact_id]):
            await audit.record("contact.unblocked", user_id=user_id, entity_id=contact_id)
        return await get_contact(user_id, contact_id)


async def block_listed(user_id: int, contact_ids: Collection[int], reason: str) -> Sequence[int]:
    """Put contacts on the block list, in the present unit of work; return those it did not hold, or not so."""
    rows = await database.fetch(_PUT, user_id, list(contact_ids), reason)
    changed = [row["id"] for row in rows]
    # Who has no number is known by addresses alone, and blocked in every form as by an opt-out.
    unnumbered = await database.fetch(
        _FORMS.format(condition="c.number IS NULL AND c.type = 1 AND c.blocked_at IS NULL"), user_id, list(contact_ids)
    )
    for row in unnumbered:
        await suppress(user_id, await find_person(user_id, row["addresses"]))
    await block_listed_groups(user_id, contact_ids)
    await record_events(user_id, changed, "blocked", reason=reason)
    return changed


async def unblock_listed(user_id: int, contact_ids: Collection[int]) -> Sequence[int]:
    """Take contacts off the block list and end their opt-outs, in the present unit of work; return who was blocked."""
    rows = await database.fetch(_FORMS.format(condition=BLOCKED), user_id, list(contact_ids))
    if not rows:
        return []
    blocked = [row["id"] for row in rows]
    addresses = {address for row in rows for address in row["addresses"]}
    await database.execute(
        "DELETE FROM block_contacts WHERE user_id = $1 AND (number = ANY($2::text[]) OR address = ANY($3::text[]))",
        user_id,
        [row["number"] for row in rows if row["number"]],
        sorted(addresses),
    )
    forms = {form for row in rows if row["type"] == 1 for form in (row["number"], *row["addresses"]) if form}
    await lift(user_id, forms)
    await database.execute(
        "UPDATE contacts SET blocked_at = NULL, updated_at = now()"
        " WHERE id = ANY($1::bigint[]) AND blocked_at IS NOT NULL",
        blocked,
    )
    await record_events(user_id, blocked, "unblocked")
    return blocked
