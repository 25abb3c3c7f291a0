"""Where jobs stand, for who looks at them at this moment."""

from collections.abc import Sequence

from core import database
from core.events.catalogue import JobProgress


async def job_progress(ids: Sequence[int]) -> list[tuple[int, JobProgress]]:
    """Return where jobs of tenants stand, each with its user's id; the platform's own are left out."""
    rows = await database.fetch(
        "SELECT id, user_id, kind, subject_id, status, done, total FROM jobs"
        " WHERE id = ANY($1::bigint[]) AND user_id IS NOT NULL",
        list(ids),
    )
    return [
        (
            row["user_id"],
            JobProgress(
                job_id=row["id"],
                kind=row["kind"],
                subject_id=row["subject_id"],
                status=row["status"],
                done=row["done"],
                total=row["total"],
            ),
        )
        for row in rows
    ]
