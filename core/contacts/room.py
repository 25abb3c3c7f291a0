"""How many contacts a tenant's plan has room for while a job adds some."""

from core import database
from core.jobs.services import JobFailedError
from core.plans import services as plans
from core.texts import text

UNLIMITED = 2**62


async def room_of(user_id: int) -> tuple[int, int]:
    """Return the plan's limit and how many contacts it has room for; nobody can add any until the commit.

    Raises:
        JobFailedError: The account's access has ended.
    """
    limits = await plans.limits_of(user_id, lock=True)
    if not limits.has_access:
        raise JobFailedError(text("access_ended"))
    if limits.contacts is None:
        return UNLIMITED, UNLIMITED
    present = await database.fetch_value(
        "SELECT count(*) FROM (SELECT FROM contacts WHERE user_id = $1 AND deleted_at IS NULL LIMIT $2) AS counted",
        user_id,
        limits.contacts,
    )
    return limits.contacts, limits.contacts - (present if isinstance(present, int) else 0)
