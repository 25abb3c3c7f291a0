"""Importing a file: a job that stores batches of rows, each together with its checkpoint."""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from core import database
from core.announcing import announce_all
from core.contacts.importing.policies import policies_of
from core.contacts.importing.reader import Record, read_records
from core.contacts.importing.rows import Failure, Row, read_row
from core.contacts.importing.schemas import FileRead, ImportOptions
from core.contacts.importing.storing import Plan, store_batch
from core.events.catalogue import ImportFinished
from core.jobs.ending import end_listener
from core.jobs.services import JobContext, JobFailedError, job_handler
from core.runtime import config
from core.texts import negotiate, text

KIND = "contacts.import"
BATCH_ROWS = 5000

_ENDED = """
SELECT j.id AS job_id, j.status, i.id, i.user_id, i.filename, i.rows_total, i.rows_created, i.rows_updated,
    i.rows_skipped, i.rows_failed
FROM jobs j JOIN imports i ON i.job_id = j.id WHERE j.id = ANY($1::bigint[]) ORDER BY j.id
"""


class Checkpoint(msgspec.Struct):
    """How far an import came: rows of the file that are dealt with."""

    rows: int = 0


@job_handler(KIND)
async def run_import(context: JobContext) -> Mapping[str, Any]:
    """Store the rows of the import ``context.subject_id``, from the last checkpoint on."""
    plan = await _read_plan(context.subject_id)
    state = msgspec.convert(context.state or context.params.get("resume") or {}, Checkpoint)
    if state.rows < plan.total:
        await _store_all(context, plan, state)
    await asyncio.to_thread(plan.path.unlink, missing_ok=True)
    row = await database.fetch_row(
        "SELECT rows_total, rows_created, rows_updated, rows_skipped, rows_failed FROM imports WHERE id = $1",
        plan.import_id,
    )
    return {} if row is None else dict(row)


@end_listener(KIND)
async def tell_finished(job_ids: Collection[int]) -> None:
    """Tell of imports whose jobs have just ended, once for each job: one that goes on later ends again."""
    rows = await database.fetch(_ENDED, list(job_ids))
    await announce_all(
        [
            (
                row["user_id"],
                ImportFinished(
                    import_id=row["id"],
                    name=row["filename"],
                    status=row["status"],
                    rows_total=row["rows_total"],
                    rows_created=row["rows_created"],
                    rows_updated=row["rows_updated"],
                    rows_skipped=row["rows_skipped"],
                    rows_failed=row["rows_failed"],
                ),
                f"{ImportFinished.type}:{row['id']}:{row['job_id']}",
            )
            for row in rows
        ]
    )


async def _store_all(context: JobContext, plan: Plan, state: Checkpoint) -> None:
    if not await asyncio.to_thread(plan.path.exists):
        raise JobFailedError(text("import_file_missing"))
    records = read_records(plan.path, plan.file.form)
    await asyncio.to_thread(_skip, records, state.rows + plan.file.map.first_row)

    def read() -> list[Row | Failure]:
        return [read_row(record, plan.file.map.columns, plan.country) for record in islice(records, BATCH_ROWS)]

    # While the database stores one batch, a thread reads the next.
    reading = asyncio.create_task(asyncio.to_thread(read))
    try:
        while batch := await reading:
            reading = asyncio.create_task(asyncio.to_thread(read))
            async with database.unit_of_work():
                await store_batch(plan, batch)
                state.rows += len(batch)
                await context.checkpoint(msgspec.to_builtins(state), done=state.rows, total=plan.total)
    finally:
        await asyncio.wait([reading])


async def _read_plan(import_id: int) -> Plan:
    row = await database.fetch_row(
        "SELECT i.*, u.locale FROM imports i JOIN users u ON u.id = i.user_id WHERE i.id = $1",
        import_id,
    )
    if row is None:
        raise JobFailedError(text("no_such_import", id=import_id))
    options = msgspec.json.decode(row["options"], type=ImportOptions)
    return Plan(
        import_id=row["id"],
        user_id=row["user_id"],
        public_id=row["public_id"],
        path=config().data_folder / row["path"],
        file=msgspec.json.decode(row["mapping"], type=FileRead),
        options=options,
        policies=policies_of(options.duplicates, options.policies),
        country=row["default_country"],
        total=row["rows_total"],
        language=negotiate(row["locale"]),
    )


def _skip(records: Iterator[Record], number: int) -> None:
    next(islice(records, number, number), None)
