"""Changes of a campaign that hold only for the version they were decided on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.campaigns.services import lock
from core.database import unit_of_work
from core.versions import ensure_match


@asynccontextmanager
async def expecting(user_id: int, campaign_id: int, if_match: str | None) -> AsyncIterator[None]:
    """Let the block change a campaign as long as its version is one of ``if_match``; without that, always.

    Raises:
        NotFoundError: No such campaign.
        PreconditionError: It has another version.
    """
    if if_match is None:
        yield
        return
    async with unit_of_work():
        row = await lock(user_id, campaign_id)
        ensure_match(if_match, row["version"])
        yield
