"""How many contacts an audience has: counted for the answer as long as that is quick, else by a job."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from core import database
from core.contacts.audience import filter_conditions, public_conditions
from core.contacts.filters import ContactFilter, Parameters
from core.contacts.schemas import AudienceCount
from core.errors import PlatformError
from core.jobs.services import JobContext, JobFailedError, create_job, job_handler, latest_job
from core.jobs.tables import JobStatus
from core.texts import text

KIND = "contacts.count"
COUNTED_AT_ONCE = 100_000
"""So many are counted for an answer; PostgreSQL estimates beyond."""
FRESH_FOR = timedelta(minutes=10)
"""A job's count is shown for so long; an audience changes meanwhile."""


class PublicCount(msgspec.Struct, frozen=True):
    """What is shown of an audience's size; ``counted_at`` is when a job counted it."""

    contacts_count: int
    count_is_exact: bool
    counted_at: datetime | None


async def count_filters(user_id: int, wanted: ContactFilter) -> AudienceCount:
    """Return how many contacts ``wanted`` describes; ``NotFoundError`` for an audience that it names in vain."""
    parameters = Parameters()
    where = await filter_conditions(user_id, wanted, parameters)
    count, exact = await _count(where, parameters)
    return AudienceCount(contacts_count=count, count_is_exact=exact)


async def count_public(user_id: int, row: Mapping[str, Any]) -> PublicCount:
    """Return how many contacts the audience of a row of ``publics`` has; a job counts a large one for the next time."""
    if row["counted_at"] is not None and datetime.now(UTC) - row["counted_at"] < FRESH_FOR:
        return PublicCount(row["counted"], count_is_exact=True, counted_at=row["counted_at"])
    parameters = Parameters()
    count, exact = await _count(await public_conditions(user_id, row["id"], parameters), parameters)
    if not exact:
        await _request(user_id, row["id"])
    return PublicCount(count, count_is_exact=exact, counted_at=None)


@job_handler(KIND)
async def count_large(context: JobContext) -> Mapping[str, Any]:
    """Count the contacts of the audience ``context.subject_id``; what it was changed into meanwhile is not counted."""
    user_id, public_id = context.user_id, context.subject_id
    if user_id is None:
        raise JobFailedError(text("job_without_row", id=context.id))
    parameters = Parameters()
    try:
        seen = await database.fetch_value("SELECT updated_at FROM publics WHERE id = $1", public_id)
        where = await public_conditions(user_id, public_id, parameters)
    except PlatformError as error:
        raise JobFailedError(str(error)) from error
    count = await database.fetch_value(f"SELECT count(*) FROM contacts c WHERE {where}", *parameters.values)
    async with database.unit_of_work():
        await database.execute(
            "UPDATE publics SET counted = $3, counted_at = now() WHERE id = $1 AND user_id = $2 AND updated_at = $4",
            public_id,
            user_id,
            count,
            seen,
        )
        await context.checkpoint({}, done=1, total=1)
    return {"contacts_count": count}


async def _request(user_id: int, public_id: int) -> None:
    async with database.unit_of_work():
        # The row orders two who look at once.
        await database.execute("SELECT FROM publics WHERE id = $1 FOR UPDATE", public_id)
        if await latest_job(user_id, KIND, public_id, statuses=(JobStatus.WAITING, JobStatus.RUNNING)) is None:
            await create_job(KIND, user_id=user_id, subject_id=public_id, cancelable=False)


async def _count(where: str, parameters: Parameters) -> tuple[int, bool]:
    """Return how many contacts a condition holds for, and whether that is exact."""
    counted = await database.fetch_value(
        f"SELECT count(*) FROM (SELECT FROM contacts c WHERE {where} LIMIT {COUNTED_AT_ONCE + 1}) AS found",
        *parameters.values,
    )
    count = int(str(counted))
    if count <= COUNTED_AT_ONCE:
        return count, True
    plan = await database.fetch_value(f"EXPLAIN (FORMAT JSON) SELECT FROM contacts c WHERE {where}", *parameters.values)
    estimated: int = msgspec.json.decode(str(plan))[0]["Plan"]["Plan Rows"]
    return max(estimated, count), False
