"""The block list: numbers and addresses a tenant never writes to, whether or not they are contacts."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from core import database
from core.audit import services as audit
from core.contacts.addresses import block_listed_groups
from core.contacts.contact_events import record_events
from core.contacts.country_settings import in_own_country
from core.contacts.filters import search_pattern
from core.contacts.identities import phone_in
from core.contacts.schemas import BlockCreate, BlockRead, BlockRemove
from core.contacts.services import read_number
from core.contacts.suppressions import find_person, lift, suppress
from core.errors import InvalidInputError, NotFoundError
from core.pagination import PageQuery
from core.texts import text

_COLUMNS = "id, number, address, reason, created_at, updated_at"
_SORTS = {"number": "number", "created_at": "id"}


async def list_blocks(user_id: int, query: PageQuery) -> tuple[Sequence[BlockRead], int]:
    """Return one page of the tenant's block list and how many entries it has."""
    where = "user_id = $1 AND ($2::text IS NULL OR coalesce(number, address) ILIKE $2)"
    pattern = search_pattern(query.search) if query.search else None
    rows = await database.fetch(
        f"SELECT {_COLUMNS} FROM block_contacts WHERE {where}"
        f" ORDER BY {query.order_by(_SORTS, '-created_at')} LIMIT $3 OFFSET $4",
        user_id,
        pattern,
        query.limit,
        query.offset,
    )
    total = await database.fetch_value(f"SELECT count(*) FROM block_contacts WHERE {where}", user_id, pattern)
    return [_read(row) for row in rows], total if isinstance(total, int) else 0


async def get_block(user_id: int, block_id: int) -> BlockRead:
    """Return an entry of this tenant's block list, or raise ``NotFoundError``."""
    row = await database.fetch_row(
        f"SELECT {_COLUMNS} FROM block_contacts WHERE id = $1 AND user_id = $2", block_id, user_id
    )
    if row is None:
        raise NotFoundError("blocked number", block_id)
    return _read(row)


async def block(user_id: int, new: BlockCreate) -> BlockRead:
    """Put a number or an address on the block list; one that is there stays, with the new reason if one is given.

    Whoever goes by the address is blocked in every form that is known of them, as an opt-out would; a group as well.
    """
    new = await in_own_country(user_id, new)
    number, address = _read_written(new)
    async with database.unit_of_work():
        contacts = await _contacts(user_id, number, address)
        if address is None:
            made = await _insert(user_id, "number", number or "", new.reason)
        else:
            made = await _insert(user_id, "address", address, new.reason)
            await suppress(user_id, await find_person(user_id, (address,)))
            await block_listed_groups(user_id, contacts)
        await record_events(user_id, contacts, "blocked", reason=made.reason)
    return made


async def unblock(user_id: int, block_id: int) -> None:
    """Take an entry off the block list; an opt-out of that number or address ends with it."""
    entry = await get_block(user_id, block_id)
    await _remove(user_id, entry.number, entry.address)


async def unblock_written(user_id: int, wanted: BlockRemove) -> None:
    """Take a number, however it is written, or an address off the block list; an opt-out of it ends as well.

    Raises:
        NotFoundError: It is not on the list, and nobody who goes by it opted out.
    """
    wanted = await in_own_country(user_id, wanted)
    number, address = _read_written(wanted)
    if await _remove(user_id, number, address):
        return
    if number is None:
        raise NotFoundError("blocked address", address)
    raise NotFoundError("blocked number", number)


async def _insert(user_id: int, column: Literal["number", "address"], value: str, reason: str) -> BlockRead:
    row = await database.fetch_row(
        f"INSERT INTO block_contacts AS b (user_id, {column}, reason, created_at, updated_at)"
        f" VALUES ($1, $2, $3, now(), now()) ON CONFLICT (user_id, {column}) DO UPDATE"
        " SET reason = CASE WHEN excluded.reason = '' THEN b.reason ELSE excluded.reason END, updated_at = now()"
        f" RETURNING {_COLUMNS}",
        user_id,
        value,
        reason,
    )
    block = _read(row)
    facts = {column: value, "reason": block.reason}
    await audit.record("block.created", user_id=user_id, entity_id=block.id, facts=facts)
    return block


async def _remove(user_id: int, number: str | None, address: str | None) -> int:
    async with database.unit_of_work():
        contacts = await _contacts(user_id, number, address)
        listed = await database.execute(
            "DELETE FROM block_contacts WHERE user_id = $1 AND (number = $2 OR address = $3)", user_id, number, address
        )
        if address is not None:
            listed += await database.execute(
                "UPDATE contacts SET blocked_at = NULL, updated_at = now()"
                " WHERE user_id = $1 AND id = ANY($2::bigint[]) AND blocked_at IS NOT NULL",
                user_id,
                await _groups(user_id, address),
            )
        listed += await lift(user_id, (number or address or "",))
        if listed:
            await record_events(user_id, contacts, "unblocked")
            await audit.record("block.deleted", user_id=user_id, facts={"number": number, "address": address})
        return listed


async def _contacts(user_id: int, number: str | None, address: str | None) -> list[int]:
    """Return the contacts that an entry of the list is about now."""
    if address is not None:
        person = await find_person(user_id, (address,))
        return [*person.contact_ids, *await _groups(user_id, address)]
    rows = await database.fetch(
        "SELECT id FROM contacts WHERE user_id = $1 AND number = $2 AND deleted_at IS NULL", user_id, number
    )
    return [row["id"] for row in rows]


async def _groups(user_id: int, address: str) -> list[int]:
    rows = await database.fetch(
        "SELECT c.id FROM contact_addresses a JOIN contacts c ON c.id = a.contact_id"
        " WHERE a.address = $2 AND c.user_id = $1 AND c.type = 2 AND c.deleted_at IS NULL",
        user_id,
        address,
    )
    return [row["id"] for row in rows]


def _read_written(wanted: BlockRemove) -> tuple[str | None, str | None]:
    """Return the number as E.164 digits, or else the address; raises ``InvalidInputError`` for both or neither."""
    if wanted.address is not None:
        if wanted.number is not None:
            raise InvalidInputError({"address": [text("number_or_address")]})
        digits = phone_in(wanted.address)
        if not digits:
            return None, wanted.address
        number, errors = read_number(f"+{digits}", wanted.country)
        errors = {"address": errors["number"]} if errors else {}
    elif wanted.number is None:
        raise InvalidInputError({"number": [text("required")]})
    else:
        number, errors = read_number(wanted.number, wanted.country)
    if number is None:
        raise InvalidInputError(errors)
    return number, None


def _read(row: object) -> BlockRead:
    return msgspec.convert(row, BlockRead)
