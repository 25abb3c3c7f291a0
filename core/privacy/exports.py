"""Everything that is held of a user, as a ZIP that a job makes and that is removed after a week."""

import secrets
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from core import database
from core.audit import services as audit
from core.errors import NotFoundError
from core.jobs.services import JobContext, create_job, job_handler
from core.media import store
from core.piccolo_conf import APP_REGISTRY
from core.privacy.archives import Archive
from core.privacy.holdings import HOLDINGS, Holding
from core.privacy.schemas import ExportRead, ExportStatus

KIND = "privacy.export"
FOLDER = "exports"
KEPT = "7 days"
PORTION = 2_000
REMOVED_AT_ONCE = 100
JSON_TABLES = ("users", "configurations", "numbers", "api_keys", "payments")
"""Small, and read by people: they stand together in ``account.json``."""

_SELECT = """
SELECT e.*, j.status AS job_status FROM data_exports e LEFT JOIN jobs j ON j.id = e.job_id
WHERE e.user_id = $1 ORDER BY e.id DESC LIMIT 1
"""


async def request_export(user_id: int, requested_by: int) -> ExportRead:
    """Have an export of a user made; one that is being made already is that one.

    Raises:
        NotFoundError: There is no such user.
    """
    async with database.unit_of_work():
        # The lock keeps two requests from starting two.
        found = await database.fetch_value(
            "SELECT id FROM users WHERE id = $1 AND deleted_at IS NULL FOR UPDATE", user_id
        )
        if found is None:
            raise NotFoundError("user", user_id)
        row = await database.fetch_row(_SELECT, user_id)
        if row is not None and _status(row) in {ExportStatus.WAITING, ExportStatus.RUNNING}:
            return _read(row)
        export_id = await database.fetch_value(
            "INSERT INTO data_exports (user_id, requested_by, path, created_at) VALUES ($1, $2, $3, now())"
            " RETURNING id",
            user_id,
            requested_by,
            f"{FOLDER}/{secrets.token_hex(16)}",
        )
        if not isinstance(export_id, int):
            raise TypeError("INSERT gave no id")
        job_id = await create_job(KIND, user_id=user_id, subject_id=export_id, cancelable=False)
        await database.execute("UPDATE data_exports SET job_id = $2 WHERE id = $1", export_id, job_id)
        await audit.record("export.asked", user_id=requested_by, account_id=user_id, entity_id=export_id)
        return await latest_export(user_id)


async def latest_export(user_id: int) -> ExportRead:
    """Return the export that was asked for last, or raise ``NotFoundError``."""
    row = await database.fetch_row(_SELECT, user_id)
    if row is None:
        raise NotFoundError("export")
    return _read(row)


async def open_export(user_id: int) -> store.StoredFile:
    """Open the file of one's last export; ``NotFoundError`` while it is not ready, and once it was removed."""
    row = await database.fetch_row(_SELECT, user_id)
    if row is None or _status(row) is not ExportStatus.READY:
        raise NotFoundError("export")
    try:
        opened = await store.open_file(row["path"])
    except store.MissingFileError:
        raise NotFoundError("export") from None
    await audit.record("export.downloaded", user_id=user_id, entity_id=row["id"])
    return opened


@job_handler(KIND)
async def make_export(context: JobContext) -> Mapping[str, int]:
    """Write the file; a run that was cut off begins anew, under the same key."""
    row = await database.fetch_row("SELECT user_id, path FROM data_exports WHERE id = $1", context.subject_id)
    if row is None:
        return {"rows": 0}
    with tempfile.TemporaryFile() as file:
        archive = Archive(file)
        archive.add_json("account.json", {table: await _small(table, row["user_id"]) for table in JSON_TABLES})
        tables = [holding for holding in HOLDINGS if holding.exported and holding.table not in JSON_TABLES]
        count = 0
        for place, holding in enumerate(tables):
            columns = exported_columns(holding)
            count += await archive.add_csv(f"{holding.table}.csv", columns, _portions(holding, columns, row["user_id"]))
            await context.checkpoint({}, done=place + 1, total=len(tables))
        archive.close()
        size = file.tell()
        await store.put(row["path"], file)
    await database.execute(
        f"UPDATE data_exports SET size = $2, ready_at = now(), expires_at = now() + interval '{KEPT}' WHERE id = $1",
        context.subject_id,
        size,
    )
    return {"rows": count}


async def clean_up(now: datetime) -> int:
    """Remove the files of exports that have expired; return how many."""
    rows = await database.fetch(
        "SELECT id, path FROM data_exports WHERE expires_at <= $1 AND removed_at IS NULL ORDER BY id LIMIT $2",
        now,
        REMOVED_AT_ONCE,
    )
    for row in rows:
        await store.remove(row["path"])
        await database.execute("UPDATE data_exports SET removed_at = now() WHERE id = $1", row["id"])
    return len(rows)


def exported_columns(holding: Holding) -> list[str]:
    """Return the columns of a table that an export shows: no secret, no hash, nothing that is the platform's own."""
    tables = {table._meta.tablename: table for app in APP_REGISTRY.app_configs.values() for table in app.table_classes}  # noqa: SLF001 - Piccolo offers no other way
    return [
        column._meta.name  # noqa: SLF001
        for column in tables[holding.table]._meta.columns  # noqa: SLF001
        if not column._meta.secret and column.value_type is not bytes and column._meta.name not in holding.hidden  # noqa: SLF001
    ]


async def _small(table: str, user_id: int) -> list[dict[str, Any]]:
    holding = next(one for one in HOLDINGS if one.table == table)
    rows = await database.fetch(_statement(holding, exported_columns(holding)), user_id)
    return [dict(row) for row in rows]


async def _portions(holding: Holding, columns: Sequence[str], user_id: int) -> AsyncIterator[Sequence[asyncpg.Record]]:
    """Read a table through one cursor, so that every row comes once however many there are."""
    async with database.connection() as connection, connection.transaction(readonly=True):
        cursor = await connection.cursor(_statement(holding, columns), user_id)
        while rows := await cursor.fetch(PORTION):
            yield rows


def _statement(holding: Holding, columns: Sequence[str]) -> str:
    listed = ", ".join(f't."{column}"' for column in columns)
    return f'SELECT {listed} FROM "{holding.table}" t WHERE {holding.own}'


def _status(row: Mapping[str, Any]) -> ExportStatus:
    if row["removed_at"] is not None:
        return ExportStatus.EXPIRED
    if row["ready_at"] is not None:
        return ExportStatus.READY
    known = {"waiting": ExportStatus.WAITING, "running": ExportStatus.RUNNING}
    return known.get(row["job_status"], ExportStatus.FAILED)


def _read(row: Mapping[str, Any]) -> ExportRead:
    return ExportRead(
        id=row["id"],
        status=_status(row),
        size=row["size"],
        created_at=row["created_at"],
        ready_at=row["ready_at"],
        expires_at=row["expires_at"],
    )
