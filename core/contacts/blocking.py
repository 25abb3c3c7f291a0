"""The block list: numbers a tenant never writes to, whether or not they are contacts."""

from collections.abc import Sequence

import msgspec

from core import database
from core.contacts.filters import search_pattern
from core.contacts.schemas import BlockCreate, BlockRead, BlockRemove
from core.contacts.services import read_number
from core.contacts.suppressions import lift
from core.errors import InvalidInputError, NotFoundError
from core.pagination import PageQuery

_COLUMNS = "id, number, reason, created_at, updated_at"
_SORTS = {"number": "number", "created_at": "id"}


async def list_blocks(user_id: int, query: PageQuery) -> tuple[Sequence[BlockRead], int]:
    """Return one page of the tenant's block list and how many entries it has."""
    where = "user_id = $1 AND ($2::text IS NULL OR number LIKE $2)"
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


async def block_number(user_id: int, new: BlockCreate) -> BlockRead:
    """Put a number on the block list; one that is there already stays, with the new reason if one is given."""
    number = _number(new.number, new.country)
    row = await database.fetch_row(
        "INSERT INTO block_contacts AS b (user_id, number, reason, created_at, updated_at)"
        " VALUES ($1, $2, $3, now(), now()) ON CONFLICT (user_id, number) DO UPDATE"
        " SET reason = CASE WHEN excluded.reason = '' THEN b.reason ELSE excluded.reason END, updated_at = now()"
        f" RETURNING {_COLUMNS}",
        user_id,
        number,
        new.reason,
    )
    return _read(row)


async def unblock(user_id: int, block_id: int) -> None:
    """Take an entry off the block list; an opt-out of that number ends with it."""
    await _remove(user_id, (await get_block(user_id, block_id)).number)


async def unblock_number(user_id: int, wanted: BlockRemove) -> None:
    """Take a number off the block list, however it is written; an opt-out of that number ends with it.

    Raises:
        NotFoundError: It is not on the list, and nobody with this number opted out.
    """
    number = _number(wanted.number, wanted.country)
    if not await _remove(user_id, number):
        raise NotFoundError("blocked number", number)


async def _remove(user_id: int, number: str) -> int:
    async with database.unit_of_work():
        listed = await database.execute(
            "DELETE FROM block_contacts WHERE user_id = $1 AND number = $2", user_id, number
        )
        return listed + await lift(user_id, number)


def _number(written: str, country: str) -> str:
    number, errors = read_number(written, country)
    if number is None:
        raise InvalidInputError(errors)
    return number


def _read(row: object) -> BlockRead:
    return msgspec.convert(row, BlockRead)
