"""The names of a tenant's variables: what a message text may use, and what a frontend offers to choose from.

They are kept beside the contacts: gathering them from a million rows at each save would take seconds. A name stays
known when the last contact that had it is deleted.
"""

from collections.abc import Iterable, Sequence

from core import database
from core.contacts.schemas import OWN_FIELDS


async def remember_names(user_id: int, names: Iterable[str]) -> None:
    """Keep the names of variables that contacts of this tenant have now."""
    wanted = sorted(set(names))
    if wanted:
        await database.execute(
            "INSERT INTO contact_variables (user_id, name, created_at) SELECT $1, name, now()"
            " FROM unnest($2::text[]) AS name ON CONFLICT (user_id, name) DO NOTHING",
            user_id,
            wanted,
        )


async def list_names(user_id: int) -> Sequence[str]:
    """Return the tenant's own variables, in order."""
    rows = await database.fetch("SELECT name FROM contact_variables WHERE user_id = $1 ORDER BY name", user_id)
    return [row["name"] for row in rows]


async def usable_names(user_id: int) -> frozenset[str]:
    """Return everything a message text of this tenant may use: own variables, and the contact's name and number."""
    return OWN_FIELDS | frozenset(await list_names(user_id))
