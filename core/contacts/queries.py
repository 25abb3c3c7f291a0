"""Reading contacts: one, pages of many, and which ones a selection means."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core import database
from core.contacts.addresses import CURRENT
from core.contacts.audience import filter_conditions, public_conditions
from core.contacts.filters import ALL_BLOCKED, BLOCKED, LIVE, ContactFilter, Parameters
from core.contacts.schemas import ContactRead, Selection
from core.contacts.scrolling import ContactList, Line
from core.errors import NotFoundError
from core.pagination import PageQuery

Contacts = Sequence[ContactRead]

DECIDED = ("number", "name", "variables", "labels", "addresses", "status", "blocked")
"""What people decide of a contact."""

COLUMNS = (
    "c.id, c.number, c.name, c.variables, c.labels, c.type, c.status, c.source, c.last_inbound_at, c.created_at,"
    " c.updated_at,"
    f" {BLOCKED} AS blocked,"
    " (SELECT jsonb_object_agg(a.provider, a.address) FROM contact_addresses a"
    f"  WHERE a.contact_id = c.id AND {CURRENT}) AS addresses"
)


async def get_contact(user_id: int, contact_id: int) -> ContactRead:
    """Return a contact of this tenant, or raise ``NotFoundError``."""
    row = await database.fetch_row(
        f"SELECT {COLUMNS} FROM contacts c WHERE c.id = $2 AND {LIVE.format(user='$1')}", user_id, contact_id
    )
    if row is None:
        raise NotFoundError("contact", contact_id)
    return read_contact(row)


async def lock_contact(user_id: int, contact_id: int) -> ContactRead:
    """Lock a contact's row until the unit of work ends and return it; raises as ``get_contact`` does."""
    await database.fetch_row("SELECT 1 FROM contacts WHERE id = $2 AND user_id = $1 FOR UPDATE", user_id, contact_id)
    return await get_contact(user_id, contact_id)


async def list_contacts(
    user_id: int, query: PageQuery, wanted: ContactFilter, public_id: int | None = None
) -> tuple[Contacts, int]:
    """Return one page of the contacts that are wanted, and how many there are."""
    line = Line(query.sort)
    parameters = Parameters()
    where = await _conditions(user_id, wanted, public_id, parameters)
    total = await database.fetch_value(f"SELECT count(*) FROM contacts c WHERE {where}", *parameters.values)
    limit, offset = parameters.bind(query.limit), parameters.bind(query.offset)
    rows = await database.fetch(
        f"SELECT {COLUMNS} FROM contacts c WHERE {where} ORDER BY {line.terms} LIMIT {limit} OFFSET {offset}",
        *parameters.values,
    )
    return [read_contact(row) for row in rows], total if isinstance(total, int) else 0


async def scroll_contacts(
    user_id: int, query: PageQuery, wanted: ContactFilter, public_id: int | None, cursor: str
) -> tuple[Contacts, str | None]:
    """Return the contacts after ``cursor`` (empty: the first), and the cursor of those that follow.

    Raises:
        InvalidInputError: There is no such order, or the cursor is none of it.
    """
    line = Line(query.sort)
    parameters = Parameters()
    where = await _conditions(user_id, wanted, public_id, parameters)
    listed = ContactList(user_id, line, COLUMNS, where, parameters, ALL_BLOCKED if wanted.blocked else "")
    rows, following = await listed.part(line.read(cursor), query.limit)
    return [read_contact(row) for row in rows], following


async def selected_contacts(user_id: int, selection: Selection, first_parameter: int) -> tuple[str, list[object]]:
    """Return the condition on ``contacts c`` for a selection, and its arguments from ``first_parameter``.

    Raises:
        NotFoundError: One of the ids, or the audience, is not this tenant's.
    """
    parameters = Parameters(first_parameter)
    if selection.filter is not None:
        return await _conditions(user_id, selection.filter, selection.public_id, parameters), parameters.values
    wanted = sorted(set(selection.ids or ()))
    rows = await database.fetch(
        f"SELECT c.id FROM contacts c WHERE {LIVE.format(user='$1')} AND c.id = ANY($2)", user_id, wanted
    )
    missing = sorted(set(wanted) - {row["id"] for row in rows})
    if missing:
        raise NotFoundError("contact", missing[0])
    live = LIVE.format(user=parameters.bind(user_id))
    return f"{live} AND c.id = ANY({parameters.bind(wanted)}::bigint[])", parameters.values


async def _conditions(user_id: int, wanted: ContactFilter, public_id: int | None, parameters: Parameters) -> str:
    where = await filter_conditions(user_id, wanted, parameters)
    if public_id is not None:
        where += f" AND {await public_conditions(user_id, public_id, parameters)}"
    return where


def read_contact(row: Mapping[str, Any]) -> ContactRead:
    """Return the contact of a row of ``COLUMNS``."""
    fields = dict(row)
    for name in ("variables", "labels", "addresses"):
        fields[name] = msgspec.json.decode(fields[name] or "{}")
    return msgspec.convert({**fields, "version": _version(fields)}, ContactRead)


def _version(fields: Mapping[str, object]) -> str:
    """Return a digest of what people decide of a contact: no statement has to count its changes."""
    decided = [fields[name] for name in DECIDED]
    return hashlib.blake2b(msgspec.json.encode(decided, order="sorted"), digest_size=8).hexdigest()
