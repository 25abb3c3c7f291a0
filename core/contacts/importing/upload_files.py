"""The files of imports: each goes when its import is done, or when nobody went on with it for a day."""

import asyncio
import re
from datetime import datetime, timedelta
from pathlib import Path

from core import database
from core.runtime import config

FOLDER = "imports"
"""Inside the folder of ``[paths] data``, which API, workers and scheduler share."""
KEPT = timedelta(hours=24)
LIMIT = 1000

_NAME = re.compile(r"[0-9a-f]{32}\.(?:csv|upload)")
_EXPIRE = """
UPDATE imports SET file_removed_at = $1, updated_at = now() WHERE id IN (
    SELECT i.id FROM imports i LEFT JOIN jobs j ON j.id = i.job_id
    WHERE i.file_removed_at IS NULL AND (j.status = 'done'
        OR ((j.id IS NULL OR j.status IN ('failed', 'canceled')) AND coalesce(j.finished_at, i.created_at) < $2))
    ORDER BY i.id LIMIT $3 FOR UPDATE OF i SKIP LOCKED
) RETURNING path
"""


async def clean_up(now: datetime) -> int:
    """Remove the files that nothing needs any more and return how many; the scheduler calls it now and then.

    An import that was never started, failed or was canceled expires with its file, 24 hours after the last of these.
    """
    expired = await database.fetch(_EXPIRE, now, now - KEPT, LIMIT)
    gone = [config().data_folder / row["path"] for row in expired]
    return await asyncio.to_thread(_remove, gone) + await _remove_strays(now)


async def _remove_strays(now: datetime) -> int:
    """Remove files whose row was never committed, or whose removal was cut off."""
    old = await asyncio.to_thread(_older_than, config().data_folder / FOLDER, now - KEPT)
    if not old:
        return 0
    rows = await database.fetch(
        "SELECT path FROM imports WHERE file_removed_at IS NULL AND path = ANY($1::text[])",
        [f"{FOLDER}/{path.name}" for path in old],
    )
    needed = {row["path"] for row in rows}
    return await asyncio.to_thread(_remove, [path for path in old if f"{FOLDER}/{path.name}" not in needed])


def _older_than(folder: Path, moment: datetime) -> list[Path]:
    found = (path for path in folder.glob("*") if _NAME.fullmatch(path.name) and path.is_file())
    return [path for path in found if path.stat().st_mtime < moment.timestamp()]


def _remove(paths: list[Path]) -> int:
    present = [path for path in paths if path.exists()]
    for path in present:
        path.unlink(missing_ok=True)
    return len(present)
