"""Contacts that are one person under several numbers or addresses, as services have answered; nothing is guessed."""

from collections.abc import Sequence

import msgspec

from core import database
from core.contacts.addresses import CURRENT
from core.contacts.filters import LIVE
from core.contacts.queries import COLUMNS, read_contact
from core.contacts.schemas import ContactRead
from core.pagination import PageQuery

# What says no more than the contact's own number is left out first: of most contacts nothing else is known.
_OTHER = "{address} NOT IN ({number}, {number} || '@c.us', {number} || '@s.whatsapp.net')"
# An address of digits is a number: who has that number is the same account, whether or not it was asked about too.
_GROUPS = f"""
WITH known AS (
    SELECT c.id, a.address FROM contacts c JOIN contact_addresses a ON a.contact_id = c.id
    WHERE {LIVE.format(user="$1")} AND c.type = 1 AND {CURRENT}
        AND {_OTHER.format(address="a.address", number="coalesce(c.number, '')")}
    UNION SELECT c.id, k.address FROM contacts c JOIN number_checks k ON k.number = c.number AND k.found
    WHERE {LIVE.format(user="$1")} AND c.type = 1 AND k.address <> ''
        AND {_OTHER.format(address="k.address", number="k.number")}
), named AS (
    SELECT id, CASE WHEN address ~ '^[0-9]+@(c\\.us|s\\.whatsapp\\.net)$' THEN split_part(address, '@', 1)
        ELSE address END AS address
    FROM known
), every AS (
    SELECT id, address FROM named
    UNION SELECT c.id, n.address FROM named n JOIN contacts c ON c.number = n.address
    WHERE {LIVE.format(user="$1")} AND c.type = 1
), grouped AS (
    SELECT min(address) AS address, ids FROM (
        SELECT address, array_agg(id ORDER BY id) AS ids FROM every GROUP BY address HAVING count(*) > 1) AS g
    GROUP BY ids
)
SELECT address, ids, count(*) OVER () AS total FROM grouped ORDER BY ids LIMIT $2 OFFSET $3
"""


class DuplicateRead(msgspec.Struct, frozen=True, kw_only=True):
    """Contacts that may be merged."""

    address: str
    """Where services reach all of them: digits of a number, or an address."""
    contacts: list[ContactRead]
    """The oldest first."""


async def list_duplicates(user_id: int, query: PageQuery) -> tuple[Sequence[DuplicateRead], int]:
    """Return one page of groups of contacts that share an address a service has given, and how many groups there are.

    Beyond the last page the number of groups is told as none.
    """
    groups = await database.fetch(_GROUPS, user_id, query.limit, query.offset)
    ids = {one for group in groups for one in group["ids"]}
    rows = await database.fetch(f"SELECT {COLUMNS} FROM contacts c WHERE c.id = ANY($1::bigint[])", list(ids))
    found = {row["id"]: read_contact(row) for row in rows}
    shown = [DuplicateRead(address=group["address"], contacts=[found[one] for one in group["ids"]]) for group in groups]
    return shown, groups[0]["total"] if groups else 0
